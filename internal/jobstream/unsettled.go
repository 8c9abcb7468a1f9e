package jobstream

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/delivery"
)

// uncounted is how many deliveries of one message need no explanation. The
// queue counts a delivery alike whether the message was handed back in order,
// for a closed gate or a full log, or the process died with it in hand; only
// the latter, over and over, is the job's fault.
//
// So a job handed back for the uncounted time gets a fresh message, whose count
// begins anew. If a message comes more often all the same, its deliveries may
// have ended in deaths: it gets a fresh message too, which bears how many, and
// from then on each delivery is counted on a message before the job is handled.
// The count ends with whatever settles the job, a hand-back included. Where no
// fresh message can be stored the job is not handled, and cannot do any harm.
const uncounted = 24

// unsettled is how many deliveries of the job before this message may have
// ended in the death of a process. What producers write does not count.
func unsettled(msg jetstream.Msg) int {
	if !strings.HasPrefix(msg.Subject(), duePrefix) {
		return 0
	}
	return number(msg.Headers().Get(headerUnsettled))
}

// doubtful reports that what became of earlier deliveries has to be accounted
// for before the job is handled.
func doubtful(msg jetstream.Msg, meta *jetstream.MsgMetadata) bool {
	return meta.NumDelivered > uncounted || meta.NumDelivered > 1 && unsettled(msg) > 0
}

// worn reports that a message can't be left in its queue without the next
// delivery being in doubt.
func worn(msg jetstream.Msg) bool {
	meta, err := msg.Metadata()
	return err == nil && (meta.NumDelivered >= uncounted || unsettled(msg) > 0)
}

// renew counts one more delivery that may never have been settled, on a fresh
// message that comes at once; with too many the job is held. Once the message is
// stored the job is in the queue twice; a crash before the acknowledgement
// renews once more, under the same id.
func (l *lane) renew(ctx context.Context, msg jetstream.Msg, task delivery.Task) {
	count := max(uncounted, unsettled(msg)+1)
	if count >= maxUnsettled {
		l.hold(ctx, msg, task, fmt.Sprintf("delivered %d times and never settled", count))
		return
	}
	out, err := encodeTask(task)
	if err == nil {
		out.Subject = dueSubject(task.Job.Priority, task.Job.Sender())
		out.Header.Set(nats.MsgIdHdr, moveID("u", task, delivery.Settlement{}))
		out.Header.Set(headerUnsettled, strconv.Itoa(count))
		_, err = publish(ctx, l.w.js, out)
	}
	if err != nil {
		l.log.Warn("job was delivered often, and is not handled until its deliveries can be counted",
			"job", task.Job.ID, "error", err)
		l.leave(msg, time.Time{})
		return
	}
	l.log.Warn("job was delivered often and never settled", "job", task.Job.ID, "times", count)
	l.ack(msg, task.Job.ID)
}

// startOver hands a job back as a schedule, a fresh message. It reports false
// if that can't be stored.
func (l *lane) startOver(ctx context.Context, msg jetstream.Msg, at time.Time) bool {
	meta, err := msg.Metadata()
	if err != nil {
		return false
	}
	task, err := decodeDelivery(msg, meta)
	if err != nil {
		return false
	}
	again := delivery.Settlement{
		Action: delivery.Schedule, At: time.Now().Add(handBackDelay(at)), Attempt: task.Attempt, Ended: task.Ended,
	}
	if err := l.schedule(ctx, task, again); err != nil {
		l.log.Warn("job handed back often stays in its queue", "job", task.Job.ID, "error", err)
		return false
	}
	l.w.askAgain()
	l.ack(msg, task.Job.ID)
	return true
}
