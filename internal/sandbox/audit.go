package sandbox

import (
	"maps"
	"slices"
	"time"
)

// Limits is the state of the messaging limits and of the senders' queues.
type Limits struct {
	Window    float64 `json:"window"`     // seconds
	OverLimit int     `json:"over_limit"` // messages refused with error 63018 so far
	Pools     []Usage `json:"pools"`
	Senders   []Usage `json:"senders"`
}

// Usage is one limit and what was made of it.
type Usage struct {
	Sender string `json:"sender,omitempty"` // empty for a pool
	Pool   string `json:"pool"`
	Limit  Limit  `json:"limit"`
	Used   int    `json:"used"` // different customers counted now

	// Exceeded is how many messages asked for a place beyond the limit, found
	// by replaying the ledger. It is 0 for a client that keeps the limit.
	Exceeded int `json:"exceeded"`
	// OverLimit is the same as counted when each message was judged. Where the
	// two differ the sandbox is wrong.
	OverLimit int `json:"over_limit"`

	*Queue // nil for a pool
}

// Queue is what waits because its sender gets out no more at once.
type Queue struct {
	MPS     Rate    `json:"mps"`
	Backlog float64 `json:"backlog"` // seconds until all of it is out
}

// Limits returns use and exceedance per pool and per sender.
func (s *Sandbox) Limits() Limits {
	l, messages, merges := s.usage()
	exceeded := audit(messages, merges, s.cfg.Window)
	for i, u := range l.Pools {
		l.Pools[i].Exceeded = exceeded[scope{pool: u.Pool}]
	}
	for i, u := range l.Senders {
		l.Senders[i].Exceeded = exceeded[scope{sender: u.Sender}]
	}
	return l
}

// usage returns the counters, and the messages they came from. Of those only
// what never changes may be read.
func (s *Sandbox) usage() (Limits, []*message, []merge) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.tick()
	l := Limits{
		Window: s.cfg.Window.Seconds(), OverLimit: s.book.overLimit,
		Pools: []Usage{}, Senders: []Usage{},
	}
	for _, name := range slices.Sorted(maps.Keys(s.pools)) {
		p := s.pools[name]
		l.Pools = append(l.Pools, Usage{
			Pool: name, Limit: p.limit(), Used: p.counted.used(now), OverLimit: p.over,
		})
	}
	for _, id := range slices.Sorted(maps.Keys(s.senders)) {
		snd := s.senders[id]
		l.Senders = append(l.Senders, Usage{
			Sender: id, Pool: snd.home(snd.auth.account), Limit: snd.limit,
			Used: snd.counted.used(now), OverLimit: snd.over,
			Queue: &Queue{MPS: snd.mps, Backlog: snd.backlog(now).Seconds()},
		})
	}
	return l, s.book.all, s.book.merges
}

// scope names one limit: a sender's or a pool's.
type scope struct{ sender, pool string }

// audit replays the accepted messages and returns how many of them went beyond
// each limit. It uses nothing of the counting that judged them: only when, from
// whom and to whom they went, and the limits in force at that time.
func audit(messages []*message, merges []merge, span time.Duration) map[scope]int {
	tallies := map[scope]*tally{}
	exceeded := map[scope]int{}
	at := func(sc scope, now time.Time) *tally {
		t, ok := tallies[sc]
		if !ok {
			t = &tally{last: map[string]time.Time{}}
			tallies[sc] = t
		}
		t.forget(now.Add(-span))
		return t
	}
	for i, m := range messages {
		for ; len(merges) > 0 && merges[0].after <= i; merges = merges[1:] {
			for _, t := range tallies {
				t.merge(merges[0].from, merges[0].to)
			}
		}
		if !m.wantsPlace() {
			continue
		}
		own, shared := scope{sender: m.sender}, scope{pool: m.pool}
		ours, theirs := at(own, m.accepted), at(shared, m.accepted)
		ownFull := ours.full(m.customer, m.limits.sender)
		sharedFull := theirs.full(m.customer, m.limits.pool)
		if ownFull {
			exceeded[own]++
		}
		if sharedFull {
			exceeded[shared]++
		}
		if !ownFull && !sharedFull {
			ours.add(m.customer, m.accepted)
			theirs.add(m.customer, m.accepted)
		}
	}
	return exceeded
}

// tally is a plain log of sends and the last one to each customer.
type tally struct {
	sends []stamp
	last  map[string]time.Time
}

// forget drops customers whose last send is not after cut.
func (t *tally) forget(cut time.Time) {
	for len(t.sends) > 0 && !t.sends[0].at.After(cut) {
		if gone := t.sends[0]; t.last[gone.customer].Equal(gone.at) {
			delete(t.last, gone.customer)
		}
		t.sends = t.sends[1:]
	}
}

func (t *tally) full(customer string, limit Limit) bool {
	_, known := t.last[customer]
	return !known && limit != Unlimited && len(t.last) >= int(limit)
}

// merge writes what was sent to one customer to another's account.
func (t *tally) merge(from, to string) {
	for i := range t.sends {
		if t.sends[i].customer == from {
			t.sends[i].customer = to
		}
	}
	if at, known := t.last[from]; known {
		delete(t.last, from)
		if at.After(t.last[to]) {
			t.last[to] = at
		}
	}
}

func (t *tally) add(customer string, at time.Time) {
	t.sends = append(t.sends, stamp{customer, at})
	t.last[customer] = at
}
