package jobstream

import (
	"context"
	"sync"

	"github.com/sluicehq/sluice/delivery"
)

// slots are what messages in hand are counted by. Each lane has one of its own;
// the lanes of high priority share a few; all share the rest. The own one
// is what a lane waits with, so that waiting never holds a shared one: a
// message that came on it moves to a shared one as soon as there is one.
type slots struct {
	mu      sync.Mutex
	free    [pools]int      // guarded by mu
	owners  map[*lane]*slot // who sits in a lane's own slot; guarded by mu
	changed chan struct{}   // closed and replaced when a slot gets free; guarded by mu
}

// pool is a set of slots that lanes share.
type pool int

const (
	shared pool = iota
	fast        // for high priority alone
	pools
	own pool = -1 // no pool: the lane's own slot
)

// slot is taken for one message.
type slot struct {
	lane *lane
	pool pool // guarded by slots.mu
}

func newSlots(concurrency int) *slots {
	return &slots{
		free:    [pools]int{shared: concurrency, fast: max(1, concurrency/4)},
		owners:  make(map[*lane]*slot),
		changed: make(chan struct{}),
	}
}

// take waits for the lane's own slot and adds shared ones as far as they are
// free, most in all. The slots are given back one by one.
func (s *slots) take(ctx context.Context, l *lane, most int) ([]*slot, error) {
	for {
		taken, changed := s.try(l, most)
		if len(taken) > 0 {
			return taken, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-changed:
		}
	}
}

func (s *slots) try(l *lane, most int) (taken []*slot, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sitting := s.owners[l]; sitting != nil {
		p, ok := s.fromPool(l)
		if !ok {
			return nil, s.changed
		}
		sitting.pool = p
	}
	first := &slot{lane: l, pool: own}
	s.owners[l] = first
	taken = append(taken, first)
	for len(taken) < most {
		p, ok := s.fromPool(l)
		if !ok {
			break
		}
		taken = append(taken, &slot{lane: l, pool: p})
	}
	return taken, nil
}

// fromPool takes a pooled slot, from the pool with fewer takers first.
func (s *slots) fromPool(l *lane) (pool, bool) {
	if l.priority == delivery.High && s.free[fast] > 0 {
		s.free[fast]--
		return fast, true
	}
	if s.free[shared] > 0 {
		s.free[shared]--
		return shared, true
	}
	return own, false
}

// owned reports whether a slot is a lane's own.
func (s *slots) owned(one *slot) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return one.pool == own
}

func (s *slots) give(back ...*slot) {
	if len(back) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, slot := range back {
		if slot.pool == own {
			delete(s.owners, slot.lane)
		} else {
			s.free[slot.pool]++
		}
	}
	close(s.changed)
	s.changed = make(chan struct{})
}
