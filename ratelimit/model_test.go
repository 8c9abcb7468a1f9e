package ratelimit_test

import (
	"sort"
	"time"

	"github.com/sluicehq/sluice/ratelimit"
)

// model is the gate in plain Go. For every window and customer it keeps the
// stack of the counted sends, where the gate keeps one score and what stood
// before it.
type model struct {
	window, span, service time.Duration
	horizon, spacing      time.Duration
	burst                 int
	defaultLimit          int
	now                   time.Time

	senders map[string]*ratelimit.SenderPolicy
	pools   map[string]ratelimit.PoolPolicy
	member  map[string]string                // sender → pool
	wrote   map[[2]string]time.Time          // sender, customer → last message
	places  map[string]map[string][]*counted // window → customer → stack
	alias   map[string]string                // customer → the one that it is
	due     map[[2]string]time.Time          // sender, customer → due at an even pace
	rate    map[string]time.Time             // sender → up to when its rate is booked
	sent    map[string]time.Time             // sender → up to when its rate is used
	jobs    []*task
}

// counted is an entry of a stack: who wrote it and when it counts from.
type counted struct {
	by *task
	at time.Time
}

// task is a job of one attempt, and where it stands.
type task struct {
	ratelimit.Request
	state   string // "", parked, reserved, granted, back, delivered, over
	verdict ratelimit.Verdict
	pool    string // where it counts
	as      string // the customer whom it counted as when it was last spoken of
	counts  bool
	waits   string // the pool in which it is marked as waiting
	needs   bool   // a place, when it was marked
	at      time.Time
}

func newModel(o ratelimit.Options) *model {
	return &model{
		window: o.Window, span: o.Window + o.Margin,
		service: o.ServiceWindow - min(o.Margin, o.ServiceWindow/100), defaultLimit: o.DefaultLimit,
		horizon: o.Horizon, spacing: o.PairSpacing, burst: o.PairBurst,
		alias: map[string]string{}, due: map[[2]string]time.Time{}, rate: map[string]time.Time{}, sent: map[string]time.Time{},
		now: startAt, senders: map[string]*ratelimit.SenderPolicy{}, pools: map[string]ratelimit.PoolPolicy{},
		member: map[string]string{}, wrote: map[[2]string]time.Time{}, places: map[string]map[string][]*counted{},
	}
}

func senderWindow(sender string) string { return "sender " + sender }
func poolWindow(pool string) string     { return "pool " + pool }

// is the customer behind an address.
func (m *model) is(customer string) string {
	for m.alias[customer] != "" {
		customer = m.alias[customer]
	}
	return customer
}

func (m *model) top(window, customer string) *counted {
	stack := m.places[window][m.is(customer)]
	if len(stack) == 0 {
		return nil
	}
	return stack[len(stack)-1]
}

func (m *model) push(window, customer string, c *counted) {
	if m.places[window] == nil {
		m.places[window] = map[string][]*counted{}
	}
	customer = m.is(customer)
	m.places[window][customer] = append(m.places[window][customer], c)
}

// times are the places that count now, oldest first.
func (m *model) times(window string) []time.Time {
	var times []time.Time
	for customer := range m.places[window] {
		if top := m.top(window, customer); top != nil && top.at.After(m.now.Add(-m.span)) {
			times = append(times, top.at)
		}
	}
	sort.Slice(times, func(i, j int) bool { return times[i].Before(times[j]) })
	return times
}

func (m *model) has(window, customer string) bool {
	top := m.top(window, customer)
	return top != nil && top.at.After(m.now.Add(-m.span))
}

// count writes a send into its windows, above what stands there.
func (m *model) count(t *task, at time.Time) {
	windows := []string{senderWindow(t.Sender), poolWindow(t.pool)}
	if now := m.member[t.Sender]; now != t.pool {
		windows = append(windows, poolWindow(now))
	}
	for _, w := range windows {
		if top := m.top(w, t.as); top != nil && !top.at.Before(at) {
			at = top.at.Add(time.Microsecond)
		}
	}
	for _, w := range windows {
		if top := m.top(w, t.as); top != nil && top.by == t {
			top.at = at
		} else {
			m.push(w, t.as, &counted{t, at})
		}
	}
}

// giveBack takes a send off the two stacks where it is on top. Where others are
// on top of it, its entry stays and is nobody's.
func (m *model) giveBack(t *task) {
	t.as = m.is(t.as)
	for _, w := range []string{senderWindow(t.Sender), poolWindow(t.pool)} {
		stack := m.places[w][m.is(t.as)]
		if top := m.top(w, t.as); top != nil && top.by == t {
			stack = stack[:len(stack)-1]
			m.places[w][m.is(t.as)] = stack
		}
		for _, c := range stack {
			if c.by == t {
				c.by = nil
			}
		}
	}
}

// prove is evidence of a send at a time that has passed.
func (m *model) prove(t *task, at time.Time, delivered bool) {
	if t.state == "delivered" || t.state == "back" && !delivered {
		return
	}
	t.as = m.is(t.as)
	if t.counts && at.After(m.now.Add(-m.span)) {
		inSender, inPool := m.top(senderWindow(t.Sender), t.as), m.top(poolWindow(t.pool), t.as)
		own := t.state != "back" && inSender != nil && inPool != nil && inSender.by == t && inPool.by == t
		if !own || at.After(inSender.at) {
			m.count(t, at)
		}
	}
	if at.After(t.at) {
		t.at = at
	}
	if delivered {
		t.state = "delivered"
	}
}

func (m *model) join(sender, pool string) {
	if m.member[sender] == pool {
		return
	}
	m.member[sender] = pool
	for customer := range m.places[senderWindow(sender)] {
		from, to := m.top(senderWindow(sender), customer), m.top(poolWindow(pool), customer)
		if from != nil && (to == nil || from.at.After(to.at)) {
			m.push(poolWindow(pool), customer, &counted{at: from.at})
		}
	}
}

// merge makes two customers one. Where only one of them counts, its sends are
// the other's; where both do, one place remains that is nobody's.
func (m *model) merge(alias, customer string) {
	customer = m.is(customer)
	if alias == customer || m.alias[alias] == customer {
		return
	}
	before := m.is(alias)
	for w, stacks := range m.places {
		var from *counted
		if n := len(stacks[alias]); n > 0 {
			from = stacks[alias][n-1]
		}
		to := m.top(w, customer)
		late := func(c *counted) bool { return c != nil && c.at.After(m.now.Add(-m.span)) }
		if late(from) {
			if late(to) {
				at := from.at
				if to.at.After(at) {
					at = to.at
				}
				stacks[customer] = append(stacks[customer], &counted{at: at.Add(time.Microsecond)})
			} else {
				stacks[customer] = stacks[alias]
			}
		}
		delete(stacks, alias)
		shared, to := m.top(w, before), m.top(w, customer)
		if before != alias && before != customer && late(shared) && (to == nil || !shared.at.Before(to.at)) {
			m.push(w, customer, &counted{at: shared.at.Add(time.Microsecond)})
		}
	}
	for _, times := range []map[[2]string]time.Time{m.wrote, m.due} {
		for key, at := range times {
			if same := [2]string{key[0], customer}; key[1] == alias && at.After(times[same]) {
				times[same] = at
			}
		}
	}
	m.alias[alias] = customer
}
