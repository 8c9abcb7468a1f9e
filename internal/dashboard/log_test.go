package dashboard_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/sluicehq/sluice/delivery"
)

// memoryLog is a log whose writers and readers may be many.
type memoryLog struct {
	mu      sync.Mutex
	entries []delivery.Entry
	last    uint64
	grown   chan struct{}

	fail    atomic.Bool  // Last fails
	reading atomic.Int64 // followers at present
	most    atomic.Int64 // followers at once, at most
}

func newMemoryLog() *memoryLog { return &memoryLog{grown: make(chan struct{})} }

// put appends what an entry holds. Above 0, skip is how many sequences are
// left out before it, as where entries were removed.
func (l *memoryLog) put(skip uint64, entry delivery.Entry) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last += skip + 1
	entry.Seq, entry.Time = l.last, noon
	l.entries = append(l.entries, entry)
	close(l.grown)
	l.grown = make(chan struct{})
	return l.last
}

func (l *memoryLog) append(e delivery.Event) uint64 {
	return l.put(0, delivery.Entry{Event: &e})
}

// happen appends n events of one job.
func (l *memoryLog) happen(n int) {
	for range n {
		l.append(delivery.Event{ID: fmt.Sprint("e", n), Type: delivery.EventParked, At: noon, Job: "a", Attempt: 1})
	}
}

func (l *memoryLog) Last(context.Context) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail.Load() {
		return 0, errDown
	}
	return l.last, nil
}

func (l *memoryLog) after(from uint64, batch int) ([]delivery.Entry, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := len(l.entries)
	for first > 0 && l.entries[first-1].Seq >= from {
		first--
	}
	return l.entries[first:min(len(l.entries), first+batch)], l.grown
}

func (l *memoryLog) Follow(ctx context.Context, from uint64, batch int, fn func(context.Context, []delivery.Entry) error) error {
	now := l.reading.Add(1)
	defer l.reading.Add(-1)
	for most := l.most.Load(); now > most && !l.most.CompareAndSwap(most, now); most = l.most.Load() {
	}
	for {
		entries, grown := l.after(from, batch)
		if len(entries) > 0 {
			if err := fn(ctx, entries); err != nil {
				return err
			}
			from = entries[len(entries)-1].Seq + 1
			continue
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
