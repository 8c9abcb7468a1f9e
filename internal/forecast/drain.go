package forecast

import (
	"math"
	"sort"
	"time"
)

// fine is how many jobs are followed one by one.
const fine = 20_000

// run is one forecast under way. Times are offsets from the pool's now.
type run struct {
	portion int64
	span    time.Duration
	pool    window
	open    int64 // places that any priority may take
	senders []sender
	lanes   []lane
}

type sender struct {
	window
	cost  float64 // ns of the whole rate that one message takes
	slow  slowness
	rate  time.Duration // when the rate is free
	place time.Duration // when the next portion of places is free
	never bool
}

type lane struct {
	Lane
	jobs, left int64
	last       time.Duration
}

func (p Pool) begin(lanes []Lane) *run {
	r := &run{span: p.Span, pool: newWindow(p.Window, p.Now), open: p.Limit}
	if p.Limit != Unlimited {
		r.open = max(0, p.Limit-p.Reserved)
	}
	for _, s := range p.Senders {
		r.senders = append(r.senders, sender{
			window: newWindow(s.Window, p.Now), cost: float64(time.Second) / s.MPS,
			rate: max(0, s.From.Sub(p.Now)), never: s.Stopped || !(s.MPS > 0), slow: newSlowness(s.Share, s.Regain),
		})
	}
	var all int64
	for _, l := range lanes {
		r.lanes = append(r.lanes, lane{Lane: l, jobs: max(0, l.Jobs), left: max(0, l.Jobs)})
		all += max(0, l.Jobs)
	}
	r.portion = max(1, (all+fine-1)/fine)
	for i := range r.lanes { // no portion may be more than a limit ever has room for
		if limit := r.narrowest(&r.lanes[i]); limit > 0 {
			r.portion = min(r.portion, max(1, limit/4))
		}
	}
	for i := range r.senders {
		r.senders[i].place = r.senders[i].free(r.senders[i].limit, r.portion)
	}
	return r
}

// narrowest is the smallest limit that a lane's jobs must pass, or Unlimited.
func (r *run) narrowest(l *lane) int64 {
	if l.left == 0 || l.Placed {
		return Unlimited
	}
	own, shared := r.senders[l.Sender].limit, r.limit(l)
	if own == Unlimited || shared == Unlimited {
		return max(own, shared)
	}
	return min(own, shared)
}

func (r *run) limit(l *lane) int64 {
	if l.Priority == 0 {
		return r.pool.limit
	}
	return r.open
}

// step lets the next portion out, and reports whether there was one.
func (r *run) step() bool {
	// A portion's places in the pool, for high priority and for the others.
	places := [2]time.Duration{r.pool.free(r.pool.limit, r.portion), r.pool.free(r.open, r.portion)}
	best, when := -1, time.Duration(horizon)
	for i := range r.lanes {
		l := &r.lanes[i]
		if l.left == 0 {
			continue
		}
		s := &r.senders[l.Sender]
		at := s.rate
		if !l.Placed {
			at = max(at, s.place, places[min(l.Priority, 1)])
		}
		if s.never || at >= horizon {
			continue
		}
		if at < when || at == when && (best < 0 || before(l, &r.lanes[best])) {
			best, when = i, at
		}
	}
	if best < 0 {
		return false
	}
	r.take(&r.lanes[best], when)
	return true
}

// before orders lanes that could go at the same time. Among equals the longest
// goes: jobs parked at random leave so.
func before(a, b *lane) bool {
	switch {
	case a.Priority != b.Priority:
		return a.Priority < b.Priority
	case a.After != b.After:
		return b.After
	}
	return a.left > b.left
}

func (r *run) take(l *lane, at time.Duration) {
	n := min(r.portion, l.left)
	s := &r.senders[l.Sender]
	l.left -= n
	// The portion's last message goes when the rate has let the others out.
	l.last = s.slow.plus(at, s.cost*float64(n-1))
	s.rate = s.slow.plus(at, s.cost*float64(n))
	if l.Placed {
		return
	}
	s.window.take(n, plus(l.last, float64(r.span)))
	r.pool.take(n, plus(l.last, float64(r.span)))
	s.place = s.free(s.limit, r.portion)
}

// plus adds without overflow: beyond the horizon nothing is told apart.
func plus(at time.Duration, ns float64) time.Duration {
	return time.Duration(math.Min(float64(at)+math.Round(ns), float64(2*horizon)))
}

// window is the taken places of one limit in the order of their return.
type window struct {
	limit int64
	at    []time.Duration
	upTo  []int64 // how many places have come back by then
	taken int64   // ever
}

func newWindow(w Window, now time.Time) window {
	n := window{limit: w.Limit}
	for _, back := range w.Returns {
		if at := back.At.Sub(now); at > 0 && w.Limit != Unlimited {
			n.take(back.Places, at)
		}
	}
	return n
}

func (w *window) take(places int64, back time.Duration) {
	if w.limit == Unlimited {
		return
	}
	if n := len(w.at); n > 0 {
		back = max(back, w.at[n-1])
	}
	w.taken += places
	w.at, w.upTo = append(w.at, back), append(w.upTo, w.taken)
}

// free is when n places are free under the limit.
func (w *window) free(limit, n int64) time.Duration {
	if limit == Unlimited {
		return 0
	}
	must := w.taken - limit + n // so many must have come back by then
	if must <= 0 {
		return 0
	}
	i := sort.Search(len(w.at), func(i int) bool { return w.upTo[i] >= must })
	if i == len(w.at) {
		return horizon
	}
	return w.at[i]
}
