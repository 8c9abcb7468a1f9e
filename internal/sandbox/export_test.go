package sandbox

import (
	"bytes"
	"container/heap"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Sign is sign, for the tests of callbacks.
var Sign = sign

// View is everything a sandbox knows, to be compared with another's.
type View struct {
	Limits   Limits
	Messages []message
	Service  map[pair]time.Time
	Stopped  map[pair]bool
	Senders  map[string]sender
	Pools    map[string]string
	Open     []string // sid/item of what is still to happen
}

// Look returns the state of s. Fired are the webhooks that have left it and not
// arrived.
func Look(s *Sandbox, fired ...Fired) View {
	v := View{Limits: s.Limits(), Senders: map[string]sender{}, Pools: map[string]string{}}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.book.all {
		v.Messages = append(v.Messages, *m)
	}
	for id, snd := range s.senders {
		plain := *snd
		plain.counted = nil // shown by Limits
		v.Senders[id] = plain
	}
	for name, p := range s.pools {
		v.Pools[name] = fmt.Sprint(p.put != nil, p.limit(), slices.Sorted(maps.Keys(p.members)))
	}
	v.Service, v.Stopped = maps.Clone(s.service), maps.Clone(s.stopped)
	for _, it := range s.due.pending {
		of := it.hook.of
		if it.msg != nil {
			of = leaving{it.msg.sid, it.nth}
		}
		v.Open = append(v.Open, fmt.Sprint(of))
	}
	for _, hook := range fired {
		v.Open = append(v.Open, fmt.Sprint(hook.hook.of))
	}
	slices.Sort(v.Open)
	return v
}

// Fired is a webhook that left.
type Fired struct{ hook webhook }

// Fire lets the next thing happen, whenever it is due; more is false when
// nothing is planned.
func Fire(s *Sandbox) (left []Fired, more bool) {
	s.due.mu.Lock()
	if len(s.due.pending) == 0 {
		s.due.mu.Unlock()
		return nil, false
	}
	it := heap.Pop(&s.due.pending).(item)
	s.due.mu.Unlock()
	if hook, ok := s.fire(it); ok {
		left = append(left, Fired{hook})
	}
	return left, true
}

// Tell lets a webhook arrive.
func Tell(s *Sandbox, f Fired) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note(record{Told: &f.hook.of})
}

// Replay reads a journal into a new sandbox.
func Replay(cfg Config, data []byte) (*Sandbox, int64, error) {
	s := New(cfg)
	past := replay{box: s, open: map[string][]item{}}
	complete, err := past.read(bytes.NewReader(data))
	s.due.add(past.unfinished(time.Now())...)
	return s, complete, err
}
