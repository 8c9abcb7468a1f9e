package dispatcher

import (
	"errors"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/ratelimit"
)

// Step is what one delivery of a job comes to: what is true from now on, and
// what the queue does with the message.
type Step struct {
	Event      *delivery.Event // nil: nothing changed
	Settlement delivery.Settlement
	Accepts    bool            // the job's accepted event comes before, unless it is in the log
	GiveBack   bool            // the attempt certainly reached nobody: free its slot
	OptOut     bool            // the customer wants no messages of this sender
	Keep       bool            // no intent holds the payload: keep it in the log
	Trip       time.Duration   // above 0: the sender rests this long
	Account    bool            // with Trip: and so do all senders of its account
	Sender     *delivery.Event // the sender began or ended to rest
	Shut       bool            // the customer service window proved to be shut
	Trouble    string          // why nothing could be done, for the log line
	Err        error
}

func handBack(trouble string, err error) Step {
	return Step{
		Settlement: delivery.Settlement{Action: delivery.HandBack},
		Trouble:    trouble, Err: err,
	}
}

func ack() delivery.Settlement { return delivery.Settlement{Action: delivery.Ack} }

func isConflict(err error) bool { return errors.Is(err, ratelimit.ErrConflict) }

// refuse turns a verdict that does not let the job go into a step.
func refuse(task delivery.Task, v ratelimit.Verdict) Step {
	switch v.Outcome {
	case ratelimit.OutcomePark:
		return parked(task, v.Reason, v.Now)
	case ratelimit.OutcomeConflict:
		return conflict(task, v.Now)
	case ratelimit.OutcomeCanceled:
		return ended(task, delivery.EventCanceled, v.Now, "canceled before it was sent", nil)
	case ratelimit.OutcomeExpired:
		return ended(task, delivery.EventExpired, v.Now, "expires_at passed before it could be sent", nil)
	case ratelimit.OutcomeSuppressed:
		return ended(task, delivery.EventSuppressed, v.Now, v.Reason, nil)
	case ratelimit.OutcomeNoWindow:
		step := ended(task, delivery.EventFailed, v.Now, "no_window", errNoWindow)
		step.Keep = true
		return step
	case ratelimit.OutcomeEnded:
		return Step{Settlement: ack()} // a late copy: the log knows the end
	default:
		return handBack(fmt.Sprintf("the gate answered %q, which this version does not know", v.Outcome), nil)
	}
}

// errNoWindow is the refusal that the provider would send as error 63016.
var errNoWindow = &delivery.Error{
	Code:    63016,
	Message: "free form outside the customer service window: add content_sid, or wait until the customer writes",
}

// parked sends the job to the waiting room. The gate counts it as waiting
// already; a crash before the move brings the message back here.
func parked(task delivery.Task, reason string, now time.Time) Step {
	e := task.Job.Happened(delivery.EventParked, task.Attempt, now,
		fmt.Sprintf("parked:%s:%d", task.Ref, task.Attempt))
	e.Reason = reason
	return Step{
		Event: &e, Accepts: true,
		Settlement: delivery.Settlement{Action: delivery.Park, Attempt: task.Attempt},
	}
}

func postponed(task delivery.Task, now time.Time) Step {
	e := task.Job.Happened(delivery.EventScheduled, task.Attempt, now,
		fmt.Sprintf("scheduled:%s:%d", task.Job.ID, task.Attempt))
	e.Reason = "send_at"
	return Step{
		Event: &e, Accepts: true,
		Settlement: delivery.Settlement{Action: delivery.Schedule, At: inLife(task.Job, task.Job.SendAt), Attempt: task.Attempt},
	}
}

// inLife is at, or the job's expiry if that is earlier: then it has to end.
func inLife(job delivery.Job, at time.Time) time.Time {
	if !job.ExpiresAt.IsZero() && job.ExpiresAt.Before(at) {
		return job.ExpiresAt
	}
	return at
}

// conflict refuses a message that bears the id of a job with other content.
// Its attempt is 0 and its reason is known to [delivery.Record.Apply]: the job
// that was accepted under this id is untouched.
func conflict(task delivery.Task, now time.Time) Step {
	e := task.Job.Happened(delivery.EventRejected, 0, now, "rejected:"+task.Ref)
	e.Reason = delivery.ReasonConflict
	e.Error = &delivery.Error{Message: "id: belongs to a job with other content or another sender"}
	return Step{Event: &e, Settlement: ack()}
}

// ended ends the job here. The id is the same however often it is told.
func ended(task delivery.Task, t delivery.EventType, now time.Time, reason string, err *delivery.Error) Step {
	e := task.Job.Happened(t, task.Attempt, now, fmt.Sprintf("%s:%s:%d", t, task.Job.ID, task.Attempt))
	e.Reason, e.Error = reason, err
	return Step{Event: &e, Accepts: true, Settlement: ack()}
}
