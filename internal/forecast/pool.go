package forecast

import "time"

// Unlimited is a limit that lets any number through.
const Unlimited = -1

// Return says that some taken places come back at a time.
type Return struct {
	At     time.Time
	Places int64
}

// Window is a messaging limit and the places of it that are taken.
type Window struct {
	Limit   int64    // different customers per window, or [Unlimited]
	Returns []Return // the taken places, the first to come back first
}

// Pool is a messaging limit with the senders that share it.
type Pool struct {
	Window
	Reserved int64         // places that only high priority may take
	Span     time.Duration // how long a place is taken
	Now      time.Time
	Senders  []Sender
}

// Sender is one sender of a pool, with its own limit.
type Sender struct {
	Window
	MPS     float64       // messages a second
	Share   float64       // of it that is left now, above 0; grows back evenly. 0: all
	Regain  time.Duration // in which a share would grow from nothing to all
	From    time.Time     // sends nothing before; zero: sends now
	Stopped bool          // sends nothing until a person lets it
}

// Lane is a number of jobs alike. Each is for a customer of its own.
type Lane struct {
	Sender   int  // index in the pool's senders
	Priority int  // 0 goes first
	After    bool // behind the lanes of its priority that are not
	Placed   bool // the customers have their places: only the rate matters
	Jobs     int64
}

// horizon is how far ahead a forecast looks.
const horizon = 10 * 365 * 24 * time.Hour

// Drain says for each lane when its last job goes out: zero if never, not
// within ten years, or if it has none. Jobs go as the releaser lets them: as
// soon as a place and the rate allow, of those that could go at the same time
// the highest priority first.
//
// Up to 20,000 jobs each is followed by itself. More are taken together in
// equal portions, so that the answer costs milliseconds whatever waits; it is
// then late by no more than the time of one portion.
func (p Pool) Drain(lanes []Lane) []time.Time {
	r := p.begin(lanes)
	for r.step() {
	}
	out := make([]time.Time, len(lanes))
	for i, l := range r.lanes {
		if l.jobs > 0 && l.left == 0 {
			out[i] = p.Now.Add(l.last)
		}
	}
	return out
}

// Last is the latest of the times of lanes that have jobs; zero if one of them
// is never out, or if none has any.
func Last(lanes []Lane, out []time.Time) time.Time {
	var last time.Time
	for i, l := range lanes {
		switch {
		case l.Jobs <= 0:
		case out[i].IsZero():
			return time.Time{}
		case out[i].After(last):
			last = out[i]
		}
	}
	return last
}
