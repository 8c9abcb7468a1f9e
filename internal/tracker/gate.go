package tracker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/ratelimit"
)

// Log is the log as a reader sees it.
type Log interface {
	Last(ctx context.Context) (uint64, error)
	// Follow hands over entries in order, from the given sequence on, until ctx
	// ends or fn fails.
	Follow(ctx context.Context, from uint64, batch int, fn func(context.Context, []delivery.Entry) error) error
}

// Gate is the gate as a projection of the log.
type Gate interface {
	Position(ctx context.Context) (uint64, error)
	Apply(ctx context.Context, from, to uint64, changes []ratelimit.Change) error
	// Epoch names the Redis that answers now and the one the gate was opened
	// for; they differ while the gate is closed.
	Epoch(ctx context.Context) (current, opened string, err error)
	// Refill notes that the gate is being refilled for an epoch, and Open opens it
	// unless Redis has begun another or was emptied since.
	Refill(ctx context.Context, epoch string) error
	Open(ctx context.Context, epoch string) error
	Close(ctx context.Context) error
	Lessor
}

// Standing restores what the log does not carry: policies and consents, and
// the jobs that are stored and not settled.
type Standing interface {
	Restore(ctx context.Context) error
}

// GateConfig is how a [GateProjection] works.
type GateConfig struct {
	Holder string // unique per process
	// Settle is how long a new Redis is distrusted: one grant life, within
	// which a worker may still send under a grant of the old one. 0 where no
	// other process can hold a grant.
	Settle time.Duration
	Tick   time.Duration // between looks at the epoch, default 500ms; a tenth while closed
	Log    *slog.Logger
}

// GateProjection keeps the gate up to date with the log, and is the one who
// opens it. Run one per tracker; a lease lets one of them work.
type GateProjection struct {
	log      Log
	gate     Gate
	standing Standing
	cfg      GateConfig
	applied  atomic.Uint64 // last sequence this process applied
}

// NewGateProjection makes the projection from its parts.
func NewGateProjection(log Log, gate Gate, standing Standing, cfg GateConfig) *GateProjection {
	if cfg.Tick == 0 {
		cfg.Tick = 500 * time.Millisecond
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &GateProjection{log: log, gate: gate, standing: standing, cfg: cfg}
}

// Applied is the last log sequence this process applied to the gate.
func (p *GateProjection) Applied() uint64 { return p.applied.Load() }

const batchSize = 256

// Run follows the log until ctx ends, and returns nil then. Whatever fails on
// the way, it begins again from the gate's own position.
func (p *GateProjection) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		mine, err := p.gate.Lease(ctx, "gate", p.cfg.Holder, leaseLife)
		if err == nil && mine {
			err = p.lead(ctx)
			letGo(p.gate, "gate", p.cfg.Holder)
		}
		if err != nil && ctx.Err() == nil {
			p.cfg.Log.WarnContext(ctx, "gate projection interrupted, beginning again from its position", "error", err)
		}
		pause(ctx, p.cfg.Tick)
	}
	return nil
}

// lead applies the log, keeps the lease and watches the epoch side by side;
// when one fails, all end.
func (p *GateProjection) lead(ctx context.Context) error {
	position, err := p.gate.Position(ctx)
	if err != nil {
		return err
	}
	p.applied.Store(position)
	if err := p.within(ctx); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.follow(ctx, position) })
	group.Go(func() error { return hold(ctx, p.gate, "gate", p.cfg.Holder, p.stands) })
	group.Go(func() error { return p.watch(ctx) })
	return group.Wait()
}

func (p *GateProjection) stands(ctx context.Context) error {
	if _, err := reach(ctx, p.gate.Position, p.Applied()); err != nil {
		return err
	}
	return p.within(ctx)
}

// within closes the gate when it knows more than the log: the log is an older
// copy, so nobody can say any more what was sent. A person has to.
func (p *GateProjection) within(ctx context.Context) error {
	err := within(ctx, p.log, p.Applied())
	if errors.Is(err, errLogOlder) {
		err = errors.Join(err, p.gate.Close(ctx))
	}
	return err
}

func (p *GateProjection) follow(ctx context.Context, position uint64) error {
	return p.log.Follow(ctx, position+1, batchSize, func(ctx context.Context, entries []delivery.Entry) error {
		var changes []ratelimit.Change
		for _, e := range entries {
			changes = append(changes, Changes(e)...)
		}
		to := entries[len(entries)-1].Seq
		// The changes and the position are one write. A crash before it leads
		// to the same entries being applied by the next reader, after it to
		// none of them; a second reader fails, being fenced by the position.
		if err := p.gate.Apply(ctx, position, to, changes); err != nil {
			return fmt.Errorf("log up to %d not applied to the gate: %w", to, err)
		}
		position = to
		p.applied.Store(to)
		return nil
	})
}

// refill is the opening of the gate for one epoch.
type refill struct {
	epoch  string
	since  time.Time
	target uint64 // log sequence to be applied before opening; 0: not yet known
}

func (p *GateProjection) watch(ctx context.Context) error {
	var pending refill
	for {
		current, opened, err := p.gate.Epoch(ctx)
		if err != nil {
			return err
		}
		tick := p.cfg.Tick
		if current != opened {
			tick /= 10
			if pending, err = p.reopen(ctx, pending, current); err != nil {
				return err
			}
		}
		if !pause(ctx, tick) {
			return ctx.Err()
		}
	}
}

// reopen takes the opening one step further. Everything that may still be
// under way from before the mismatch was seen is in the log once the settling
// time is over; when that much of the log is applied, the gate knows every
// grant, and opens.
func (p *GateProjection) reopen(ctx context.Context, r refill, current string) (refill, error) {
	if r.epoch != current {
		p.cfg.Log.InfoContext(ctx, "the gate is closed: Redis is new, restarted or emptied; refilling it from the log")
		// Whatever empties Redis after this is noticed before the gate opens.
		return refill{epoch: current, since: time.Now()}, p.gate.Refill(ctx, current)
	}
	last, err := p.log.Last(ctx)
	if err != nil {
		return r, err
	}
	if r.target == 0 {
		// An empty log has no grants to wait for.
		if last > 0 && time.Since(r.since) < p.cfg.Settle {
			return r, nil
		}
		r.target = max(last, 1)
	}
	// The gate itself is asked: what was applied to a Redis that has since been
	// emptied counts for nothing.
	position, err := reach(ctx, p.gate.Position, p.Applied())
	if err != nil {
		return r, err
	}
	if last > 0 && position < r.target {
		return r, nil
	}
	if err := p.standing.Restore(ctx); err != nil {
		return r, fmt.Errorf("policies and stored jobs not restored: %w", err)
	}
	// From here on jobs are admitted. A crash before leaves the gate closed.
	if err := p.gate.Open(ctx, r.epoch); err != nil {
		return r, err
	}
	p.cfg.Log.InfoContext(ctx, "the gate is open", "log_applied", position, "took", time.Since(r.since).Round(time.Millisecond))
	return refill{}, nil
}
