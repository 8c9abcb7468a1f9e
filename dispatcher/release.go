package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/ratelimit"
)

// Room is where jobs wait for a slot, a rate or a sender. Per sender and
// priority the oldest stands at the head.
type Room interface {
	// Counts says how many jobs wait, by sender and priority.
	Counts(ctx context.Context) (map[string]map[delivery.Priority]int64, error)
	// Head is the oldest job of a sender and priority that stands behind a
	// sequence.
	Head(ctx context.Context, sender string, p delivery.Priority, behind uint64) (delivery.Parked, bool, error)
	// At is the job with a sequence, false if it is no longer parked.
	At(ctx context.Context, sender string, seq uint64) (delivery.Parked, bool, error)
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
	// Shelve remembers under which sequence a job is parked, so that Ready finds
	// it when its customer is counted or writes in.
	Shelve(ctx context.Context, r ratelimit.Request, seq uint64) error
	// Unshelve forgets a sequence under which nothing is parked any more.
	Unshelve(ctx context.Context, sender string, seq uint64) error
	// Ready lists up to n parked jobs of each sender that need no place.
	Ready(ctx context.Context, senders []string, n int) (map[string][]ratelimit.ReadyJob, error)
	// Lease makes holder the only one to hold name for ttl, or extends it.
	Lease(ctx context.Context, name, holder string, ttl time.Duration) (bool, error)
}

// ReleaserConfig is how a [Releaser] works.
type ReleaserConfig struct {
	Holder        string        // unique per process
	Account       string        // as in [Config]
	PoolPerSender bool          // as in [Config]
	Tick          time.Duration // how often the room is looked at, default 200ms
	Pools         int           // how many pools are served side by side, default 1
	Moves         int           // how many jobs of a pool are moved side by side, default 1
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
	mu   sync.Mutex
	wake time.Time       // guarded by mu
	cut  map[string]cuts // by pool: where the last look left off; guarded by mu
}

// NewReleaser makes a releaser from its parts.
func NewReleaser(room Room, gate Turnstile, log Log, cfg ReleaserConfig) *Releaser {
	if cfg.Tick == 0 {
		cfg.Tick = 200 * time.Millisecond
	}
	cfg.Pools, cfg.Moves = max(1, cfg.Pools), max(1, cfg.Moves)
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Releaser{room: room, gate: gate, log: log, cfg: cfg, cut: map[string]cuts{}}
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
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wake.IsZero() {
		return r.cfg.Tick
	}
	return min(max(soonest, r.wake.Sub(r.cfg.Clock())), r.cfg.Tick)
}

// Pass looks at the room once and lets out whatever may go now.
func (r *Releaser) Pass(ctx context.Context) error {
	r.wakeAt(time.Time{})
	counts, err := r.room.Counts(ctx)
	if err != nil || len(counts) == 0 {
		return err
	}
	pools, err := r.byPool(ctx, slices.Sorted(maps.Keys(counts)))
	if err != nil {
		return err
	}
	return r.serveAll(ctx, counts, pools)
}

// serveAll serves every pool. One in trouble, or with much to let out, does not
// hold up the others.
func (r *Releaser) serveAll(ctx context.Context, counts map[string]map[delivery.Priority]int64, pools map[string][]string) error {
	names := slices.Sorted(maps.Keys(pools))
	failed := make([]error, len(names))
	serve := func(i int) {
		q := newQueue(r.room, counts, pools[names[i]], r.cuts(names[i]))
		if err := r.servePool(ctx, names[i], q); err != nil {
			failed[i] = fmt.Errorf("pool %s: %w", names[i], err)
		}
		r.leave(names[i], q.cut)
	}
	side := newTeam(r.cfg.Pools)
	for i := range names {
		side.do(func() error {
			serve(i)
			return nil
		})
	}
	_ = side.wait() // none returns one
	return errors.Join(failed...)
}

func (r *Releaser) servePool(ctx context.Context, pool string, q *queue) error {
	mine, err := r.gate.Lease(ctx, "release:"+pool, r.cfg.Holder, leaseLife)
	if err != nil || !mine {
		return err
	}
	return r.serve(ctx, q)
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
//
// Jobs are reserved one after the other, in their order, and moved side by
// side: a move is several writes, and which of two comes first matters no more.
func (r *Releaser) serve(ctx context.Context, q *queue) error {
	end := r.cfg.Clock().Add(leaseLife / 3)
	moves := newTeam(r.cfg.Moves)
	err := r.serveReady(ctx, q.senders, end, moves)
	if err == nil {
		err = r.serveHeads(ctx, q, end, moves)
	}
	return errors.Join(err, moves.wait())
}

func (r *Releaser) serveHeads(ctx context.Context, q *queue, end time.Time, moves *team) error {
	for r.cfg.Clock().Before(end) {
		job, ok, err := q.next(ctx)
		if err != nil || !ok {
			return err
		}
		v, err := r.letOut(ctx, job, moves)
		switch {
		case err != nil:
			return err
		case !blocked(v):
			q.taken(job)
		case v.Reason == ratelimit.ReasonPairRate:
			q.passed(job)
		default:
			q.blocked(job, v.Reason)
		}
	}
	return nil
}

// readyAtOnce is how many jobs that need no place are looked at per sender and
// pass: more than a sender's rate lets out until the next.
const readyAtOnce = 64

// serveReady lets out the jobs that need no place. They pass heads that wait
// for one.
func (r *Releaser) serveReady(ctx context.Context, senders []string, end time.Time, moves *team) error {
	ready, err := r.gate.Ready(ctx, senders, readyAtOnce)
	if err != nil {
		return err
	}
	for _, sender := range senders {
		for _, entry := range ready[sender] {
			if !r.cfg.Clock().Before(end) {
				return nil
			}
			job, ok, err := r.room.At(ctx, sender, entry.Seq)
			if err == nil && !ok {
				err = r.gate.Unshelve(ctx, sender, entry.Seq)
			}
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			v, err := r.letOut(ctx, job, moves)
			if err != nil {
				return err
			}
			if v.Outcome == ratelimit.OutcomeEnded {
				// The gate has forgotten where it lay. A move that fails now
				// leaves it to its turn in the room's order.
				if err := r.gate.Unshelve(ctx, sender, entry.Seq); err != nil {
					return err
				}
			}
			if blocked(v) && v.Reason == ratelimit.ReasonRate {
				break // the sender's others would wait for the same
			}
		}
	}
	return nil
}

// Shelve tells the gate where a job lies that has just been parked. A crash
// before leaves it to its turn in the room's order.
func (r *Releaser) Shelve(ctx context.Context, p delivery.Parked) error {
	return r.gate.Shelve(ctx, GateRequest(p.Task, r.cfg.Account, r.cfg.PoolPerSender), p.Seq)
}

func blocked(v ratelimit.Verdict) bool {
	return v.Outcome == ratelimit.OutcomePark || v.Outcome == ratelimit.OutcomeClosed
}

// letOut releases one job if the gate has room for it. A job that must end, by
// cancel, expiry or opt-out, is let out too: the dispatcher ends it as it ends
// any other.
func (r *Releaser) letOut(ctx context.Context, p delivery.Parked, moves *team) (ratelimit.Verdict, error) {
	v, err := r.gate.Reserve(ctx, GateRequest(p.Task, r.cfg.Account, r.cfg.PoolPerSender))
	if err != nil {
		return v, err
	}
	if blocked(v) {
		r.blockedUntil(v)
		return v, nil
	}
	// The slot is reserved under the job's name. A crash here leaves the job
	// parked; reserving again finds the same reservation.
	e := p.Task.Job.Happened(delivery.EventReleased, p.Task.Attempt, v.Now, fmt.Sprintf("released:%d", p.Seq))
	return v, moves.do(func() error {
		if v.Outcome == ratelimit.OutcomeEnded {
			return r.room.Release(ctx, p) // its end has been told: nothing happens to it
		}
		if _, err := r.log.Append(ctx, e); err != nil {
			return err
		}
		return r.room.Release(ctx, p)
	})
}

// blockedUntil remembers the earliest turn of a blocked job, on our own clock.
func (r *Releaser) blockedUntil(v ratelimit.Verdict) {
	if v.At.IsZero() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if at := r.cfg.Clock().Add(v.At.Sub(v.Now)); r.wake.IsZero() || at.Before(r.wake) {
		r.wake = at
	}
}

func (r *Releaser) cuts(pool string) cuts {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cut[pool]
}

// leave remembers where a look was cut short, and has the next one follow soon.
func (r *Releaser) leave(pool string, cut cuts) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(cut) == 0 {
		delete(r.cut, pool)
		return
	}
	r.cut[pool] = cut
	if soon := r.cfg.Clock().Add(r.cfg.Tick / 2); r.wake.IsZero() || soon.Before(r.wake) {
		r.wake = soon
	}
}

func (r *Releaser) wakeAt(at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wake = at
}
