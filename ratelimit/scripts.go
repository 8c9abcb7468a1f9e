package ratelimit

import (
	"embed"
	"fmt"
	"strings"

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
// stand in their text and not among their arguments: they never change while the
// gate lives, and an admission is to be cheap.
type scripts struct {
	admit, claim, disclaim, confirm, giveBack, cancel, apply,
	sender, pool, pause, consent, alias, trip, moveOn,
	limits, preview, slots, waiting, shelve, shut, epoch, open, lease *script
}

// load puts each script together from the parts that it builds on, in this
// order. A part is a file of local functions; what a script does not need it
// leaves out, because each call makes them anew.
func load(o Options) scripts {
	head := luaKeys() + luaRules(o)
	one := func(name string, parts ...string) *script {
		var text strings.Builder
		text.WriteString(head)
		for _, part := range append(append([]string{"gate"}, parts...), name) {
			source, err := sources.ReadFile("lua/" + part + ".lua")
			if err != nil {
				panic("ratelimit: " + err.Error())
			}
			text.Write(source)
		}
		return &script{Script: redis.NewScript(text.String()), name: name}
	}
	return scripts{
		admit:    one("admit", "window", "customer", "record", "waiting", "policy", "move", "rate"),
		claim:    one("claim"),
		disclaim: one("disclaim"),
		confirm:  one("confirm", "window", "customer", "record", "proof"),
		giveBack: one("giveback", "window", "customer", "record", "proof"),
		cancel:   one("cancel", "window", "customer", "record", "waiting"),
		apply:    one("apply", "window", "customer", "record", "waiting", "policy", "move", "proof", "choice"),
		sender:   one("sender", "newer", "policy", "move"),
		pool:     one("pool", "newer"),
		pause:    one("pause", "newer"),
		consent:  one("consent", "customer", "choice"),
		alias:    one("alias", "newer", "window", "customer", "waiting", "choice"),
		trip:     one("trip"),
		moveOn:   one("moveon", "move"),
		limits:   one("limits", "window", "policy", "report"),
		preview:  one("preview", "window", "customer", "policy", "report"),
		slots:    one("slots", "window"),
		waiting:  one("setwaiting"),
		shelve:   one("shelve", "window", "customer", "record", "waiting"),
		shut:     one("shut", "customer"),
		epoch:    one("epoch"),
		open:     one("open"),
		lease:    one("lease"),
	}
}

// luaRules declares the rules, durations in µs. A service window is taken for
// shut a margin early, but no short one for all of it.
func luaRules(o Options) string {
	service := o.ServiceWindow - min(o.Margin, o.ServiceWindow/100)
	return fmt.Sprintf(`local span, service, retention, life, horizon = %d, %d, %d, %d, %d
local pair_spacing, pair_burst = %d, %d
local default_limit, default_mps, embedded = %d, %g, %q
`,
		(o.Window + o.Margin).Microseconds(), service.Microseconds(), o.Retention.Microseconds(),
		o.GrantLife.Microseconds(), o.Horizon.Microseconds(),
		max(0, o.PairSpacing).Microseconds(), o.PairBurst,
		o.DefaultLimit, o.DefaultMPS, o.Epoch)
}
