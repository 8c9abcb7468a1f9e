package dispatcher

import (
	"context"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/ratelimit"
)

// queue is one pool's part of the waiting room during one pass: the heads of
// its senders, in the order in which they are let out.
type queue struct {
	room    Room
	senders []string
	heads   map[lane]delivery.Parked
	behind  map[lane]uint64 // the last one that was looked at
	passes  map[lane]int
	empty   map[lane]bool // nothing parked, or the head may not go now
	cut     cuts          // lanes that were left in the middle
	lanes   []lane        // by priority, then sender
}

// cuts are the lanes that hold more jobs which may not go for their customers'
// sake than one look passes, and how far it came.
type cuts map[lane]uint64

// mostPassed is how many jobs of a lane are passed in one look at it: each
// costs a question to the gate.
const mostPassed = 64

type lane struct {
	sender   string
	priority delivery.Priority
}

// newQueue goes on in the lanes where the last look was cut short.
func newQueue(room Room, counts map[string]map[delivery.Priority]int64, senders []string, last cuts) *queue {
	q := &queue{
		room: room, senders: senders, heads: map[lane]delivery.Parked{}, behind: map[lane]uint64{},
		passes: map[lane]int{}, empty: map[lane]bool{}, cut: cuts{},
	}
	for _, priority := range delivery.Priorities() {
		for _, sender := range senders {
			if counts[sender][priority] > 0 {
				l := lane{sender, priority}
				q.lanes = append(q.lanes, l)
				q.behind[l] = last[l]
			}
		}
	}
	return q
}

// next is the head to look at now: of the highest priority that has any, the
// one parked first.
func (q *queue) next(ctx context.Context) (delivery.Parked, bool, error) {
	var first delivery.Parked
	for _, l := range q.lanes {
		if q.empty[l] {
			continue
		}
		if first.Seq != 0 && l.priority != first.Task.Job.Priority {
			break
		}
		head, err := q.head(ctx, l)
		if err != nil {
			return delivery.Parked{}, false, err
		}
		if head.Seq != 0 && (first.Seq == 0 || head.Seq < first.Seq) {
			first = head
		}
	}
	return first, first.Seq != 0, nil
}

func (q *queue) head(ctx context.Context, l lane) (delivery.Parked, error) {
	if head, ok := q.heads[l]; ok {
		return head, nil
	}
	head, ok, err := q.room.Head(ctx, l.sender, l.priority, q.behind[l])
	if err != nil {
		return delivery.Parked{}, err
	}
	if !ok {
		q.empty[l] = true
		return delivery.Parked{}, nil
	}
	q.heads[l] = head
	return head, nil
}

func laneOf(p delivery.Parked) lane { return lane{p.Task.Job.Sender(), p.Task.Job.Priority} }

// taken: the head goes, if it has not gone yet, and the one behind it comes up.
func (q *queue) taken(p delivery.Parked) {
	l := laneOf(p)
	delete(q.heads, l)
	q.behind[l] = p.Seq
}

// passed: the head may not go now for its customer's sake. The one behind it
// may be for another.
func (q *queue) passed(p delivery.Parked) {
	l := laneOf(p)
	delete(q.heads, l)
	q.behind[l] = p.Seq
	if q.passes[l]++; q.passes[l] >= mostPassed {
		q.empty[l], q.cut[l] = true, p.Seq
	}
}

// blocked: the head may not go now, and nobody passes it in its lane. Where that is
// for its sender's sake, nothing of the sender does: should it be resumed during
// this look, the next one begins with the highest priority.
func (q *queue) blocked(p delivery.Parked, reason string) {
	q.empty[laneOf(p)] = true
	if reason != ratelimit.ReasonSenderPaused && reason != ratelimit.ReasonRate {
		return
	}
	for _, l := range q.lanes {
		if l.sender == p.Task.Job.Sender() {
			q.empty[l] = true
		}
	}
}
