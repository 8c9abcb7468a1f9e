package senders

import (
	"cmp"
	"regexp"
	"strings"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/ratelimit"
)

// MaxMPS bounds the rate of a sender in messages a second: Meta raises
// eligible numbers to 1,000 and none beyond.
const MaxMPS = 1000

// State says whether a sender's jobs go out.
type State string

// The states of a sender.
const (
	Active State = "active"
	Paused State = "paused"
)

// Origin says where a limit comes from.
type Origin string

// The origins of a limit.
const (
	ByHand     Origin = "hand"     // put by a person; holds until "provider" is put
	ByProvider Origin = "provider" // as the provider told it last
	ByDefault  Origin = "default"  // the setting
	BySenders  Origin = "senders"  // of a pool: the largest of its senders' limits
)

// Sender is a sender as it stands, defaults filled.
type Sender struct {
	Token        string   `json:"sender"`
	Address      string   `json:"address"`
	Registered   bool     `json:"registered"` // false: jobs came from it, and it follows the defaults
	Account      string   `json:"account"`
	Pool         string   `json:"pool"`
	Limit        Limit    `json:"limit"`
	LimitFrom    Origin   `json:"limit_from"`
	MPS          float64  `json:"mps"` // messages a second
	RequireOptIn bool     `json:"require_opt_in"`
	State        State    `json:"state"`
	Quality      string   `json:"quality"` // as the provider rates it; "unknown" until it was asked
	Reasons      []string `json:"reasons"` // why it is not active

	// What else the provider says, empty until it was asked.
	Status  string `json:"status"` // ONLINE, OFFLINE …
	SID     string `json:"sid"`    // XE…
	WABA    string `json:"waba_id"`
	Webhook string `json:"webhook"` // where customers' messages go
}

// Patch changes the fields that are set and keeps the rest.
type Patch struct {
	Pool         *string
	Limit        *Limit // may be [Unlimited] or [FromProvider]
	MPS          *float64
	Account      *string
	RequireOptIn *bool
}

// senderFact is what is stored: what was put by hand and, apart from it, what
// the provider said.
type senderFact struct {
	Pool         string  `json:"pool,omitempty"`
	Limit        *Limit  `json:"limit,omitempty"`
	MPS          float64 `json:"mps,omitempty"`
	Account      string  `json:"account,omitempty"`
	RequireOptIn bool    `json:"require_opt_in,omitempty"`
	Paused       bool    `json:"paused,omitempty"`
	Reason       string  `json:"reason,omitempty"`

	Provider *provided `json:"provider,omitempty"`
}

var namePattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// ValidPool reports whether name can be a pool's: 1 to 64 of [A-Za-z0-9_-], so
// that it can stand in keys, paths and metrics as it is. Accounts are named by
// the same rule, since a pool may bear an account's name.
func ValidPool(name string) bool { return namePattern.MatchString(name) }

func (p Patch) check() error {
	switch {
	case p.Pool != nil && !ValidPool(*p.Pool):
		return refuse("pool", mustName)
	case p.Account != nil && !ValidPool(*p.Account):
		return refuse("account", mustName)
	case p.Limit != nil && (*p.Limit < FromProvider || *p.Limit > MaxLimit):
		return refuse("limit", mustLimit)
	case p.MPS != nil && !(*p.MPS > 0 && *p.MPS <= MaxMPS): // NaN fails both
		return refuse("mps", mustMPS)
	}
	return nil
}

func (p Patch) apply(f senderFact) senderFact {
	f.Limit = merged(f.Limit, p.Limit)
	set(&f.Pool, p.Pool)
	set(&f.MPS, p.MPS)
	set(&f.Account, p.Account)
	set(&f.RequireOptIn, p.RequireOptIn)
	return f
}

func set[T any](place, value *T) {
	if value != nil {
		*place = *value
	}
}

// merged is the limit by hand after put, nil for none.
func merged(old, put *Limit) *Limit {
	switch {
	case put == nil:
		return old
	case *put == FromProvider:
		return nil
	default:
		return put
	}
}

// view fills the defaults of a fact.
func (c Config) view(token string, f senderFact) Sender {
	s := Sender{
		Token: token, Address: delivery.SenderAddress(token),
		Account: c.Account, Limit: c.DefaultLimit, LimitFrom: ByDefault, MPS: c.DefaultMPS,
		RequireOptIn: f.RequireOptIn, State: Active, Quality: "unknown", Reasons: []string{}, Registered: true,
	}
	if p := f.Provider; p != nil {
		s.Status, s.SID, s.WABA, s.Webhook = p.Status, p.SID, p.WABA, p.Webhook
		s.Quality = cmp.Or(p.Quality, s.Quality)
		if p.Limit != nil {
			s.Limit, s.LimitFrom = *p.Limit, ByProvider
		}
	}
	s.Account = cmp.Or(f.account(), s.Account)
	if f.Limit != nil {
		s.Limit, s.LimitFrom = *f.Limit, ByHand
	}
	s.MPS = cmp.Or(f.MPS, c.SenderMPS[token], s.MPS)
	s.Pool = f.Pool
	if s.Pool == "" {
		s.Pool = c.defaultPool(token, s.Account)
	}
	if f.paused() {
		s.State = Paused
		s.Reasons = append(s.Reasons, f.reasons()...)
	}
	return s
}

// unregistered is the view of a sender that only jobs have named.
func (c Config) unregistered(token string) Sender {
	s := c.view(token, senderFact{})
	s.Registered = false
	return s
}

// paused: by a person, or by the provider while it does not send for the
// sender; the latter ends by itself.
func (f senderFact) paused() bool { return f.Paused || f.Provider.stopped() }

func (f senderFact) reasons() []string {
	var reasons []string
	if f.Paused && f.Reason != "" {
		reasons = append(reasons, f.Reason)
	}
	if f.Provider.stopped() {
		reasons = append(reasons, "the provider says "+f.Provider.Status)
		reasons = append(reasons, f.Provider.Reasons...)
	}
	return reasons
}

// limit is what holds, nil for the default.
func (f senderFact) limit() *Limit {
	if f.Limit == nil && f.Provider != nil {
		return f.Provider.Limit
	}
	return f.Limit
}

func (c Config) defaultPool(token, account string) string {
	if c.PoolBy == PoolBySender {
		return token
	}
	return account
}

// policy is what the gate is told. The pool is named even where it is the
// default, so that the sender shows in its pool before its first job; limit
// and rate are left to the gate's own defaults, which a restart may change.
func (c Config) policy(token string, f senderFact) ratelimit.SenderPolicy {
	return ratelimit.SenderPolicy{
		Pool: c.view(token, f).Pool, Limit: (*int)(f.limit()), MPS: f.MPS,
		RequireOptIn: f.RequireOptIn, Paused: f.paused(), PausedReason: strings.Join(f.reasons(), "; "),
	}
}
