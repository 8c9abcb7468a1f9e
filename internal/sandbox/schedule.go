package sandbox

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// item is something to happen at a time: a message takes a step, its customer
// writes, or a webhook is posted.
type item struct {
	due    time.Time
	msg    *message // takes step; nil: hook is posted
	step   int
	says   string // what the customer writes; no step is taken
	silent bool   // no callback leaves
	nth    int    // place in the plan of its message
	hook   webhook
	order  uint64 // of insertion, among items due at once
}

// schedule holds what is still to happen. It runs on the real clock.
type schedule struct {
	wake chan struct{} // something was added or everything removed

	mu      sync.Mutex
	pending items
	added   uint64
	life    int // raised by clear; a webhook of an earlier life is not posted
}

func newSchedule() *schedule {
	return &schedule{wake: make(chan struct{}, 1)}
}

func (q *schedule) add(its ...item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.push(its)
}

// repeat adds a webhook again, unless the schedule was cleared since it left.
func (q *schedule) repeat(hook webhook, due time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if hook.life == q.life {
		q.push([]item{{due: due, hook: hook}})
	}
}

// push adds items and wakes run. The caller holds mu.
func (q *schedule) push(its []item) {
	for _, it := range its {
		q.added++
		it.order = q.added
		heap.Push(&q.pending, it)
	}
	q.nudge()
}

func (q *schedule) clear() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pending = nil
	q.life++
	q.nudge()
}

func (q *schedule) nudge() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take removes the items due at now, and returns how long until the next one
// and the present life.
func (q *schedule) take(now time.Time) (due []item, next time.Duration, life int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.pending) > 0 && !q.pending[0].due.After(now) {
		due = append(due, heap.Pop(&q.pending).(item))
	}
	next = time.Hour
	if len(q.pending) > 0 {
		next = q.pending[0].due.Sub(now)
	}
	return due, next, q.life
}

// run calls fire for every item when it is due and hands the webhooks to hooks
// as fast as they are taken, until ctx ends. Items fire on time even when
// nobody takes webhooks. What has not fired stays for the next run.
func (q *schedule) run(ctx context.Context, fire func(item) (webhook, bool), hooks chan<- webhook) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var ready []webhook
	for {
		due, next, life := q.take(time.Now())
		for _, it := range due {
			if hook, ok := fire(it); ok {
				hook.life = life
				ready = append(ready, hook)
			}
		}
		for len(ready) > 0 && ready[0].life != life {
			ready = ready[1:]
		}
		timer.Reset(next)
		var out chan<- webhook // nil, never ready, when there is nothing to hand over
		var first webhook
		if len(ready) > 0 {
			out, first = hooks, ready[0]
		}
		select {
		case out <- first:
			ready = ready[1:]
		case <-timer.C:
		case <-q.wake:
		case <-ctx.Done():
			return
		}
	}
}

// items is a heap by due time.
type items []item

func (h items) Len() int { return len(h) }
func (h items) Less(i, j int) bool {
	if h[i].due.Equal(h[j].due) {
		return h[i].order < h[j].order
	}
	return h[i].due.Before(h[j].due)
}
func (h items) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *items) Push(x any)   { *h = append(*h, x.(item)) }
func (h *items) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = item{} // let go of the message
	*h = old[:len(old)-1]
	return last
}
