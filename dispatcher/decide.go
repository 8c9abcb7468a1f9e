package dispatcher

import (
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/sluicehq/sluice/delivery"
)

// Outcome is how a POST ended: a SID, or a fault.
type Outcome struct {
	SID   string
	Fault *delivery.Fault
	End   time.Time // on the gate's clock, as all times that are compared later
}

func (o Outcome) code() int {
	if o.Fault == nil {
		return 0
	}
	return o.Fault.Code
}

// Policy is what [Decide] goes by.
type Policy struct {
	MaxAttempts  int
	MaxUnknown   int
	UnknownGrace time.Duration
	Probe        time.Duration
	// Jitter is how far a pause is spread: 1 spreads it over ± its whole
	// length, so that jobs that failed together do not come back together.
	Jitter float64
}

func (d *Dispatcher) policy() Policy {
	return Policy{
		MaxAttempts: d.cfg.MaxAttempts, MaxUnknown: d.cfg.MaxUnknown,
		UnknownGrace: d.cfg.UnknownGrace, Probe: d.cfg.Probe, Jitter: 1,
	}
}

// Decide says what follows from the outcome of a POST. It is a function of
// its arguments but for the jitter of pauses.
func Decide(p Policy, task delivery.Task, o Outcome) Step {
	if o.Fault == nil {
		return taken(task, o.SID, o.End, "")
	}
	switch o.Fault.Kind {
	case delivery.FaultRetry, delivery.FaultLater, delivery.FaultThrottled:
		return retry(p, task, o)
	case delivery.FaultLimit, delivery.FaultSender, delivery.FaultAccount:
		return rest(p, task, o)
	case delivery.FaultOptedOut:
		step := refused(task, o, delivery.EventSuppressed)
		step.OptOut = true
		return step
	case delivery.FaultWindow:
		return outside(p, task, o)
	case delivery.FaultRejected:
		return refused(task, o, delivery.EventFailed)
	default: // FaultUnknown, and whatever is not known to be harmless
		return unknown(p, task, o)
	}
}

// taken: the provider has the message.
func taken(task delivery.Task, sid string, at time.Time, reason string) Step {
	e := task.Job.Happened(delivery.EventQueued, task.Attempt, at, "queued:"+sid)
	e.SID, e.Reason = sid, reason
	return Step{Event: &e, Settlement: ack()}
}

// refused: this message can never go, and nobody got it.
func refused(task delivery.Task, o Outcome, t delivery.EventType) Step {
	e := task.Job.Happened(t, task.Attempt, o.End, fmt.Sprintf("%s:%s:%d", t, task.Job.ID, task.Attempt))
	e.Reason, e.Error = "refused by the provider", o.Fault.Described()
	return Step{Event: &e, Settlement: ack(), GiveBack: true}
}

// unknown: the request was written and no answer could be read. The message
// waits as a schedule, in nobody's slot, until a callback had its time to come.
func unknown(p Policy, task delivery.Task, o Outcome) Step {
	e := task.Job.Happened(delivery.EventUnknown, task.Attempt, o.End,
		fmt.Sprintf("unknown:%s:%d", task.Job.ID, task.Attempt))
	e.Reason, e.Error = "no readable answer", o.Fault.Described()
	return Step{Event: &e, Settlement: delivery.Settlement{
		Action: delivery.Schedule, At: o.End.Add(p.UnknownGrace), Attempt: task.Attempt, Ended: o.End,
	}}
}

// retry: nothing was taken, and nothing is wrong with the message. The next
// POST is a new attempt.
func retry(p Policy, task delivery.Task, o Outcome) Step {
	if task.Tries() >= p.MaxAttempts && !harmless(o.Fault) {
		return givenUp(task, o)
	}
	return again(task, o, "retry", pause(p, task.Tries(), o.Fault))
}

func givenUp(task delivery.Task, o Outcome) Step {
	step := refused(task, o, delivery.EventFailed)
	step.Event.Reason = fmt.Sprintf("gave up after %d attempts", task.Tries())
	return step
}

// outside: the customer service window is shut, whatever the gate knew. A job
// that has a template goes as that.
func outside(p Policy, task delivery.Task, o Outcome) Step {
	if !task.Job.Template() {
		return refused(task, o, delivery.EventFailed)
	}
	if task.Tries() >= p.MaxAttempts {
		return givenUp(task, o)
	}
	step := again(task, o, "its template goes instead", 0)
	step.Shut = true
	return step
}

// again: nothing was taken, and the next attempt comes after a pause.
func again(task delivery.Task, o Outcome, reason string, pause time.Duration) Step {
	e := task.Job.Happened(delivery.EventScheduled, task.Attempt+1, o.End,
		fmt.Sprintf("scheduled:%s:%d", task.Job.ID, task.Attempt+1))
	e.Reason, e.Error = reason, o.Fault.Described()
	return Step{Event: &e, GiveBack: true, Settlement: delivery.Settlement{
		Action: delivery.Schedule, At: inLife(task.Job, o.End.Add(pause)), Attempt: task.Attempt + 1,
	}}
}

// harmless faults say nothing about the message: nobody looked at it. They may
// last as long as an outage does, and end with it or with the job's expiry.
func harmless(f *delivery.Fault) bool {
	return f.Kind == delivery.FaultThrottled || f.Kind == delivery.FaultRetry && f.Code == 0
}

// rest: the sender or its account cannot send, whatever the job. The job waits
// with all others of this sender and is the probe that goes first.
func rest(p Policy, task delivery.Task, o Outcome) Step {
	e := task.Job.Happened(delivery.EventParked, task.Attempt+1, o.End,
		fmt.Sprintf("parked:%s:%d", task.Ref, task.Attempt+1))
	e.Reason, e.Error = "the provider refuses this sender", o.Fault.Described()
	if o.Fault.Kind == delivery.FaultAccount {
		e.Reason = "the provider refuses the account"
	}
	return Step{
		Event: &e, GiveBack: true, Trip: max(p.Probe, o.Fault.RetryAfter), Account: o.Fault.Kind == delivery.FaultAccount,
		Settlement: delivery.Settlement{Action: delivery.Park, Attempt: task.Attempt + 1},
	}
}

// The first pause before a retry, by how soon the cause may be gone, and the
// longest.
const (
	soon     = time.Second
	longest  = 15 * time.Minute
	lateOnes = 2 * time.Minute
)

// pause is how long to wait after the given attempt: exponential with full
// jitter, and never shorter than the provider asked for.
func pause(p Policy, attempt int, f *delivery.Fault) time.Duration {
	b := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(soon),
		backoff.WithMultiplier(2),
		backoff.WithMaxInterval(longest),
		backoff.WithMaxElapsedTime(0),
		backoff.WithRandomizationFactor(p.Jitter),
	)
	if f.Kind == delivery.FaultLater {
		b.InitialInterval = lateOnes
		b.Reset()
	}
	d := b.NextBackOff()
	for range attempt - 1 {
		d = b.NextBackOff()
	}
	return max(d, f.RetryAfter)
}
