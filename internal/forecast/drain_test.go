package forecast_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluicehq/sluice/internal/forecast"
)

var noon = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// onlooker lets jobs out one by one, the slow and obvious way: it goes from one
// moment at which anything can change to the next, and counts at each by hand.
type onlooker struct {
	forecast.Pool
	pool  []time.Time   // when each taken place comes back
	own   [][]time.Time // by sender
	free  []time.Time   // by sender: when its rate is free
	left  []int64
	lanes []forecast.Lane
	last  []time.Time
}

func watch(p forecast.Pool, lanes []forecast.Lane) *onlooker {
	o := &onlooker{Pool: p, lanes: lanes, last: make([]time.Time, len(lanes)), pool: spread(p.Returns)}
	for _, s := range p.Senders {
		o.own, o.free = append(o.own, spread(s.Returns)), append(o.free, later(p.Now, s.From))
	}
	for _, l := range lanes {
		o.left = append(o.left, l.Jobs)
	}
	return o
}

func spread(returns []forecast.Return) (times []time.Time) {
	for _, r := range returns {
		for range r.Places {
			times = append(times, r.At)
		}
	}
	return times
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (o *onlooker) run(until time.Time) {
	for now := o.Now; !now.After(until); {
		for o.letOne(now) {
		}
		next, ok := o.change(now)
		if !ok {
			return
		}
		now = next
	}
}

// change is the next moment at which a place or a rate comes free.
func (o *onlooker) change(now time.Time) (next time.Time, ok bool) {
	for _, times := range append([][]time.Time{o.pool, o.free}, o.own...) {
		for _, at := range times {
			if at.After(now) && (!ok || at.Before(next)) {
				next, ok = at, true
			}
		}
	}
	return next, ok
}

func taken(times []time.Time, now time.Time) (n int64) {
	for _, at := range times {
		if at.After(now) {
			n++
		}
	}
	return n
}

func (o *onlooker) may(i int, now time.Time) bool {
	l := o.lanes[i]
	s := o.Senders[l.Sender]
	if o.left[i] == 0 || s.Stopped || o.free[l.Sender].After(now) {
		return false
	}
	limit := o.Limit
	if limit >= 0 && l.Priority > 0 {
		limit -= o.Reserved
	}
	return l.Placed || (o.Limit < 0 || taken(o.pool, now) < limit) && (s.Limit < 0 || taken(o.own[l.Sender], now) < s.Limit)
}

func (o *onlooker) letOne(now time.Time) bool {
	best := -1
	for i := range o.lanes {
		if o.may(i, now) && (best < 0 || o.first(i, best)) {
			best = i
		}
	}
	if best < 0 {
		return false
	}
	l := o.lanes[best]
	o.left[best]--
	o.last[best] = now
	o.free[l.Sender] = now.Add(time.Duration(float64(time.Second) / o.Senders[l.Sender].MPS))
	if !l.Placed {
		o.pool = append(o.pool, now.Add(o.Span))
		o.own[l.Sender] = append(o.own[l.Sender], now.Add(o.Span))
	}
	return true
}

func (o *onlooker) first(i, j int) bool {
	a, b := o.lanes[i], o.lanes[j]
	switch {
	case a.Priority != b.Priority:
		return a.Priority < b.Priority
	case a.After != b.After:
		return b.After
	}
	return o.left[i] > o.left[j]
}

func drawWindow(t *rapid.T, span time.Duration) forecast.Window {
	w := forecast.Window{Limit: rapid.Int64Range(-1, 6).Draw(t, "limit")}
	for range rapid.IntRange(0, 5).Draw(t, "taken") {
		in := time.Duration(rapid.Int64Range(0, int64(span/time.Second)).Draw(t, "back")) * time.Second
		w.Returns = append(w.Returns, forecast.Return{At: noon.Add(in), Places: rapid.Int64Range(1, 2).Draw(t, "places")})
	}
	slices.SortFunc(w.Returns, func(a, b forecast.Return) int { return a.At.Compare(b.At) })
	return w
}

func drawPool(t *rapid.T) (forecast.Pool, []forecast.Lane) {
	span := time.Duration(rapid.IntRange(1, 60).Draw(t, "span")) * time.Second
	p := forecast.Pool{Window: drawWindow(t, span), Span: span, Now: noon, Reserved: rapid.Int64Range(0, 3).Draw(t, "reserved")}
	for range rapid.IntRange(1, 3).Draw(t, "senders") {
		s := forecast.Sender{Window: drawWindow(t, span), MPS: rapid.SampledFrom([]float64{0.125, 0.5, 1, 4, 8}).Draw(t, "mps")}
		switch rapid.IntRange(0, 9).Draw(t, "state") {
		case 0:
			s.Stopped = true
		case 1:
			s.From = noon.Add(30 * time.Second)
		}
		p.Senders = append(p.Senders, s)
	}
	var lanes []forecast.Lane
	for range rapid.IntRange(1, 6).Draw(t, "lanes") {
		lanes = append(lanes, forecast.Lane{
			Sender: rapid.IntRange(0, len(p.Senders)-1).Draw(t, "sender"), Priority: rapid.IntRange(0, 2).Draw(t, "priority"),
			After: rapid.Bool().Draw(t, "after"), Placed: rapid.IntRange(0, 4).Draw(t, "placed") == 0,
			Jobs: rapid.Int64Range(0, 8).Draw(t, "jobs"),
		})
	}
	return p, lanes
}

// TestDrainAgainstAnOnlooker holds the forecast against watching every job go.
func TestDrainAgainstAnOnlooker(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, lanes := drawPool(t)
		o := watch(p, lanes)
		o.run(noon.Add(24 * time.Hour))
		for i, at := range p.Drain(lanes) {
			want := o.last[i]
			if o.left[i] > 0 {
				want = time.Time{}
			}
			require.True(t, want.Equal(at), "lane %d: %v, and the onlooker saw %v", i, at, want)
		}
	})
}

// TestPortions: whatever waits, the answer is late by no more than a portion.
func TestPortions(t *testing.T) {
	t.Parallel()
	const jobs = 1_000_000
	p := forecast.Pool{
		Window: forecast.Window{Limit: 100_000}, Span: 24 * time.Hour, Now: noon,
		Senders: []forecast.Sender{{Window: forecast.Window{Limit: forecast.Unlimited}, MPS: 80}},
	}
	lanes := []forecast.Lane{{Jobs: jobs}}
	// Ten windows' worth: the last one goes nine windows after now, when the
	// rate has let 100,000 out.
	exact := noon.Add(9*24*time.Hour + 99_999*time.Second/80)
	got := forecast.Last(lanes, p.Drain(lanes))
	require.False(t, got.Before(exact), "%v is before %v", got, exact)
	require.Less(t, got.Sub(exact), 30*time.Second)
}

// TestARateThatGrowsBack holds the forecast against sending one by one, each as
// long after the last as the share of its moment says.
func TestARateThatGrowsBack(t *testing.T) {
	t.Parallel()
	const mps, regain = 10.0, 8 * time.Minute
	for _, c := range []struct {
		share float64
		jobs  int64
	}{{0.5, 1}, {0.5, 100}, {0.5, 2000}, {0.5, 20_000}, {0.125, 5000}, {0.9, 5000}} {
		p := forecast.Pool{
			Window: forecast.Window{Limit: forecast.Unlimited}, Span: 24 * time.Hour, Now: noon,
			Senders: []forecast.Sender{{
				Window: forecast.Window{Limit: forecast.Unlimited}, MPS: mps, Share: c.share, Regain: regain,
			}},
		}
		var at float64 // seconds
		for range c.jobs - 1 {
			at += 1 / (mps * min(1, c.share+at/regain.Seconds()))
		}
		lanes := []forecast.Lane{{Jobs: c.jobs}}
		got := forecast.Last(lanes, p.Drain(lanes)).Sub(noon).Seconds()
		require.InDelta(t, at, got, 0.2+at/1000, "%+v", c)
		whole := p
		whole.Senders = []forecast.Sender{{Window: p.Window, MPS: mps, Share: 1, Regain: regain}}
		require.InDelta(t, float64(c.jobs-1)/mps, forecast.Last(lanes, whole.Drain(lanes)).Sub(noon).Seconds(), 0.2)
	}
}

func TestNever(t *testing.T) {
	t.Parallel()
	pool := func(limit, reserved int64, mps float64) forecast.Pool {
		return forecast.Pool{
			Window: forecast.Window{Limit: limit}, Reserved: reserved, Span: 24 * time.Hour, Now: noon,
			Senders: []forecast.Sender{{Window: forecast.Window{Limit: forecast.Unlimited}, MPS: mps}},
		}
	}
	for name, c := range map[string]struct {
		pool forecast.Pool
		lane forecast.Lane
	}{
		"a limit of 0":               {pool(0, 0, 80), forecast.Lane{Jobs: 1}},
		"all is reserved for others": {pool(10, 10, 80), forecast.Lane{Jobs: 1, Priority: 1}},
		"no rate":                    {pool(10, 0, 0), forecast.Lane{Jobs: 1}},
		"not within ten years":       {pool(1, 0, 80), forecast.Lane{Jobs: 5000}},
		"a number beyond all clocks": {pool(1, 0, 1e-9), forecast.Lane{Jobs: 1 << 62}},
		"no jobs":                    {pool(10, 0, 80), forecast.Lane{}},
	} {
		lanes := []forecast.Lane{c.lane}
		require.Zero(t, forecast.Last(lanes, c.pool.Drain(lanes)), name)
	}
}

func BenchmarkDrainAMillionOverTwoHundredSenders(b *testing.B) {
	p := forecast.Pool{Window: forecast.Window{Limit: 100_000}, Span: 24 * time.Hour, Now: noon}
	var lanes []forecast.Lane
	for i := range 200 {
		p.Senders = append(p.Senders, forecast.Sender{Window: forecast.Window{Limit: 10_000}, MPS: 80})
		lanes = append(lanes, forecast.Lane{Sender: i, Priority: 2, Jobs: 5000})
	}
	for b.Loop() {
		if forecast.Last(lanes, p.Drain(lanes)).IsZero() {
			b.Fatal("never out")
		}
	}
}
