package dispatcher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/messaging"
	"github.com/sluicehq/sluice/internal/tracing"
	"github.com/sluicehq/sluice/ratelimit"
)

// send takes a granted attempt through intent, POST and outcome.
func (d *Dispatcher) send(ctx context.Context, task delivery.Task, v ratelimit.Verdict, asked time.Time) Step {
	if step := d.tell(ctx, task, Step{Accepts: true}); step.Trouble != "" {
		return step
	}
	intent := delivery.Intent{
		Job: task.Job, Attempt: task.Attempt, Token: task.Token, At: v.Now,
		Pool: v.Pool, Counted: v.Counted, Category: task.Category, FreeForm: v.InWindow && task.Job.FreeForm(),
		Published: task.Published, Redriven: task.Redriven, Trace: tracing.Of(ctx),
	}
	// Once stored, the attempt counts as made. A crash from here on leaves an
	// outcome that nobody knows, and the next delivery looks for evidence.
	if _, err := d.log.Intent(ctx, intent); err != nil {
		return handBack("the log did not take the intent", err)
	}
	if err := d.wait(ctx, v.At.Sub(v.Now), asked); err != nil {
		return handBack("stopped before the turn came", err)
	}
	if d.elapsed(asked) >= d.grantLife() {
		// Another delivery may already be looking for what this one did, so
		// this one must not do it any more, nor settle anything.
		return handBack("this worker stood still beyond its grant; nothing was sent", nil)
	}
	begun := d.cfg.Clock()
	request, span := tracing.Start(ctx, "POST", task.Job.ID, trace.SpanKindClient)
	resource, err := d.provider.Create(request, d.message(task, intent))
	end := d.cfg.Clock()
	span.Note("sluice.sid", resource.SID)
	span.End(err)
	// The end is told on the gate's clock: it is compared with the grant when
	// evidence is looked for, by another worker on another machine.
	outcome := Outcome{SID: resource.SID, Fault: fault(err), End: v.Now.Add(end.Sub(asked))}
	d.observer.Posted(end.Sub(begun), end.Sub(task.Published), outcome.code(), err != nil)
	step := Decide(d.policy(), task, outcome)
	d.judge(&step, task, outcome)
	return d.conclude(task, step, asked)
}

// judge draws from an outcome what it says of the sender: one that gets nothing
// but unclear answers rests too, and when a sender or account begins or ends to
// be broken, the step tells.
func (d *Dispatcher) judge(step *Step, task delivery.Task, o Outcome) {
	sender := task.Job.Sender()
	change := d.health.answered(sender, d.account(sender), o.Fault)
	if o.Fault != nil && o.Fault.Kind == delivery.FaultUnknown && d.health.stormy(sender) {
		step.Trip = d.cfg.Probe
	}
	if change == same {
		return
	}
	e := delivery.Event{
		ID:   fmt.Sprintf("%s:%s", change, task.Token),
		Type: delivery.EventSender, At: o.End.UTC(), From: task.Job.Origin(), Reason: "sends again",
	}
	if change == broke {
		e.Reason, e.Error = "rests: "+step.Event.Reason, o.Fault.Described()
	}
	step.Sender = &e
}

// conclude makes an outcome true: first the log, then the slot, and the queue
// when this returns. It does so on a context of its own: what is known must be
// written down even while the worker is being stopped. A crash before the log
// has the outcome leaves the attempt unknown, which is settled by evidence; a
// crash after it leads back here, and the record says what was decided.
func (d *Dispatcher) conclude(task delivery.Task, step Step, asked time.Time) Step {
	// One ack wait after the grant others take the message for theirs, and may
	// have settled it. From then on an end may be told, but nothing promised
	// that only this message could keep.
	left := d.cfg.AckWait - d.elapsed(asked)
	if step.Settlement.Action == delivery.Ack {
		left = max(left, d.grantLife())
	}
	ctx, cancel := context.WithTimeout(context.Background(), left)
	defer cancel()
	if t := step.Event.Type; t == delivery.EventQueued || t == delivery.EventUnknown {
		// Best effort, and the first thing done: the log tells the gate too, but
		// later.
		if err := d.gate.Confirm(ctx, task.Job.ID, task.Attempt, task.Token); err != nil {
			d.cfg.Log.WarnContext(ctx, "slot not moved to the answer", "job", task.Job.ID, "error", err)
		}
	}
	if step.Trip > 0 {
		d.rest(ctx, task, step)
	}
	if step.Shut {
		// Best effort: the next attempt would be refused once more.
		if err := d.gate.ShutWindow(ctx, task.Job.Sender(), delivery.CustomerKey(task.Job.To), step.Event.At); err != nil {
			d.cfg.Log.WarnContext(ctx, "service window not shut", "job", task.Job.ID, "error", err)
		}
	}
	if step.OptOut && d.cfg.OptedOut != nil {
		// Before the event: once the job is over, no redelivery would record it.
		if err := d.cfg.OptedOut(ctx, task.Job.To, task.Job.Origin(), step.Event.At); err != nil {
			return handBack("the customer's opt-out was not recorded", err)
		}
	}
	if step.Sender != nil {
		// Best effort: what rests, and why, can be read from the gate.
		if _, err := d.log.Append(ctx, *step.Sender); err != nil {
			d.cfg.Log.WarnContext(ctx, "not told that a sender rests, or no more", "sender", task.Job.Sender(), "error", err)
		}
	}
	told := d.tell(ctx, task, step)
	if step.GiveBack && told.Trouble == "" {
		// Best effort: a slot not given back is counted too long, never too
		// short, and the event in the log gives it back again.
		if err := d.gate.GiveBack(ctx, task.Job.ID, task.Attempt, task.Token); err != nil {
			d.cfg.Log.WarnContext(ctx, "slot not given back", "job", task.Job.ID, "error", err)
		}
	}
	return told
}

// rest tells the gate to park what else there is of a sender, or of its account,
// that cannot send. Best effort: a crash or an error leaves it to the next job
// to find out.
func (d *Dispatcher) rest(ctx context.Context, task delivery.Task, step Step) {
	until, trip := d.cfg.Clock().Add(step.Trip), d.gate.Trip
	if step.Account {
		trip = d.gate.TripAccount
	}
	reason := step.Event.Reason
	if e := step.Event.Error; e != nil {
		reason = fmt.Sprintf("%s: %d %s", reason, e.Code, e.Message)
	}
	if err := trip(ctx, task.Job.Sender(), reason, until); err != nil {
		d.cfg.Log.WarnContext(ctx, "the gate did not take the sender's rest", "sender", task.Job.Sender(), "error", err)
	}
}

// wait sleeps until the sender's rate lets the job go: the gate's horizon at
// most, counted from when the grant was asked for. Should the gate's clock have
// been set back since the turn was booked, it ends with the grant's life.
func (d *Dispatcher) wait(ctx context.Context, turn time.Duration, asked time.Time) error {
	left := min(turn, d.grantLife()) - d.cfg.Clock().Sub(asked)
	if left <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// grantLife is how long after its grant a POST may still begin: ack wait less
// send timeout, so that an attempt ends at the latest one ack wait after it.
func (d *Dispatcher) grantLife() time.Duration { return d.cfg.AckWait - d.cfg.SendTimeout }

// elapsed is how long ago the grant was asked for. Both clocks are read: the
// monotonic one stands still while the machine is suspended, the wall clock may
// be set back.
func (d *Dispatcher) elapsed(asked time.Time) time.Duration {
	now := d.cfg.Clock()
	return max(now.Sub(asked), now.Round(0).Sub(asked.Round(0)))
}

// maxValidity is the longest the provider keeps a message queued.
const maxValidity = 10 * time.Hour

func (d *Dispatcher) message(task delivery.Task, intent delivery.Intent) messaging.Message {
	job := task.Job
	m := messaging.Message{
		From: job.From, MessagingServiceSID: job.MessagingServiceSID, To: job.To,
		StatusCallback: fmt.Sprintf("%s/%s/%d#rc=5&rp=all", d.cfg.StatusURL, job.ID, task.Attempt),
		Validity:       maxValidity,
	}
	if intent.FreeForm {
		m.Body, m.MediaURL = job.Body, job.MediaURL
	} else {
		m.ContentSID, m.ContentVariables = job.ContentSID, variables(job.ContentVariables)
	}
	if !job.ExpiresAt.IsZero() {
		m.Validity = min(maxValidity, job.ExpiresAt.Sub(intent.At))
	}
	return m
}

func variables(v delivery.Variables) string {
	if len(v) == 0 {
		return ""
	}
	data, err := json.Marshal(v)
	if err != nil {
		panic("dispatcher: strings are always marshalled: " + err.Error())
	}
	return string(data)
}

// kinds says what the provider's classes of failure mean for a job.
var kinds = map[messaging.Class]delivery.FaultKind{
	messaging.Permanent:     delivery.FaultRejected,
	messaging.Template:      delivery.FaultRejected,
	messaging.Window:        delivery.FaultWindow,
	messaging.OptedOut:      delivery.FaultOptedOut,
	messaging.Retry:         delivery.FaultRetry,
	messaging.Later:         delivery.FaultLater,
	messaging.Throttled:     delivery.FaultThrottled,
	messaging.Limit:         delivery.FaultLimit,
	messaging.SenderBroken:  delivery.FaultSender,
	messaging.AccountBroken: delivery.FaultAccount,
	messaging.Unknown:       delivery.FaultUnknown,
}

// fault reads an error of the provider's client. One that says nothing is the
// worst: the outcome is unknown.
func fault(err error) *delivery.Fault {
	if err == nil {
		return nil
	}
	var f *messaging.Failure
	if !errors.As(err, &f) {
		return &delivery.Fault{Kind: delivery.FaultUnknown, Message: err.Error()}
	}
	kind, known := kinds[f.Class]
	if !known {
		kind = delivery.FaultUnknown
	}
	return &delivery.Fault{Kind: kind, Code: f.Code, Message: f.Message, RetryAfter: f.RetryAfter}
}
