package ratelimit_test

import (
	"math"
	"time"

	"github.com/sluicehq/sluice/ratelimit"
)

func (m *model) policy(t *task) ratelimit.SenderPolicy {
	p := ratelimit.SenderPolicy{Pool: t.Request.Pool}
	if set := m.senders[t.Sender]; set != nil {
		p = *set
	}
	return p
}

func (m *model) senderLimit(sender string) int {
	if set := m.senders[sender]; set != nil && set.Limit != nil {
		return *set.Limit
	}
	return m.defaultLimit
}

// poolLimit is what the pool allows at a priority.
func (m *model) poolLimit(pool string, p ratelimit.Priority) int {
	policy, limit := m.pools[pool], 0
	if policy.Limit != nil {
		limit = *policy.Limit
	} else {
		for sender, in := range m.member {
			if own := m.senderLimit(sender); in == pool && (own < 0 || limit >= 0 && own > limit) {
				limit = own
			}
		}
	}
	if limit > 0 && p != ratelimit.High {
		limit -= int(math.Ceil(policy.Reserve * float64(limit)))
	}
	return limit
}

// waiting are the marks of a pool by priority, without one task's.
func (m *model) waiting(pool string, without *task) (n [3]int64) {
	for _, t := range m.jobs {
		if t.waits == pool && t != without {
			n[t.Priority]++
		}
	}
	return n
}

// full says when a window that is full for the limit has room again.
func (m *model) full(window string, limit int) (full bool, back time.Time) {
	times := m.times(window)
	switch {
	case limit < 0 || len(times) < limit:
		return false, time.Time{}
	case limit == 0:
		return true, time.Time{}
	}
	return true, times[len(times)-limit].Add(m.span)
}

// decide is the whole decision. It changes what the gate changes.
func (m *model) decide(t *task, reserving bool) ratelimit.Verdict {
	t.as = m.is(t.Customer)
	wrote, ok := m.wrote[[2]string{t.Sender, t.as}]
	inWindow := ok && m.now.Before(wrote.Add(m.service))
	if !inWindow && !t.Template {
		if !reserving {
			m.drop(t)
			t.state, t.waits = "over", ""
		}
		return ratelimit.Verdict{Outcome: ratelimit.OutcomeNoWindow}
	}
	policy := m.policy(t)
	pool := policy.Pool
	m.join(t.Sender, pool)
	if t.state == "reserved" && t.pool != pool {
		m.giveBack(t)
	}
	reason, at, place := "", time.Time{}, !inWindow && m.needsPlace(t, pool)
	switch {
	case policy.Paused:
		reason = ratelimit.ReasonSenderPaused
	case m.pools[pool].Paused:
		reason = ratelimit.ReasonPoolPaused
	case !inWindow:
		reason, at = m.place(t, pool, reserving)
	}
	if reason != "" {
		m.drop(t)
		t.state, t.waits, t.needs = "parked", pool, place
		return ratelimit.Verdict{Outcome: ratelimit.OutcomePark, Reason: reason, At: at, Pool: pool}
	}
	if t.state == "reserved" {
		if reserving && !place && t.pool == pool && t.counts != inWindow {
			return t.verdict
		}
		sendAt := later(t.verdict.At, m.now)
		if !reserving {
			late := 5 * m.horizon
			sendAt = later(sendAt, earlier(m.sent[t.Sender], m.now.Add(late+interval)))
			if turn := sendAt.Add(-m.horizon); sendAt.After(m.now.Add(late)) {
				m.drop(t)
				t.state, t.waits, t.needs = "parked", pool, place
				return ratelimit.Verdict{Outcome: ratelimit.OutcomePark, Reason: ratelimit.ReasonRate, At: turn, Pool: pool}
			}
			m.sent[t.Sender] = sendAt.Add(interval)
		}
		m.grant(t, pool, reserving, inWindow, sendAt)
		return t.verdict
	}
	sendAt, reason, at := m.book(t, inWindow, reserving)
	if reason != "" {
		t.state, t.waits, t.needs = "parked", pool, place
		return ratelimit.Verdict{Outcome: ratelimit.OutcomePark, Reason: reason, At: at, Pool: pool}
	}
	m.grant(t, pool, reserving, inWindow, sendAt)
	return t.verdict
}

// needsPlace: the customer is not counted in both windows.
func (m *model) needsPlace(t *task, pool string) bool {
	return !m.has(senderWindow(t.Sender), t.as) || !m.has(poolWindow(pool), t.as)
}

// place says why a job that needs a place gets none.
func (m *model) place(t *task, pool string, reserving bool) (reason string, at time.Time) {
	unknown := false
	for _, w := range []struct {
		name, reason string
		limit        int
	}{
		{senderWindow(t.Sender), ratelimit.ReasonSenderLimit, m.senderLimit(t.Sender)},
		{poolWindow(pool), ratelimit.ReasonPoolLimit, m.poolLimit(pool, t.Priority)},
	} {
		if m.has(w.name, t.as) {
			continue
		}
		full, back := m.full(w.name, w.limit)
		if !full {
			continue
		}
		if reason == "" {
			reason = w.reason
		}
		unknown = unknown || back.IsZero()
		if back.After(at) {
			at = back
		}
	}
	if unknown {
		at = time.Time{}
	}
	if reason == "" && !reserving && m.needsPlace(t, pool) && m.passes(t, pool) {
		return ratelimit.ReasonWaiting, time.Time{}
	}
	return reason, at
}

// passes: a fresh job would go before one of its sender that needs a place, or
// take the last place of the pool but those that others wait for.
func (m *model) passes(t *task, pool string) bool {
	same, all := 0, 0
	for _, w := range m.jobs {
		if w == t || w.waits == "" || !w.needs || w.Priority > t.Priority {
			continue
		}
		if w.Sender == t.Sender {
			same++
		}
		if w.waits == pool {
			all++
		}
	}
	limit := m.poolLimit(pool, t.Priority)
	last := limit >= 0 && !m.has(poolWindow(pool), t.as) && limit-len(m.times(poolWindow(pool))) <= all
	return same > 0 || last
}

// grant takes the place and gives the verdict.
func (m *model) grant(t *task, pool string, reserving, inWindow bool, at time.Time) {
	reserved := t.state == "reserved"
	if reserved && inWindow && t.pool == pool {
		m.giveBack(t)
	}
	t.pool, t.counts, t.at, t.waits = pool, !inWindow, at, ""
	if t.counts {
		m.count(t, at)
	}
	t.state = "granted"
	if reserving {
		t.state = "reserved"
	}
	t.verdict = ratelimit.Verdict{
		Outcome: ratelimit.OutcomeGo, At: at, Now: m.now, Pool: pool, Counted: t.counts, InWindow: inWindow,
	}
}

// drop gives a reservation back.
func (m *model) drop(t *task) {
	if t.state == "reserved" {
		m.giveBack(t)
	}
}

// naive counts what a level must never have too much of: the different
// customers that something was sent to within the window and not refused.
func (m *model) naive(of func(*task) bool) int {
	customers := map[string]bool{}
	for _, t := range m.jobs {
		sent := t.state == "granted" || t.state == "delivered"
		if sent && t.counts && of(t) && t.at.After(m.now.Add(-m.window)) {
			customers[m.is(t.as)] = true
		}
	}
	return len(customers)
}

// interval of the rate that every sender has in the machine.
const interval = time.Microsecond

// book books the rate of the sender and the pace of the customer, or says why
// not and until when.
func (m *model) book(t *task, inWindow, reserving bool) (sendAt time.Time, reason string, back time.Time) {
	kept := earlier(later(m.rate[t.Sender], m.sent[t.Sender]), m.now.Add(m.horizon+interval))
	sendAt = later(kept, m.now)
	if sendAt.After(m.now.Add(m.horizon)) {
		m.rate[t.Sender], m.sent[t.Sender] = kept, earlier(m.sent[t.Sender], kept)
		return sendAt, ratelimit.ReasonRate, sendAt.Add(-m.horizon)
	}
	pair, ahead := [2]string{t.Sender, t.as}, time.Duration(m.burst-1)*m.spacing
	due, told := m.due[pair], !inWindow
	if last := m.top(senderWindow(t.Sender), t.as); last != nil && !last.at.After(m.now.Add(m.horizon)) {
		due = later(due, last.at.Add(m.spacing)) // what counts keeps the pace too
	} else if last != nil {
		told = false
	}
	if most := m.now.Add(m.horizon + ahead + m.spacing); due.After(most) {
		due, m.due[pair] = most, most
	}
	if turn := due.Add(-ahead); turn.After(sendAt) {
		return sendAt, ratelimit.ReasonPairRate, turn
	}
	if !told || due.After(sendAt) {
		m.due[pair] = later(due, sendAt).Add(m.spacing)
	}
	m.rate[t.Sender] = sendAt.Add(interval)
	if !reserving {
		m.sent[t.Sender] = sendAt.Add(interval)
	}
	return sendAt, "", time.Time{}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
