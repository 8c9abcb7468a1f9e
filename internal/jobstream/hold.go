package jobstream

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/delivery"
)

// A job that cannot be handled must not come back for ever, nor be dropped: it
// is held for a person.
const (
	maxPanics    = 3
	maxUnsettled = 50 // far beyond what restarts and lost acknowledgements bring about
)

// comeAgain gives a job whose handling panicked another try, as it is the code
// that is broken; the third time it is held. The count travels with the job,
// so that all workers together try it three times.
func (l *lane) comeAgain(ctx context.Context, msg jetstream.Msg, task delivery.Task) {
	task.Panics++
	if task.Panics >= maxPanics {
		l.hold(ctx, msg, task, fmt.Sprintf("handling it panicked %d times", task.Panics))
		return
	}
	l.settle(ctx, msg, task, delivery.Settlement{
		Action: delivery.Schedule, At: time.Now().Add(l.w.cfg.PanicRest), Attempt: task.Attempt, Ended: task.Ended,
	})
}

// hold takes a job off the queue until a person decides. Its payload goes to
// the log first, then the event, then the acknowledgement: a crash in between
// repeats the rest under the same ids.
func (l *lane) hold(ctx context.Context, msg jetstream.Msg, task delivery.Task, reason string) {
	if err := l.keep(ctx, task, reason); err != nil {
		l.log.Warn("job could not be held, handed back", "job", task.Job.ID, "error", err)
		l.leave(msg, time.Time{})
		return
	}
	l.log.Error("job held", "job", task.Job.ID, "reason", reason)
	l.ack(msg, task.Job.ID)
}

func (l *lane) keep(ctx context.Context, task delivery.Task, reason string) error {
	if err := l.w.log.Keep(ctx, task.Job); err != nil {
		return err
	}
	e := task.Job.Happened(delivery.EventHeld, task.Attempt, time.Now(), "held:"+task.Ref)
	e.Reason = reason
	_, err := l.w.log.Append(ctx, e)
	return err
}
