package sandbox

import (
	"container/list"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// Limit is how many different customers may be messaged per window outside
// their customer service windows.
type Limit int

// Unlimited is the limit of a sender in Meta's highest tier.
const Unlimited Limit = -1

// allows reports whether one more customer fits beside those already counted.
func (l Limit) allows(used int) bool {
	return l == Unlimited || used < int(l)
}

func larger(a, b Limit) Limit {
	if a == Unlimited || b == Unlimited {
		return Unlimited
	}
	return max(a, b)
}

// MarshalJSON writes a number, or "unlimited".
func (l Limit) MarshalJSON() ([]byte, error) {
	if l == Unlimited {
		return []byte(`"unlimited"`), nil
	}
	return strconv.AppendInt(nil, int64(l), 10), nil
}

// UnmarshalJSON reads an integer from 0, or "unlimited".
func (l *Limit) UnmarshalJSON(data []byte) error {
	if string(data) == `"unlimited"` {
		*l = Unlimited
		return nil
	}
	var n int
	if err := json.Unmarshal(data, &n); err != nil || n < 0 {
		return badField("limit", fmt.Sprintf("must be an integer from 0 or \"unlimited\", got %.40s", data))
	}
	*l = Limit(n)
	return nil
}

// window holds the customers counted in the last span, oldest first.
type window struct {
	span  time.Duration
	order *list.List // of stamp, by time
	known map[string]*list.Element
}

type stamp struct {
	customer string
	at       time.Time
}

func newWindow(span time.Duration) *window {
	return &window{span: span, order: list.New(), known: map[string]*list.Element{}}
}

// used returns how many customers are counted at now. A customer leaves exactly
// one span after the last send that counted.
func (w *window) used(now time.Time) int {
	for front := w.order.Front(); front != nil; front = w.order.Front() {
		oldest := front.Value.(stamp)
		if now.Sub(oldest.at) < w.span {
			break
		}
		w.order.Remove(front)
		delete(w.known, oldest.customer)
	}
	return w.order.Len()
}

// fits reports whether a send to customer stays within limit at now.
func (w *window) fits(customer string, limit Limit, now time.Time) bool {
	used := w.used(now)
	_, known := w.known[customer]
	return known || limit.allows(used)
}

// merge gives the place of one customer to another, who keeps one alone: the one
// that lasts longer.
func (w *window) merge(from, to string) {
	gone, ok := w.known[from]
	if !ok {
		return
	}
	delete(w.known, from)
	at := gone.Value.(stamp).at
	if kept, both := w.known[to]; both {
		if !at.After(kept.Value.(stamp).at) {
			w.order.Remove(gone)
			return
		}
		w.order.Remove(kept)
	}
	gone.Value = stamp{to, at}
	w.known[to] = gone
}

// count takes a place for customer, or refreshes the one it has. Times must not
// decrease from call to call.
func (w *window) count(customer string, now time.Time) {
	if old, ok := w.known[customer]; ok {
		w.order.Remove(old)
	}
	w.known[customer] = w.order.PushBack(stamp{customer, now})
}
