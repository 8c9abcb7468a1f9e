package tracker

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/delivery"
)

// Ledger is the ledger as a projection of the log. Apply takes events in any
// order and any number of times. Advance fails unless the ledger stands at from.
type Ledger interface {
	Apply(ctx context.Context, events []delivery.Event) error
	Position(ctx context.Context) (uint64, error)
	Advance(ctx context.Context, from, upTo uint64) error
}

// LedgerProjection keeps the ledger up to date with the log.
type LedgerProjection struct {
	log     Log
	ledger  Ledger
	lessor  Lessor
	holder  string
	logger  *slog.Logger
	applied atomic.Uint64
}

// NewLedgerProjection makes the projection from its parts.
func NewLedgerProjection(log Log, ledger Ledger, lessor Lessor, holder string, logger *slog.Logger) *LedgerProjection {
	return &LedgerProjection{log: log, ledger: ledger, lessor: lessor, holder: holder, logger: logger}
}

// Applied is the last log sequence this process applied to the ledger.
func (p *LedgerProjection) Applied() uint64 { return p.applied.Load() }

// Run follows the log until ctx ends, and returns nil then.
func (p *LedgerProjection) Run(ctx context.Context) error {
	const tick = 500 * time.Millisecond
	for ctx.Err() == nil {
		mine, err := p.lessor.Lease(ctx, "ledger", p.holder, leaseLife)
		if err == nil && mine {
			err = p.lead(ctx)
			letGo(p.lessor, "ledger", p.holder)
		}
		if err != nil && ctx.Err() == nil {
			p.logger.WarnContext(ctx, "ledger projection interrupted, beginning again from its position", "error", err)
		}
		pause(ctx, tick)
	}
	return nil
}

// lead follows while the lease can be kept. The lease only saves work: two
// followers would write the same records.
func (p *LedgerProjection) lead(ctx context.Context) error {
	position, err := p.ledger.Position(ctx)
	if err != nil {
		return err
	}
	p.applied.Store(position)
	if err := within(ctx, p.log, position); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.log.Follow(ctx, position+1, batchSize, p.apply) })
	group.Go(func() error { return hold(ctx, p.lessor, "ledger", p.holder, p.stands) })
	return group.Wait()
}

// stands fails when the ledger has lost what this process applied to it.
func (p *LedgerProjection) stands(ctx context.Context) error {
	if _, err := reach(ctx, p.ledger.Position, p.Applied()); err != nil {
		return err
	}
	return within(ctx, p.log, p.Applied())
}

func (p *LedgerProjection) apply(ctx context.Context, entries []delivery.Entry) error {
	events := make([]delivery.Event, 0, len(entries))
	for _, e := range entries {
		if event, ok := e.AsEvent(); ok {
			events = append(events, event)
		}
	}
	if err := p.ledger.Apply(ctx, events); err != nil {
		return fmt.Errorf("events not applied to the ledger: %w", err)
	}
	// Records first, position second: a crash in between applies the same
	// events once more, which changes nothing. The position is fenced: a ledger
	// that was emptied between the two stands elsewhere, and is followed anew.
	last := entries[len(entries)-1].Seq
	if err := p.ledger.Advance(ctx, p.Applied(), last); err != nil {
		return fmt.Errorf("ledger position not advanced: %w", err)
	}
	p.applied.Store(last)
	return nil
}
