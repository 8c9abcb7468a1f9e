package jobstream

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/delivery"
)

const (
	handBackAfter = time.Second     // unless the handler says otherwise
	maxHandBack   = 5 * time.Second // a job handed back is held by the consumer; longer waits are schedules
)

// settle does what the handler decided. It moves first and acknowledges last.
func (l *lane) settle(ctx context.Context, msg jetstream.Msg, task delivery.Task, s delivery.Settlement) {
	var err error
	switch s.Action {
	case delivery.Ack:
	case delivery.Park:
		err = l.park(ctx, task, s)
	case delivery.Schedule:
		err = l.schedule(ctx, task, s)
	default:
		l.handBack(ctx, msg, s.At)
		return
	}
	if err != nil {
		l.log.Warn("job could not be moved, handed back", "job", task.Job.ID, "to", s.Action.String(), "error", err)
		l.leave(msg, time.Time{})
		return
	}
	l.ack(msg, task.Job.ID)
}

// ack ends a delivery. The job's fate is in the log, or its copy in the waiting
// room, before this; so the server's answer is not waited for, which would cost
// a round trip per job. A crash here, or an acknowledgement that is lost, leads
// to one more delivery, which finds the grant and sends nothing.
func (l *lane) ack(msg jetstream.Msg, job string) {
	l.w.inHand.remove(msg)
	if err := msg.Ack(); err != nil {
		l.log.Warn("acknowledgement not sent, job is delivered again", "job", job, "error", err)
	}
}

// handBack has the job come again at the given time, between now and 5 seconds,
// default one. As a rule its message stays where it is; one that was delivered
// often gives way to a fresh one, see [uncounted].
func (l *lane) handBack(ctx context.Context, msg jetstream.Msg, at time.Time) {
	if worn(msg) && l.startOver(ctx, msg, at) {
		return
	}
	l.leave(msg, at)
}

// leave leaves the message in its queue until then. If this is lost too, it
// comes back after the ack wait.
func (l *lane) leave(msg jetstream.Msg, at time.Time) {
	l.w.inHand.remove(msg)
	l.w.askAgain()
	if err := msg.NakWithDelay(handBackDelay(at)); err != nil {
		l.log.Warn("job not handed back, it is delivered again after the ack wait", "error", err)
	}
}

func handBackDelay(at time.Time) time.Duration {
	if at.IsZero() {
		return handBackAfter
	}
	return min(max(time.Until(at), time.Millisecond), maxHandBack)
}

// park moves a job to the waiting room. Once published it is both there and in
// the queue; a crash before the acknowledgement parks it once more, under the
// same id within the dedupe window, and as a copy beyond it, which the grant
// catches.
//
// A job with an expiry gets a copy that comes out at that time and is ended by
// the gate. It is stored first: a crash in between leaves a copy of a job that
// is still in the queue.
func (l *lane) park(ctx context.Context, task delivery.Task, s delivery.Settlement) error {
	parked, err := park(ctx, l.w.js, task, s)
	if err != nil {
		return err
	}
	// Best effort: the job lies in the room, and has its turn there.
	if err := l.w.cfg.Parked(ctx, parked); err != nil {
		l.log.DebugContext(ctx, "gate not told where a job lies", "job", task.Job.ID, "error", err)
	}
	return nil
}

func park(ctx context.Context, js jetstream.JetStream, task delivery.Task, s delivery.Settlement) (delivery.Parked, error) {
	if !task.Job.ExpiresAt.IsZero() {
		if err := expire(ctx, js, task, s); err != nil {
			return delivery.Parked{}, err
		}
	}
	out, err := onward(task, s)
	if err != nil {
		return delivery.Parked{}, err
	}
	out.Subject = parkedSubject(task.Job.Sender(), task.Job.Priority)
	out.Header.Set(nats.MsgIdHdr, moveID("p", task, s))
	ack, err := publish(ctx, js, out)
	if err != nil {
		return delivery.Parked{}, err
	}
	if s.Attempt > 0 {
		task.Attempt = s.Attempt
	}
	return delivery.Parked{Seq: ack.Sequence, Task: task}, nil
}

// schedule moves a job to the waiting room for a time.
func (l *lane) schedule(ctx context.Context, task delivery.Task, s delivery.Settlement) error {
	out, err := onward(task, s)
	if err != nil {
		return err
	}
	if s.At.IsZero() { // the server takes the zero time for none, and would never fire
		s.At = task.Published
	}
	out.Subject = scheduleSubject(task)
	out.Header.Set(nats.MsgIdHdr, moveID("s", task, s))
	return publishAt(ctx, l.w.js, out, task, s.At)
}

// expire makes sure that a parked job is looked at when it expires. Its subject
// names the job, so that a job which parks again has one such copy.
func expire(ctx context.Context, js jetstream.JetStream, task delivery.Task, s delivery.Settlement) error {
	out, err := onward(task, s)
	if err != nil {
		return err
	}
	out.Subject = expirySubject(task.Job.ID)
	out.Header.Set(nats.MsgIdHdr, moveID("x", task, s))
	return publishAt(ctx, js, out, task, task.Job.ExpiresAt)
}

func publishAt(ctx context.Context, js jetstream.JetStream, out *nats.Msg, task delivery.Task, at time.Time) error {
	out.Header.Set(headerSchedule, "@at "+formatTime(at))
	out.Header.Set(headerScheduleTarget, dueSubject(task.Job.Priority, task.Job.Sender()))
	_, err := publish(ctx, js, out)
	return err
}

// moveID names a move by the message moved and the attempt it is moved for,
// never by the job, which may be moved again within the dedupe window.
func moveID(kind string, task delivery.Task, s delivery.Settlement) string {
	return fmt.Sprintf("%s:%s:%d", kind, task.Ref, s.Attempt)
}

// onward is the task as its next delivery will have it.
func onward(task delivery.Task, s delivery.Settlement) (*nats.Msg, error) {
	if s.Attempt > 0 {
		task.Attempt = s.Attempt
	}
	task.Ended = s.Ended
	return encodeTask(task)
}

// refuse tells the log that a message is no job and takes it off the queue.
// After the append the refusal is known; a crash before the acknowledgement
// tells it once more, under the same id.
func (l *lane) refuse(ctx context.Context, msg jetstream.Msg, task delivery.Task, cause error) {
	if _, err := l.w.log.Append(ctx, refusal(msg.Subject(), task, cause, time.Now())); err != nil {
		l.log.Warn("message that is no job could not be refused, handed back", "message", task.Ref, "error", err)
		l.leave(msg, time.Time{})
		return
	}
	l.log.Info("message refused", "message", task.Ref, "reason", cause.Error())
	l.ack(msg, task.Job.ID)
}
