package dispatcher_test

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/ratelimit"
)

// turnstile is a gate with the documented behaviour of the real one, but for
// windows and rates: who may not go is said by refuse.
type turnstile struct {
	clock  *clock
	hook   hook
	closed bool
	refuse func(ratelimit.Request) (ratelimit.Verdict, bool)
	delay  time.Duration // between grant and turn
	jobs   map[string]*gated
	trips  map[string]time.Time
	pools  map[string]string
	leases map[string]string

	accountTrips int
	shut         []string

	ready     map[string][]ratelimit.ReadyJob
	unshelved []uint64
}

func (g *turnstile) Shelve(context.Context, ratelimit.Request, uint64) error { return nil }

func (g *turnstile) Unshelve(_ context.Context, _ string, seq uint64) error {
	g.unshelved = append(g.unshelved, seq)
	return nil
}

func (g *turnstile) Ready(context.Context, []string, int) (map[string][]ratelimit.ReadyJob, error) {
	return g.ready, nil
}

// gated is a job as the gate knows it.
type gated struct {
	digest, sender string
	latest, ended  int
	grants         map[int]*grant
}

type grant struct {
	token string // empty: reserved
	at    time.Time
	sid   string
	back  bool
}

func (g *turnstile) now() time.Time { return g.clock.Now() }

func (g *turnstile) job(id string) *gated {
	if g.jobs[id] == nil {
		g.jobs[id] = &gated{grants: map[int]*grant{}}
	}
	return g.jobs[id]
}

func (g *turnstile) Admit(_ context.Context, r ratelimit.Request) (v ratelimit.Verdict, err error) {
	err = around(g.hook, "admit", func() { v = g.decide(r) })
	return v, err
}

func (g *turnstile) Reserve(_ context.Context, r ratelimit.Request) (v ratelimit.Verdict, err error) {
	r.Token = ""
	err = around(g.hook, "reserve", func() { v = g.decide(r) })
	return v, err
}

func (g *turnstile) decide(r ratelimit.Request) ratelimit.Verdict {
	v := ratelimit.Verdict{Now: g.now(), Pool: r.Pool, Counted: r.Template, InWindow: !r.Template}
	as := func(o ratelimit.Outcome) ratelimit.Verdict { v.Outcome = o; return v }
	if g.closed {
		return as(ratelimit.OutcomeClosed)
	}
	job := g.job(r.Job)
	if job.digest != "" && (job.digest != r.Digest || job.sender != r.Sender) {
		return as(ratelimit.OutcomeConflict)
	}
	held := job.grants[r.Attempt]
	if held != nil && held.token != "" {
		settled := held.sid != "" || held.back || job.latest > r.Attempt || job.ended >= r.Attempt
		if held.token == r.Token && !settled && !g.now().After(held.at.Add(grantLife)) {
			v.At, v.Now = held.at.Add(g.delay), held.at
			return as(ratelimit.OutcomeGo)
		}
		v.At, v.SID, v.Settled = held.at, held.sid, settled
		return as(ratelimit.OutcomePrior)
	}
	switch {
	case job.latest > r.Attempt:
		v.Settled = true
		return as(ratelimit.OutcomePrior)
	case job.ended >= r.Attempt:
		return as(ratelimit.OutcomeEnded)
	}
	job.digest, job.sender, job.latest = r.Digest, r.Sender, r.Attempt
	if until := g.trips[r.Sender]; until.After(g.now()) {
		delete(job.grants, r.Attempt)
		v.Reason, v.At = ratelimit.ReasonSenderPaused, until
		return as(ratelimit.OutcomePark)
	}
	if g.refuse != nil {
		if refused, no := g.refuse(r); no {
			delete(job.grants, r.Attempt)
			refused.Now = g.now()
			return refused
		}
	}
	job.grants[r.Attempt] = &grant{token: r.Token, at: g.now()}
	v.At = g.now().Add(g.delay)
	return as(ratelimit.OutcomeGo)
}

func (g *turnstile) Claim(_ context.Context, id, digest, sender string, _ time.Time) (c ratelimit.Claimed, err error) {
	conflict := false
	err = around(g.hook, "claim", func() {
		job := g.job(id)
		c.Known = job.digest != ""
		conflict = c.Known && (job.digest != digest || job.sender != sender)
		if !c.Known {
			job.digest, job.sender = digest, sender
		}
	})
	if err == nil && conflict {
		err = ratelimit.ErrConflict
	}
	return c, err
}

// Confirm changes nothing here: this gate has no windows.
func (g *turnstile) Confirm(context.Context, string, int, string) error { return nil }

func (g *turnstile) GiveBack(_ context.Context, id string, attempt int, token string) error {
	return around(g.hook, "give back", func() {
		if held := g.job(id).grants[attempt]; held != nil && held.token == token {
			held.back = true
		}
	})
}

func (g *turnstile) Trip(ctx context.Context, sender, _ string, until time.Time) error {
	return bounded(ctx, g.clock, g.hook, "trip", func() { g.trips[sender] = until })
}

// TripAccount knows one sender.
func (g *turnstile) TripAccount(ctx context.Context, sender, reason string, until time.Time) error {
	g.accountTrips++
	return g.Trip(ctx, sender, reason, until)
}

func (g *turnstile) ShutWindow(ctx context.Context, sender, customer string, _ time.Time) error {
	return bounded(ctx, g.clock, g.hook, "shut", func() { g.shut = append(g.shut, sender+" "+customer) })
}

func (g *turnstile) PoolsOf(_ context.Context, senders []string) (map[string]string, error) {
	pools := map[string]string{}
	for _, sender := range senders {
		if pool := g.pools[sender]; pool != "" {
			pools[sender] = pool
		}
	}
	return pools, nil
}

func (g *turnstile) Lease(_ context.Context, name, holder string, _ time.Duration) (bool, error) {
	if g.leases[name] == "" {
		g.leases[name] = holder
	}
	return g.leases[name] == holder, nil
}

// told brings an entry of the log into the gate, as the tracker does.
func (g *turnstile) told(entry delivery.Entry) {
	if i := entry.Intent; i != nil {
		job := g.job(i.Job.ID)
		job.digest, job.sender, job.latest = i.Job.Digest(), i.Job.Sender(), max(job.latest, i.Attempt)
		if held := job.grants[i.Attempt]; held == nil || held.token == "" {
			job.grants[i.Attempt] = &grant{token: i.Token, at: i.At}
		}
		return
	}
	e := entry.Event
	if e == nil || e.Job == "" {
		return
	}
	job := g.job(e.Job)
	attempt := e.Attempt
	ends, failed := e.Type.Status().Ended() && e.Reason != delivery.ReasonConflict, false
	switch e.Type {
	case delivery.EventScheduled, delivery.EventParked:
		attempt, failed = attempt-1, e.Error != nil
	case delivery.EventUndelivered, delivery.EventFailed, delivery.EventSuppressed,
		delivery.EventExpired, delivery.EventCanceled:
		failed = true
	}
	held := job.grants[attempt]
	if held != nil && e.SID != "" {
		held.sid = e.SID
	}
	if held != nil && failed && held.token != "" {
		held.back = true
	}
	if ends && job.latest <= attempt {
		job.ended = attempt
	}
}
