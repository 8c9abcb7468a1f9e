package dispatcher

import (
	"context"
	"log/slog"
	"time"

	"github.com/sluicehq/sluice/delivery"
)

// Tally is the gate's count of who waits, by pool. It decides whether a fresh
// job may pass, and a Redis that was lost, or a crash between a verdict and its
// move, leaves it wrong.
type Tally interface {
	Pools(ctx context.Context) ([]string, error)
	Waiting(ctx context.Context, pool string) (counts [3]int64, version int64, err error)
	// SetWaiting replaces the count unless it has changed since version.
	SetWaiting(ctx context.Context, pool string, counts [3]int64, version int64) (bool, error)
}

// recountEvery lies well above the time that a move to the room takes.
const recountEvery = 5 * time.Second

// Recount sets the gate's count right by the room's own, wherever nothing
// moved between two looks. Any number may run.
type Recount struct {
	room  Room
	tally Tally
	pools func(ctx context.Context, senders []string) (map[string][]string, error)
	log   *slog.Logger
	seen  map[string]look // by pool; of the goroutine that runs
}

type look struct {
	version int64
	counts  [3]int64 // of the room
}

// NewRecount makes a recount that groups senders as the releaser does.
func NewRecount(tally Tally, r *Releaser) *Recount {
	return &Recount{room: r.room, tally: tally, pools: r.byPool, log: r.cfg.Log, seen: map[string]look{}}
}

// Run recounts until ctx ends, and returns nil then.
func (c *Recount) Run(ctx context.Context) error {
	tick := time.NewTicker(recountEvery)
	defer tick.Stop()
	for {
		if err := c.Pass(ctx); err != nil && ctx.Err() == nil {
			c.log.WarnContext(ctx, "waiting jobs not recounted, trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Pass looks once at every pool.
func (c *Recount) Pass(ctx context.Context) error {
	parked, err := c.parked(ctx)
	if err != nil {
		return err
	}
	pools, err := c.tally.Pools(ctx)
	if err != nil {
		return err
	}
	for _, pool := range pools {
		counted, version, err := c.tally.Waiting(ctx, pool)
		if err != nil {
			return err
		}
		now := look{version, parked[pool]}
		if counted != now.counts && c.seen[pool] == now {
			if _, err := c.tally.SetWaiting(ctx, pool, now.counts, version); err != nil {
				return err
			}
		}
		c.seen[pool] = now
	}
	return nil
}

// parked counts the room's jobs by pool and priority.
func (c *Recount) parked(ctx context.Context) (map[string][3]int64, error) {
	counts, err := c.room.Counts(ctx)
	if err != nil {
		return nil, err
	}
	senders := make([]string, 0, len(counts))
	for sender := range counts {
		senders = append(senders, sender)
	}
	pools, err := c.pools(ctx, senders)
	if err != nil {
		return nil, err
	}
	parked := map[string][3]int64{}
	for pool, senders := range pools {
		var sum [3]int64
		for _, sender := range senders {
			for _, p := range delivery.Priorities() {
				sum[lanes[p]] += counts[sender][p]
			}
		}
		parked[pool] = sum
	}
	return parked, nil
}
