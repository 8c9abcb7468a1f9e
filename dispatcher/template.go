package dispatcher

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/ratelimit"
)

// Templates knows the state of templates, from memory nearly always: it is
// asked before every send that has one.
type Templates interface {
	// Unfit returns what keeps the job's template, filled as it is, from going
	// outside the customer service window; nil where nothing is known to.
	Unfit(ctx context.Context, job delivery.Job) *Unfit
	// Category is the one that Meta put the job's template into, empty where
	// nobody knows.
	Category(ctx context.Context, job delivery.Job) delivery.Category
}

// Unfit is why a template cannot go. It says nothing about what the customer
// service window allows: free form, and the same content unapproved.
type Unfit struct {
	Field   string        // of the job, at fault
	Message string        // what is wrong with it
	Paused  bool          // it may go later: look again after Again
	Again   time.Duration // from now
}

// category is the job's where only the provider knows it.
func (d *Dispatcher) category(ctx context.Context, job delivery.Job) delivery.Category {
	if d.cfg.Templates == nil || !job.Template() || job.Category != "" {
		return ""
	}
	return d.cfg.Templates.Category(ctx, job)
}

func (d *Dispatcher) unfit(ctx context.Context, job delivery.Job) *Unfit {
	if d.cfg.Templates == nil || !job.Template() {
		return nil
	}
	return d.cfg.Templates.Unfit(ctx, job)
}

// request asks the gate for what is left of the job without its template. The
// gate answers by the customer service window, which it alone knows.
func (u *Unfit) request(r ratelimit.Request) ratelimit.Request {
	if u != nil {
		r.FreeForm, r.Template, r.TemplatePaused = true, false, u.Paused
	}
	return r
}

// refuse is [refuse] for a job whose template was looked at.
func (u *Unfit) refuse(task delivery.Task, v ratelimit.Verdict) Step {
	switch {
	case v.Outcome == ratelimit.OutcomePark && v.Reason == ratelimit.ReasonTemplatePaused && u != nil:
		return u.withheld(task, v.Now)
	case v.Outcome == ratelimit.OutcomeNoWindow && task.Job.Template():
		return u.refused(task, v.Now)
	default:
		return refuse(task, v)
	}
}

// withheld: the job waits, in nobody's way, until its template is looked at
// again. A crash before the move brings the message back here.
func (u *Unfit) withheld(task delivery.Task, now time.Time) Step {
	e := task.Job.Happened(delivery.EventParked, task.Attempt, now,
		fmt.Sprintf("withheld:%s:%d", task.Job.ID, task.Attempt)) // one event however often it is looked at
	e.Reason = ratelimit.ReasonTemplatePaused
	return Step{
		Event: &e, Accepts: true,
		Settlement: delivery.Settlement{Action: delivery.Schedule, At: inLife(task.Job, now.Add(u.Again)), Attempt: task.Attempt},
	}
}

// refused: the template will not go as it is. A message that nobody was
// promised anything for never becomes a job; a job that was accepted fails.
// The gate keeps its answer for later copies, when u may be nil.
func (u *Unfit) refused(task delivery.Task, now time.Time) Step {
	said := "content_sid: the template could not go when it was looked at"
	if u != nil {
		said = u.Field + ": " + u.Message
	}
	if !task.Announced && task.Attempt == 1 {
		e := task.Job.Happened(delivery.EventRejected, 0, now, "rejected:"+task.Ref)
		e.Reason, e.Error = said, &delivery.Error{Message: said}
		return Step{Event: &e, Settlement: ack()}
	}
	step := ended(task, delivery.EventFailed, now, "template", &delivery.Error{Message: said})
	step.Keep = true
	return step
}
