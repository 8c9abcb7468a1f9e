package dashboard

import (
	"encoding/json"
	"fmt"
	"sort"
	"sync"

	"github.com/sluicehq/sluice/delivery"
)

// frame is an event as it goes to clients. It is shared by all of them.
type frame struct {
	seq      uint64
	event    delivery.Event
	sender   string // token of the sender it belongs to
	customer string

	once sync.Once
	data []byte
}

// newFrame is not ok for what this version cannot read.
func newFrame(e delivery.Entry) (f *frame, ok bool) {
	event, ok := e.AsEvent()
	if !ok || !event.Type.Known() { // an unknown type could hold line breaks
		return nil, false
	}
	return &frame{seq: e.Seq, event: event, sender: event.Sender(), customer: event.Customer()}, true
}

// frames are those of the entries that can be read.
func frames(entries []delivery.Entry) []*frame {
	all := make([]*frame, 0, len(entries))
	for _, e := range entries {
		if f, ok := newFrame(e); ok {
			all = append(all, f)
		}
	}
	return all
}

// text is the frame as server-sent events write it. It is made for the first
// client that wants it.
func (f *frame) text() []byte {
	f.once.Do(func() {
		data, err := json.Marshal(f.event)
		if err != nil {
			panic("dashboard: an event is always marshalled: " + err.Error())
		}
		f.data = fmt.Appendf(nil, "id: %d\nevent: %s\ndata: %s\n\n", f.seq, f.event.Type, data)
	})
	return f.data
}

// tail is the end of the log, in memory: one buffer, bounded, from which every
// client reads at its own place. Whoever adds never waits for a reader; a
// reader that falls out of the buffer has lost its place.
type tail struct {
	mu     sync.RWMutex
	ring   []*frame
	count  int           // frames ever added; the newest is ring[(count-1)%len(ring)]
	from   uint64        // from this sequence on nothing is missing
	next   uint64        // follows the last sequence seen
	grown  chan struct{} // closed, and made anew, when next moves
	latest *batch        // what was added last
	ready  chan struct{} // always closed
}

func newTail(size int) *tail {
	t := &tail{ring: make([]*frame, size), grown: make(chan struct{}), ready: make(chan struct{})}
	close(t.ready)
	return t
}

// begin sets where an empty tail starts.
func (t *tail) begin(seq uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.from, t.next = seq, seq
}

// add appends frames; next follows the last entry seen, readable or not.
func (t *tail) add(all []*frame, next uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range all {
		place := &t.ring[t.count%len(t.ring)]
		if *place != nil {
			t.from = (*place).seq + 1
		}
		*place = f
		t.count++
	}
	t.latest = &batch{from: t.next, next: next, frames: all}
	t.next = next
	close(t.grown)
	t.grown = make(chan struct{})
}

// end is the sequence that the next entry has at the least.
func (t *tail) end() uint64 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.next
}

// near reports whether a reader that is owed seq can go on here, with half the
// buffer to spare.
func (t *tail) near(seq uint64) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if far := t.count - len(t.ring)/2 - 1; far >= 0 {
		return seq > t.at(far).seq
	}
	return seq >= t.from
}

// at is the n-th frame ever added, which must still be held.
func (t *tail) at(n int) *frame { return t.ring[n%len(t.ring)] }

// portion is what a reader gets: frames in order, and what it is owed after
// them. ready is closed once there is more.
type portion struct {
	*batch
	ready <-chan struct{}
}

// since reads up to most frames from the sequence seq on. It is not ok for a
// reader that has lost its place.
func (t *tail) since(seq uint64, most int) (p portion, ok bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if seq < t.from {
		return portion{}, false
	}
	if t.latest != nil && seq == t.latest.from && len(t.latest.frames) <= most {
		return portion{t.latest, t.grown}, true
	}
	oldest := max(0, t.count-len(t.ring))
	first := oldest + sort.Search(t.count-oldest, func(i int) bool { return t.at(oldest+i).seq >= seq })
	last := min(t.count, first+most)
	own := &batch{from: seq, next: max(seq, t.next), frames: make([]*frame, 0, last-first)}
	p = portion{own, t.grown}
	for n := first; n < last; n++ {
		own.frames = append(own.frames, t.at(n))
	}
	if last < t.count {
		own.next, p.ready = t.at(last-1).seq+1, t.ready
	}
	return p, true
}
