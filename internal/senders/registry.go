package senders

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/ratelimit"
)

// PoolBy says which pool a sender belongs to unless it names one.
type PoolBy string

// The default pools of a sender.
const (
	PoolByAccount PoolBy = "account" // all senders of an account share one
	PoolBySender  PoolBy = "sender"  // each has its own
)

// Config has the defaults of what is not put by hand.
type Config struct {
	DefaultLimit Limit   // different customers per window; 0 stands for 250, Meta's first tier
	DefaultMPS   float64 // messages a second; 0 stands for 80, Twilio's rate of a sender
	// SenderMPS is the same for single senders whose rate is known beforehand,
	// by token.
	SenderMPS map[string]float64
	PoolBy    PoolBy // default PoolByAccount; a gate filled under the other one must be rebuilt
	Account   string // account of senders that name none; default "default"
	Now       func() time.Time
	// Seen, if set, names the senders that jobs came from, registered or not.
	Seen func(ctx context.Context) (tokens []string, err error)
	// Announce, if set, puts what was put by hand into the log, after the fact is
	// stored and the gate told: a sender, pool or consent event whose reason says
	// the fields as name=value. The same put repeated has the same id.
	Announce func(ctx context.Context, event delivery.Event) error
}

func (c Config) withDefaults() Config {
	c.DefaultLimit = cmp.Or(c.DefaultLimit, 250)
	c.DefaultMPS = cmp.Or(c.DefaultMPS, 80)
	c.PoolBy = cmp.Or(c.PoolBy, PoolByAccount)
	c.Account = cmp.Or(c.Account, "default")
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Registry reads and changes the facts. It holds no state of its own and is
// safe for concurrent use, also by several processes on the same facts.
type Registry struct {
	facts Facts
	gate  Gate
	cfg   Config
}

// New returns a registry over facts that tells gate of every change.
func New(facts Facts, gate Gate, cfg Config) *Registry {
	return &Registry{facts: facts, gate: gate, cfg: cfg.withDefaults()}
}

// The kinds of fact; a key is the kind and what it is about.
const (
	kindSender  = "sender"
	kindPool    = "pool"
	kindConsent = "consent"
	kindAlias   = "alias"
	kindPause   = "pause"
)

const (
	// maxTries bounds the races lost to other writers of one fact. One writer
	// wins each round.
	maxTries = 32
	// tellTimeout bounds telling the gate after a change was stored.
	tellTimeout = 5 * time.Second
)

// change replaces the fact under key by what merge makes of it, tells the gate
// and announces the event. merge may run several times; it starts from the zero
// value when there is no fact yet, and its error ends the change with nothing
// stored.
func change[F any](ctx context.Context, r *Registry, key string, event func(old, next F) delivery.Event, merge func(F) (F, error)) (next F, err error) {
	for range maxTries {
		data, rev, err := r.facts.Get(ctx, key)
		if err != nil {
			return next, fmt.Errorf("read %s: %w", key, err)
		}
		old, err := decode[F](key, data)
		if err != nil {
			return next, err
		}
		if next, err = merge(old); err != nil {
			return next, err
		}
		body, err := json.Marshal(next)
		if err != nil {
			return next, fmt.Errorf("encode %s: %w", key, err)
		}
		if rev == 0 || !bytes.Equal(body, data) {
			rev, err = r.facts.Put(ctx, key, body, rev)
			if errors.Is(err, ErrStale) {
				continue
			}
			if err != nil {
				return next, fmt.Errorf("store %s: %w", key, err)
			}
		}
		// The change is true from here on: a crash now leaves the gate with the
		// earlier one until the follower of the facts reaches this revision, and
		// the log without the event until the same is put again.
		return next, errors.Join(r.tell(ctx, key, body, rev), r.announce(ctx, key, rev, event(old, next)))
	}
	return next, fmt.Errorf("store %s: %w", key, ErrBusy)
}

// put is the event of a change that says the same whatever stood before.
func put[F any](e delivery.Event) func(old, next F) delivery.Event {
	return func(F, F) delivery.Event { return e }
}

// tell goes on when the caller gives up: what is stored should hold.
func (r *Registry) tell(ctx context.Context, key string, data []byte, rev uint64) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tellTimeout)
	defer cancel()
	if err := r.Restore(ctx, key, data, rev); err != nil {
		return fmt.Errorf("%w: %w", ErrUntold, err)
	}
	return nil
}

// Restore tells the gate of one stored fact. It is called for every fact at
// start and for each change after; facts may come twice and in any order. Keys
// that are not the registry's are ignored. A fact that cannot be read is
// [ErrMalformed] and no repetition helps; any other error is the gate's.
func (r *Registry) Restore(ctx context.Context, key string, data []byte, rev uint64) error {
	kind, about, _ := strings.Cut(key, ".")
	switch kind {
	case kindSender:
		return apply(key, data, func(f senderFact) error {
			return r.gate.SetSender(ctx, about, r.cfg.policy(about, f), rev)
		})
	case kindPool:
		return apply(key, data, func(f poolFact) error {
			return r.gate.SetPool(ctx, about, f.policy(), rev)
		})
	case kindConsent:
		return apply(key, data, func(f consentFact) error {
			sender, err := f.target(key)
			if err != nil {
				return err
			}
			return r.gate.SetConsent(ctx, delivery.CustomerKey(f.Address), sender, ratelimit.Choice(f.State), f.At, rev)
		})
	case kindAlias:
		return apply(key, data, func(f aliasFact) error {
			if err := f.known(key); err != nil {
				return err
			}
			return r.gate.SetAlias(ctx, delivery.CustomerKey(f.Address), delivery.CustomerKey(f.Customer), rev)
		})
	case kindPause:
		return apply(key, data, func(f Pause) error {
			return r.gate.SetPause(ctx, f.Paused, f.Reason, rev)
		})
	default:
		return nil
	}
}

func apply[F any](key string, data []byte, set func(F) error) error {
	f, err := decode[F](key, data)
	if err != nil {
		return err
	}
	return set(f)
}

func decode[F any](key string, data []byte) (f F, err error) {
	if len(data) == 0 {
		return f, nil
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return f, fmt.Errorf("%w: %s: %w", ErrMalformed, key, err)
	}
	return f, nil
}

type item[F any] struct {
	about string // the key without its prefix
	value F
}

// listed reads every fact under prefix, in the order of its keys.
func listed[F any](ctx context.Context, r *Registry, prefix string) ([]item[F], error) {
	facts, err := r.facts.List(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", prefix, err)
	}
	items := make([]item[F], 0, len(facts))
	for _, fact := range facts {
		value, err := decode[F](fact.Key, fact.Data)
		if err != nil {
			return nil, err
		}
		items = append(items, item[F]{strings.TrimPrefix(fact.Key, prefix), value})
	}
	slices.SortFunc(items, func(a, b item[F]) int { return cmp.Compare(a.about, b.about) })
	return items, nil
}
