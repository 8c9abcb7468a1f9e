package ratelimit

import (
	"embed"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/*.lua
var sources embed.FS

// script is a Lua script with the name that its errors bear. Run sends its
// digest, and its text only to a server that does not have it yet.
type script struct {
	*redis.Script
	name string
}

// scripts are the questions, one each. Names of keys and the rules of the gate
// are written into their text, where it names them in capitals: they never change
// while the gate lives, and as arguments or variables they would cost every
// admission some microseconds.
type scripts struct {
	admit, claim, disclaim, confirm, giveBack, cancel, apply,
	sender, pool, pause, consent, alias, trip, cut, moveOn,
	limits, preview, slots, waiting, shelve, restore, shut, epoch, refill, open, lease *script
}

// load puts the scripts together. A part is a file of local functions, in front
// of the script that uses it; what a script does not need it leaves out, because
// each call makes them anew.
func load(o Options) scripts {
	values := o.constants()
	make := func(name, text string) *script {
		text = constant.ReplaceAllStringFunc(source("gate")+text, func(name string) string {
			if value, ok := values[name]; ok {
				return value
			}
			return name
		})
		return &script{Script: redis.NewScript(text), name: name}
	}
	one := func(name string, parts ...string) *script { return make(name, source(parts...)+source(name)) }
	admission := source("window", "record", "policy", "rate", "question") +
		rarely("customer", "back", "waiting", "move", "forget", "answers") + source("admit")
	return scripts{
		admit:    make("admit", admission),
		claim:    one("claim", "forget"),
		disclaim: one("disclaim"),
		confirm:  one("confirm", "window", "record", "customer", "recall", "back", "proof"),
		giveBack: one("giveback", "window", "record", "customer", "recall", "back", "proof"),
		cancel:   one("cancel", "window", "record", "customer", "recall", "back", "waiting", "forget"),
		apply:    one("apply", "window", "record", "customer", "recall", "back", "waiting", "policy", "move", "proof", "choice", "forget"),
		sender:   one("sender", "newer", "policy", "move"),
		pool:     one("pool", "newer"),
		pause:    one("pause", "newer"),
		consent:  one("consent", "customer", "choice"),
		alias:    one("alias", "newer", "window", "customer", "waiting", "choice"),
		trip:     one("trip"),
		cut:      one("cut", "policy"),
		moveOn:   one("moveon", "move"),
		limits:   one("limits", "window", "policy", "report"),
		preview:  one("preview", "window", "customer", "policy", "report"),
		slots:    one("slots", "window"),
		waiting:  one("setwaiting"),
		shelve:   one("shelve", "window", "record", "customer", "recall", "back", "waiting", "shelf", "forget"),
		restore:  one("restore", "window", "record", "customer", "recall", "back", "waiting", "shelf", "policy", "forget"),
		shut:     one("shut", "customer"),
		epoch:    one("epoch"),
		refill:   one("refill"),
		open:     one("open"),
		lease:    one("lease"),
	}
}

// source is the text of some parts.
func source(parts ...string) string {
	var text strings.Builder
	for _, part := range parts {
		lines, err := sources.ReadFile("lua/" + part + ".lua")
		if err != nil {
			panic("ratelimit: " + err.Error())
		}
		text.Write(lines)
	}
	return text.String()
}

// rarely wraps parts, the last of which returns a table, into a function that
// makes theirs when it is first called.
func rarely(parts ...string) string {
	return "local function make()\n" + source(parts...) + `end
local made
local function rarely()
  made = made or make()
  return made
end
`
}

// table writes rates by name in Lua, always in the same order: a script goes by
// the digest of its text.
func table(rates map[string]float64) string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(rates)) {
		fmt.Fprintf(&text, "[%q]=%s,", name, strconv.FormatFloat(rates[name], 'f', -1, 64))
	}
	return "{" + text.String() + "}"
}

// constant matches what may be a name of [Options.constants].
var constant = regexp.MustCompile(`\b[A-Z][A-Z_]+\b`)

// constants are the values of the names in capitals: the keys, and the rules with
// their durations in µs. A service window is taken for shut a margin early, but
// no short one for all of it.
func (o Options) constants() map[string]string {
	values := map[string]string{
		"DEFAULT_LIMIT": strconv.Itoa(o.DefaultLimit),
		"DEFAULT_MPS":   strconv.FormatFloat(o.DefaultMPS, 'f', -1, 64),
		"SENDER_MPS":    table(o.SenderMPS),
		"PAIR_BURST":    strconv.Itoa(o.PairBurst),
		"EMBEDDED":      strconv.Quote(o.Epoch),
	}
	for name, d := range map[string]time.Duration{
		"SPAN": o.Window + o.Margin, "SERVICE": o.ServiceWindow - min(o.Margin, o.ServiceWindow/100),
		"RETENTION": o.Retention, "LIFE": o.GrantLife, "HORIZON": o.Horizon, "LATE": 5 * o.Horizon, "PAIR_SPACING": max(0, o.PairSpacing), "CUT_REGAIN": CutRegain,
	} {
		values[name] = strconv.FormatInt(d.Microseconds(), 10)
	}
	for name, key := range luaKeys {
		values[name] = strconv.Quote(key)
	}
	return values
}
