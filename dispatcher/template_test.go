package dispatcher_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/dispatcher"
	"github.com/sluicehq/sluice/ratelimit"
)

// judge says one thing of every template.
type judge struct {
	unfit    *dispatcher.Unfit
	category delivery.Category
}

func (j judge) Unfit(context.Context, delivery.Job) *dispatcher.Unfit { return j.unfit }

func (j judge) Category(context.Context, delivery.Job) delivery.Category { return j.category }

// asked is a gate that gives one answer and keeps the question.
type asked struct {
	dispatcher.Gate
	answer  ratelimit.Verdict
	request ratelimit.Request
}

func (a *asked) Admit(_ context.Context, r ratelimit.Request) (ratelimit.Verdict, error) {
	a.request = r
	return a.answer, nil
}

func (a *asked) Claim(context.Context, string, string, string, time.Time) (ratelimit.Claimed, error) {
	return ratelimit.Claimed{}, nil
}

// told is a log that keeps events.
type told struct {
	dispatcher.Log
	events []delivery.Event
	kept   int
}

func (l *told) Append(_ context.Context, e delivery.Event) (uint64, error) {
	l.events = append(l.events, e)
	return uint64(len(l.events)), nil
}

func (l *told) Keep(context.Context, delivery.Job) error { l.kept++; return nil }

// quiet observes nothing.
type quiet struct{}

func (quiet) Admitted(string)                                {}
func (quiet) Posted(time.Duration, time.Duration, int, bool) {}
func (quiet) Resolved(string)                                {}

func TestAnUnfitTemplateIsSettledByTheWindow(t *testing.T) {
	t.Parallel()
	unapproved := &dispatcher.Unfit{Field: "content_sid", Message: "not approved"}
	paused := &dispatcher.Unfit{Field: "content_sid", Message: "paused", Paused: true, Again: time.Minute}
	noWindow := ratelimit.Verdict{Outcome: ratelimit.OutcomeNoWindow, Now: start}
	withheld := ratelimit.Verdict{Outcome: ratelimit.OutcomePark, Reason: ratelimit.ReasonTemplatePaused, Now: start}
	waits := ratelimit.Verdict{Outcome: ratelimit.OutcomePark, Reason: ratelimit.ReasonPaused, Now: start}
	expires := template("job")
	expires.ExpiresAt = start.Add(time.Second)

	for name, c := range map[string]struct {
		task    delivery.Task
		unfit   *dispatcher.Unfit
		answer  ratelimit.Verdict
		event   delivery.EventType
		attempt int
		action  delivery.Action
		at      time.Time
	}{
		"refused":            {taskOf(template("job")), unapproved, noWindow, delivery.EventRejected, 0, delivery.Ack, time.Time{}},
		"refused, accepted":  {announced(template("job"), 1), unapproved, noWindow, delivery.EventFailed, 1, delivery.Ack, time.Time{}},
		"refused, again":     {announced(template("job"), 3), unapproved, noWindow, delivery.EventFailed, 3, delivery.Ack, time.Time{}},
		"refused, forgotten": {announced(template("job"), 1), nil, noWindow, delivery.EventFailed, 1, delivery.Ack, time.Time{}},
		"paused":             {taskOf(template("job")), paused, withheld, delivery.EventParked, 1, delivery.Schedule, start.Add(time.Minute)},
		"paused, expires":    {taskOf(expires), paused, withheld, delivery.EventParked, 1, delivery.Schedule, start.Add(time.Second)},
		"waits anyhow":       {taskOf(template("job")), paused, waits, delivery.EventParked, 1, delivery.Park, time.Time{}},
		"free form":          {announced(freeForm("job", "Hi"), 1), nil, noWindow, delivery.EventFailed, 1, delivery.Ack, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gate, log := &asked{answer: c.answer}, &told{}
			d := dispatcher.New(gate, log, nil, nil, quiet{}, dispatcher.Config{
				Account: account, Templates: judge{unfit: c.unfit}, Clock: func() time.Time { return start },
			})
			settled := d.Handle(t.Context(), c.task)
			require.Equal(t, c.action, settled.Action)
			require.Equal(t, c.at, settled.At)
			last := log.events[len(log.events)-1]
			require.Equal(t, c.event, last.Type)
			require.Equal(t, c.attempt, last.Attempt)
			require.Equal(t, c.event == delivery.EventRejected, len(log.events) == 1 && log.kept == 0 && last.Attempt == 0,
				"what is rejected was never accepted")
			if c.unfit != nil && c.action == delivery.Ack {
				require.Equal(t, "content_sid: not approved", last.Error.Message)
			}
			if c.unfit != nil {
				require.Equal(t, []bool{true, false, c.unfit.Paused},
					[]bool{gate.request.FreeForm, gate.request.Template, gate.request.TemplatePaused})
			}
		})
	}
}

// TestTheTemplatesCategoryIsTold: a job that names no category has its
// template's in whatever is told of it, and one that names a category keeps it.
func TestTheTemplatesCategoryIsTold(t *testing.T) {
	t.Parallel()
	named := template("job")
	named.Category = delivery.Authentication
	later := template("job")
	later.SendAt = start.Add(time.Hour)
	for name, c := range map[string]struct {
		job      delivery.Job
		meta     delivery.Category
		accepted delivery.Category
		then     delivery.Category
	}{
		"the template's":          {template("job"), delivery.Marketing, delivery.Marketing, delivery.Marketing},
		"the template's, at once": {later, delivery.Marketing, delivery.Marketing, delivery.Marketing},
		"its own":                 {named, delivery.Marketing, delivery.Authentication, delivery.Authentication},
		"nobody knows":            {template("job"), "", delivery.Utility, ""},
		"without a template":      {freeForm("job", "Hi"), delivery.Marketing, delivery.Utility, delivery.Utility},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gate := &asked{answer: ratelimit.Verdict{Outcome: ratelimit.OutcomePark, Reason: ratelimit.ReasonPaused, Now: start}}
			log := &told{}
			d := dispatcher.New(gate, log, nil, nil, quiet{}, dispatcher.Config{
				Account: account, Templates: judge{category: c.meta}, Clock: func() time.Time { return start },
			})
			d.Handle(t.Context(), taskOf(c.job))
			require.Len(t, log.events, 2)
			require.Equal(t, c.accepted, log.events[0].Category)
			require.Equal(t, c.then, log.events[1].Category, "what nobody knows is not told over what was known before")
		})
	}
}

func announced(job delivery.Job, attempt int) delivery.Task {
	task := taskOf(job)
	task.Announced, task.Attempt = true, attempt
	return task
}
