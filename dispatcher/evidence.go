package dispatcher

import (
	"cmp"
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
		return Step{Settlement: ack()}
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
	if over(record, task.Attempt) {
		return Step{Settlement: ack()}
	}
	if _, planned := record.Begun(task.Attempt); planned {
		return Step{Settlement: next(task, v.Now)} // decided, but perhaps not moved
	}
	if due := ended.Add(d.cfg.UnknownGrace); v.Now.Before(due) {
		return d.tell(ctx, task, interrupted(task, ended, due))
	}
	return d.search(ctx, task, v, ended)
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

// search asks the provider whether the message exists, and settles the attempt
// by the answer. The record was read after the grace, so a callback that named
// the SID in time has been seen.
func (d *Dispatcher) search(ctx context.Context, task delivery.Task, v ratelimit.Verdict, ended time.Time) Step {
	listed, err := d.provider.List(ctx, task.Job.To, task.Job.From, mostListed)
	if err != nil {
		d.cfg.Log.WarnContext(ctx, "messages could not be listed", "job", task.Job.ID, "error", err)
		return Step{Settlement: comeBack(task, v.Now.Add(d.cfg.UnknownGrace), ended)}
	}
	for _, m := range candidates(listed, task.Job, v.At, ended) {
		// From here on the SID is this job's. A crash before the event leads
		// back here, and the same SID is found and owned again.
		mine, err := d.evidence.Own(ctx, m.SID, task.Job.ID)
		if err != nil {
			return handBack("the owner of a SID could not be read", err)
		}
		if mine {
			d.observer.Resolved("found")
			return d.tell(ctx, task, taken(task, m.SID, v.Now, "found in the provider's list"))
		}
	}
	d.observer.Resolved(string(task.Job.OnUnknown))
	return d.tell(ctx, task, unresolved(task, v.Now))
}

// mostListed bounds the search; the list is newest first and holds one pair of
// addresses only.
const mostListed = 100

// skew is how far the provider's whole seconds and its clock may be off ours.
const skew = 5 * time.Second

// candidates are the listed messages that may be the attempt's, the nearest in
// time first. Free form is told apart by its text; the text of a template is
// the provider's, so it tells nothing.
func candidates(listed []messaging.Resource, job delivery.Job, begun, ended time.Time) []messaging.Resource {
	var found []messaging.Resource
	for _, m := range listed {
		outbound := m.Direction == "" || m.Direction == "outbound-api"
		inTime := !m.DateCreated.Before(begun.Add(-skew)) && !m.DateCreated.After(ended.Add(skew))
		sameText := job.Template() || job.Body == m.Body
		if outbound && inTime && sameText && m.To == job.To && m.SID != "" {
			found = append(found, m)
		}
	}
	slices.SortFunc(found, func(a, b messaging.Resource) int {
		return cmp.Compare(a.DateCreated.Sub(begun).Abs(), b.DateCreated.Sub(begun).Abs())
	})
	return found
}

// unresolved: the grace is over and there is no evidence of a message. The job
// says what then: a new attempt, or a person.
func unresolved(task delivery.Task, now time.Time) Step {
	if task.Job.OnUnknown == delivery.Hold {
		e := task.Job.Happened(delivery.EventHeld, task.Attempt, now,
			fmt.Sprintf("held:%s:%d", task.Job.ID, task.Attempt))
		e.Reason = "no evidence of the message"
		return Step{Event: &e, Settlement: ack()}
	}
	// A crash after the event and before the move leads back to this attempt,
	// whose record then shows what was decided.
	e := task.Job.Happened(delivery.EventScheduled, task.Attempt+1, now,
		fmt.Sprintf("scheduled:%s:%d", task.Job.ID, task.Attempt+1))
	e.Reason = "no evidence of the message"
	return Step{Event: &e, Settlement: next(task, now)}
}
