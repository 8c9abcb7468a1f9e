package dispatcher

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/messaging"
	"github.com/sluicehq/sluice/ratelimit"
)

// settlePrior handles a delivery whose attempt was granted to an earlier one.
// It never sends. Either the earlier delivery's outcome is known, and this is
// a copy; or it is not, and after the grace evidence decides.
func (d *Dispatcher) settlePrior(ctx context.Context, task delivery.Task, v ratelimit.Verdict) Step {
	if v.Reason == ratelimit.ReasonArrived {
		return d.tell(ctx, task, arrived(task, v))
	}
	if v.SID != "" {
		return d.known(ctx, task, v)
	}
	// An attempt ends one ack wait after its grant at the latest. Until then
	// the earlier delivery may still be at work, and nothing is amiss. One that
	// is settled without a SID has ended, but perhaps not its job: it may have
	// died between writing down what comes next and moving the message.
	ended := task.Ended
	if latest := v.At.Add(d.cfg.AckWait); ended.IsZero() {
		if !v.Settled && v.Now.Before(latest) {
			return Step{Settlement: comeBack(task, latest, time.Time{})}
		}
		ended = latest
	}
	record, err := d.evidence.Record(ctx, task.Job.ID)
	if err != nil {
		return handBack("the ledger did not answer", err)
	}
	if record.ID == "" && v.Settled {
		return Step{Settlement: ack()} // its state is forgotten, and the gate is yet to follow
	}
	if over(record, task.Attempt) {
		if _, sent := record.Sent(task.Attempt); sent && record.Unknown(task.Attempt) {
			d.observer.Resolved("callback")
		}
		return Step{Settlement: ack()}
	}
	if record.Returns(task.Attempt) {
		// The tracker brings it back, once the gate has heeded why; from here it
		// would go before, and be refused for the same cause.
		return Step{Settlement: ack()}
	}
	if _, planned := record.Begun(task.Attempt); planned {
		return Step{Settlement: next(task, v.Now)} // decided, but perhaps not moved
	}
	intent, found, err := d.evidence.LastIntent(ctx, task.Job)
	if err != nil {
		return handBack("the log did not answer", err)
	}
	if !found || intent.Attempt < task.Attempt {
		if !record.Begins(task.Attempt) && !v.Now.Before(v.At.Add(d.cfg.AckWait)) {
			// Without an intent nothing was sent, and by now its grant is over,
			// so that nothing will be.
			d.observer.Resolved("not_sent")
			return d.tell(ctx, task, notSent(task, v.Now))
		}
		intent = delivery.Intent{Job: task.Job}
	}
	if due := ended.Add(d.cfg.UnknownGrace); v.Now.Before(due) {
		return d.tell(ctx, task, interrupted(task, ended, due))
	}
	return d.search(ctx, task, window{intent: intent, record: record, begun: v.At, ended: ended, now: v.Now})
}

// known: the gate has the SID. It is told once more, since a log that was restored
// from a backup may not have it; but a job whose state is forgotten stays so.
func (d *Dispatcher) known(ctx context.Context, task delivery.Task, v ratelimit.Verdict) Step {
	record, err := d.evidence.Record(ctx, task.Job.ID)
	if err != nil {
		return handBack("the ledger did not answer", err)
	}
	if record.ID == "" {
		return Step{Settlement: ack()}
	}
	return d.tell(ctx, task, taken(task, v.SID, v.Now, ""))
}

// expired: nobody wants the message any more. The copy that was stored for this
// time also comes where the job ended long ago and is forgotten, by the gate too;
// it must not make the job known again.
func (d *Dispatcher) expired(ctx context.Context, task delivery.Task, v ratelimit.Verdict) Step {
	if task.Moved {
		record, err := d.evidence.Record(ctx, task.Job.ID)
		if err != nil {
			return handBack("the ledger did not answer", err)
		}
		if record.ID == "" {
			return Step{Settlement: ack()}
		}
	}
	return d.tell(ctx, task, refuse(task, v))
}

// over reports whether the record shows that nothing is left to do for the
// attempt. A later attempt that has begun came from a stored message of its
// own, so this one may go. How an earlier attempt ended says nothing of this
// one, which a redrive has begun.
func over(r delivery.Record, attempt int) bool {
	_, sent := r.Sent(attempt)
	begun, _ := r.Begun(attempt)
	ended := r.Attempt >= attempt && (r.Status.Ended() || r.Status == delivery.StatusHeld)
	return sent || begun || ended
}

// next brings the job back at once for the attempt after this one.
func next(task delivery.Task, now time.Time) delivery.Settlement {
	return delivery.Settlement{Action: delivery.Schedule, At: now, Attempt: task.Attempt + 1}
}

func comeBack(task delivery.Task, at, ended time.Time) delivery.Settlement {
	return delivery.Settlement{Action: delivery.Schedule, At: at, Attempt: task.Attempt, Ended: ended}
}

// arrived: the attempt before this one, once unknown, reached the provider after
// all. Its message is this attempt's too, and nothing is sent.
func arrived(task delivery.Task, v ratelimit.Verdict) Step {
	e := task.Job.Happened(delivery.EventQueued, task.Attempt, v.Now, fmt.Sprintf("queued:%s:%d", v.SID, task.Attempt))
	e.SID, e.Reason = v.SID, "an earlier attempt arrived after all"
	return Step{Event: &e, Settlement: ack()}
}

// interrupted: the earlier delivery died, or stood still, with the attempt in
// its hands.
func interrupted(task delivery.Task, ended, due time.Time) Step {
	e := task.Job.Happened(delivery.EventUnknown, task.Attempt, ended,
		fmt.Sprintf("unknown:%s:%d", task.Job.ID, task.Attempt))
	e.Reason = "interrupted"
	return Step{Event: &e, Settlement: comeBack(task, due, ended)}
}

// notSent: the earlier delivery died between its grant and its intent. The
// error gives its place back.
func notSent(task delivery.Task, now time.Time) Step {
	e := task.Job.Happened(delivery.EventScheduled, task.Attempt+1, now,
		fmt.Sprintf("scheduled:%s:%d", task.Job.ID, task.Attempt+1))
	e.Reason = "interrupted before it was sent"
	e.Error = &delivery.Error{Message: "a dispatcher ended with the job in its hands"}
	return Step{Event: &e, Accepts: true, Settlement: next(task, now)}
}

// window is an attempt whose outcome is looked for: what is known of its job,
// and between which times its message came into being if there is one.
type window struct {
	intent       delivery.Intent
	record       delivery.Record
	begun, ended time.Time
	now          time.Time
}

// search asks the provider whether the message exists, and settles the attempt
// by the answer. The record was read after the grace, so a callback that named
// the SID in time has been seen.
func (d *Dispatcher) search(ctx context.Context, task delivery.Task, w window) Step {
	listed, err := d.provider.List(ctx, task.Job.To, task.Job.From, mostListed)
	if err != nil {
		d.cfg.Log.WarnContext(ctx, "messages could not be listed", "job", task.Job.ID, "error", err)
		return Step{Settlement: comeBack(task, w.now.Add(d.cfg.UnknownGrace), w.ended)}
	}
	rivals, err := d.evidence.Rivals(ctx, task.Job)
	if err != nil {
		return handBack("the other jobs of this customer could not be read", err)
	}
	// A message of an earlier attempt that was refused since proves nothing of
	// this one.
	listed = slices.DeleteFunc(outbound(listed, task.Job), func(m messaging.Resource) bool { return w.record.Refused(m.SID) })
	for {
		found := matching(listed, w, rivals, d.cfg.AckWait)
		if found < 0 {
			break
		}
		sid := listed[found].SID
		// From here on the SID is this job's. A crash before the event leads
		// back here, and the same SID is found and owned again.
		mine, err := d.evidence.Own(ctx, sid, task.Job.ID)
		if err != nil {
			return handBack("the owner of a SID could not be read", err)
		}
		if mine {
			d.observer.Resolved("found")
			return d.tell(ctx, task, taken(task, sid, w.now, "found in the provider's list"))
		}
		listed = slices.Delete(listed, found, found+1) // another job's: looked for among the others
	}
	step := unresolved(d.policy(), task, w)
	d.observer.Resolved(string(step.Event.Type))
	return d.tell(ctx, task, step)
}

// unresolved: the grace is over and there is no evidence of a message. The job
// says what then: a new attempt, or a person. A person too when it has happened
// too often: where nothing is ever found, something else is wrong.
func unresolved(p Policy, task delivery.Task, w window) Step {
	lost := w.record.Unclear(task.Redriven)
	if task.Job.OnUnknown == delivery.Hold || lost >= p.MaxUnknown {
		e := task.Job.Happened(delivery.EventHeld, task.Attempt, w.now,
			fmt.Sprintf("held:%s:%d", task.Job.ID, task.Attempt))
		e.Reason = "no evidence of the message"
		if task.Job.OnUnknown != delivery.Hold {
			e.Reason = fmt.Sprintf("no evidence of any of %d messages", lost)
		}
		return Step{Event: &e, Settlement: ack()}
	}
	// A crash after the event and before the move leads back to this attempt,
	// whose record then shows what was decided.
	e := task.Job.Happened(delivery.EventScheduled, task.Attempt+1, w.now,
		fmt.Sprintf("scheduled:%s:%d", task.Job.ID, task.Attempt+1))
	e.Reason = "no evidence of the message"
	return Step{Event: &e, Settlement: next(task, w.now)}
}
