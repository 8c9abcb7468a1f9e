package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/ratelimit"
)

// Room is where jobs wait for a slot, a rate or a sender. Per sender and
// priority the oldest stands at the head.
type Room interface {
	// Counts says how many jobs wait, by sender and priority.
	Counts(ctx context.Context) (map[string]map[delivery.Priority]int64, error)
	Head(ctx context.Context, sender string, p delivery.Priority) (delivery.Parked, bool, error)
	// Release moves a job back to the dispatchers. Repeated, it moves nothing
	// more.
	Release(ctx context.Context, p delivery.Parked) error
}

// Turnstile is the gate as the releaser needs it.
type Turnstile interface {
	// Reserve takes slot and rate for a job in advance.
	Reserve(ctx context.Context, r ratelimit.Request) (ratelimit.Verdict, error)
	// PoolsOf names the pool each sender counts in; senders that nobody
	// registered are left out.
	PoolsOf(ctx context.Context, senders []string) (map[string]string, error)
	// Lease makes holder the only one to hold name for ttl, or extends it.
	Lease(ctx context.Context, name, holder string, ttl time.Duration) (bool, error)
}

// ReleaserConfig is how a [Releaser] works.
type ReleaserConfig struct {
	Holder        string        // unique per process
	Account       string        // as in [Config]
	PoolPerSender bool          // as in [Config]
	Tick          time.Duration // how often the room is looked at, default 200ms
	Clock         func() time.Time
	Log           *slog.Logger
}

// Releaser lets parked jobs out: high priority before normal before low, the
// oldest first across a pool's senders, each with its slot reserved, so that no
// fresh job can take it. Any number may run; a lease per pool makes one of them
// the pool's releaser.
type Releaser struct {
	room Room
	gate Turnstile
	log  Log
	cfg  ReleaserConfig

	// wake is when the first of the jobs that were blocked in this pass may go.
	// It belongs to the goroutine that passes.
	wake time.Time
}

// NewReleaser makes a releaser from its parts.
func NewReleaser(room Room, gate Turnstile, log Log, cfg ReleaserConfig) *Releaser {
	if cfg.Tick == 0 {
		cfg.Tick = 200 * time.Millisecond
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Releaser{room: room, gate: gate, log: log, cfg: cfg}
}

// soonest is the shortest pause between two looks at the room: with a sender at
// 80 a second about two jobs have their turn in it.
const soonest = 25 * time.Millisecond

// leaseLife is how long a pool stays without releaser when its releaser dies.
const leaseLife = 3 * time.Second

// Run releases until ctx ends. It returns nil then; trouble is logged and met
// again at the next tick.
func (r *Releaser) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		if err := r.Pass(ctx); err != nil && ctx.Err() == nil {
			r.cfg.Log.WarnContext(ctx, "waiting room not served, trying again", "error", err)
		}
		timer.Reset(r.rest())
	}
}

// rest is the pause until the next look: until a blocked job's turn comes, or
// until the tick, which sees what no verdict could foretell.
func (r *Releaser) rest() time.Duration {
	if r.wake.IsZero() {
		return r.cfg.Tick
	}
	return min(max(soonest, r.wake.Sub(r.cfg.Clock())), r.cfg.Tick)
}

// Pass looks at the room once and lets out whatever may go now.
func (r *Releaser) Pass(ctx context.Context) error {
	r.wake = time.Time{}
	counts, err := r.room.Counts(ctx)
	if err != nil || len(counts) == 0 {
		return err
	}
	pools, err := r.byPool(ctx, slices.Sorted(maps.Keys(counts)))
	if err != nil {
		return err
	}
	var failed []error // a pool in trouble does not hold up the others
	for _, pool := range slices.Sorted(maps.Keys(pools)) {
		mine, err := r.gate.Lease(ctx, "release:"+pool, r.cfg.Holder, leaseLife)
		if err == nil && mine {
			err = r.serve(ctx, newQueue(r.room, counts, pools[pool]))
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("pool %s: %w", pool, err))
		}
	}
	return errors.Join(failed...)
}

func (r *Releaser) byPool(ctx context.Context, senders []string) (map[string][]string, error) {
	registered, err := r.gate.PoolsOf(ctx, senders)
	if err != nil {
		return nil, err
	}
	pools := map[string][]string{}
	for _, sender := range senders {
		pool, ok := registered[sender]
		switch {
		case ok:
		case r.cfg.PoolPerSender:
			pool = sender
		default:
			pool = r.cfg.Account
		}
		pools[pool] = append(pools[pool], sender)
	}
	return pools, nil
}

// serve lets out jobs of one pool for at most a third of the lease's life, so
// that the lease cannot run out underneath.
func (r *Releaser) serve(ctx context.Context, q *queue) error {
	end := r.cfg.Clock().Add(leaseLife / 3)
	for r.cfg.Clock().Before(end) {
		job, ok, err := q.next(ctx)
		if err != nil || !ok {
			return err
		}
		out, err := r.letOut(ctx, job)
		if err != nil {
			return err
		}
		if out {
			q.taken(job)
		} else {
			q.blocked(job)
		}
	}
	return nil
}

// letOut releases one job if the gate has room for it. A job that must end, by
// cancel, expiry or opt-out, is let out too: the dispatcher ends it as it ends
// any other.
func (r *Releaser) letOut(ctx context.Context, p delivery.Parked) (bool, error) {
	v, err := r.gate.Reserve(ctx, gateRequest(p.Task, r.cfg.Account, r.cfg.PoolPerSender))
	if err != nil {
		return false, err
	}
	if v.Outcome == ratelimit.OutcomePark || v.Outcome == ratelimit.OutcomeClosed {
		r.blockedUntil(v)
		return false, nil
	}
	// The slot is reserved under the job's name. A crash here leaves the job
	// parked; reserving again finds the same reservation.
	e := p.Task.Job.Happened(delivery.EventReleased, p.Task.Attempt, v.Now, fmt.Sprintf("released:%d", p.Seq))
	if _, err := r.log.Append(ctx, e); err != nil {
		return false, err
	}
	return true, r.room.Release(ctx, p)
}

// blockedUntil remembers the earliest turn of a blocked job, on our own clock.
func (r *Releaser) blockedUntil(v ratelimit.Verdict) {
	if v.At.IsZero() {
		return
	}
	if at := r.cfg.Clock().Add(v.At.Sub(v.Now)); r.wake.IsZero() || at.Before(r.wake) {
		r.wake = at
	}
}
