package dispatcher_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/dispatcher"
)

// exact is a policy whose pauses are not spread.
var exact = dispatcher.Policy{MaxAttempts: 3, UnknownGrace: 30 * time.Second, Probe: time.Minute}

func TestDecide(t *testing.T) {
	t.Parallel()
	end := start.Add(2 * time.Second)
	type want struct {
		event   delivery.EventType
		action  delivery.Action
		after   time.Duration // of a schedule, from the end
		attempt int           // of the event
		free    bool
		trip    time.Duration
	}
	again := func(after time.Duration, attempt int) want {
		return want{event: delivery.EventScheduled, action: delivery.Schedule, after: after, attempt: attempt, free: true}
	}
	rests := func(attempt int, trip time.Duration) want {
		return want{event: delivery.EventParked, action: delivery.Park, attempt: attempt, free: true, trip: trip}
	}
	ends := func(e delivery.EventType, attempt int) want {
		return want{event: e, action: delivery.Ack, attempt: attempt, free: true}
	}
	open := func(attempt int) want {
		return want{event: delivery.EventUnknown, action: delivery.Schedule, after: exact.UnknownGrace, attempt: attempt}
	}
	const asked = 20 * time.Minute // longer than any pause of our own
	for _, c := range []struct {
		kind              delivery.FaultKind
		first, last, told want // attempt 1, attempt 3, attempt 1 with Retry-After
	}{
		{delivery.FaultRetry, again(time.Second, 2), ends(delivery.EventFailed, 3), again(asked, 2)},
		{delivery.FaultThrottled, again(time.Second, 2), again(4*time.Second, 4), again(asked, 2)},
		{delivery.FaultLater, again(2*time.Minute, 2), ends(delivery.EventFailed, 3), again(asked, 2)},
		{delivery.FaultLimit, rests(2, time.Minute), rests(4, time.Minute), rests(2, asked)},
		{delivery.FaultSender, rests(2, time.Minute), rests(4, time.Minute), rests(2, asked)},
		{delivery.FaultRejected, ends(delivery.EventFailed, 1), ends(delivery.EventFailed, 3), ends(delivery.EventFailed, 1)},
		{delivery.FaultAccount, rests(2, time.Minute), rests(4, time.Minute), rests(2, asked)},
		{delivery.FaultWindow, again(0, 2), ends(delivery.EventFailed, 3), again(0, 2)},
		{delivery.FaultOptedOut, ends(delivery.EventSuppressed, 1), ends(delivery.EventSuppressed, 3), ends(delivery.EventSuppressed, 1)},
		{delivery.FaultUnknown, open(1), open(3), open(1)},
		{"a kind of a later version", open(1), open(3), open(1)},
	} {
		for _, run := range []struct {
			attempt int
			asked   time.Duration
			want    want
		}{{1, 0, c.first}, {3, 0, c.last}, {1, asked, c.told}} {
			t.Run(fmt.Sprintf("%s/%d/%s", c.kind, run.attempt, run.asked), func(t *testing.T) {
				t.Parallel()
				task := taskOf(template("a"))
				task.Attempt = run.attempt
				fault := &delivery.Fault{Kind: c.kind, Code: 4711, Message: "why", RetryAfter: run.asked}
				step := dispatcher.Decide(exact, task, dispatcher.Outcome{Fault: fault, End: end})

				require.Equal(t, run.want.event, step.Event.Type)
				require.Equal(t, run.want.attempt, step.Event.Attempt)
				require.Equal(t, &delivery.Error{Code: 4711, Message: "why"}, step.Event.Error)
				require.NotEmpty(t, step.Event.Reason)
				require.True(t, end.Equal(step.Event.At))
				require.Equal(t, run.want.action, step.Settlement.Action)
				require.Equal(t, run.want.free, step.GiveBack)
				require.Equal(t, run.want.trip, step.Trip)
				if run.want.after > 0 {
					require.Equal(t, end.Add(run.want.after), step.Settlement.At)
				}
				comesBack := step.Settlement.Action != delivery.Ack
				unclear := run.want.event == delivery.EventUnknown
				if comesBack && !unclear {
					require.Equal(t, run.attempt+1, step.Settlement.Attempt, "only an unknown outcome is followed by the same attempt")
					require.Zero(t, step.Settlement.Ended)
				}
				if unclear {
					require.Equal(t, run.attempt, step.Settlement.Attempt)
					require.Equal(t, end, step.Settlement.Ended)
				}
			})
		}
	}
}

func TestDecideTaken(t *testing.T) {
	t.Parallel()
	step := dispatcher.Decide(exact, taskOf(template("a")), dispatcher.Outcome{SID: "SM1", End: start})
	require.Equal(t, delivery.EventQueued, step.Event.Type)
	require.Equal(t, "SM1", step.Event.SID)
	require.Equal(t, delivery.Ack, step.Settlement.Action)
	require.False(t, step.GiveBack)
	require.Zero(t, step.Trip)
}

func TestOutagesDoNotUseUpAttempts(t *testing.T) {
	t.Parallel()
	task := taskOf(template("a"))
	task.Attempt = 1000
	for _, f := range []delivery.Fault{{Kind: delivery.FaultRetry}, {Kind: delivery.FaultThrottled, Code: 20429}} {
		step := dispatcher.Decide(exact, task, dispatcher.Outcome{Fault: &f, End: start})
		require.Equal(t, delivery.EventScheduled, step.Event.Type, "nobody looked at the message")
	}
}

func TestRetryComesNoLaterThanTheExpiry(t *testing.T) {
	t.Parallel()
	task := taskOf(template("a"))
	task.Attempt = 2
	task.Job.ExpiresAt = start.Add(time.Second)
	step := dispatcher.Decide(exact, task, dispatcher.Outcome{Fault: &delivery.Fault{Kind: delivery.FaultLater}, End: start})
	require.Equal(t, task.Job.ExpiresAt, step.Settlement.At, "to be ended on time")
}

func TestOptOutAtTheProviderIsRecorded(t *testing.T) {
	t.Parallel()
	step := dispatcher.Decide(exact, taskOf(template("a")), dispatcher.Outcome{
		Fault: &delivery.Fault{Kind: delivery.FaultOptedOut, Code: 21610}, End: start,
	})
	require.True(t, step.OptOut)
	require.Equal(t, delivery.EventSuppressed, step.Event.Type)
}

func TestPausesGrowToTheLongest(t *testing.T) {
	t.Parallel()
	patient := exact
	patient.MaxAttempts = 100
	pause := func(p dispatcher.Policy, attempt int) time.Duration {
		task := taskOf(template("a"))
		task.Attempt = attempt
		step := dispatcher.Decide(p, task, dispatcher.Outcome{Fault: &delivery.Fault{Kind: delivery.FaultRetry}, End: start})
		return step.Settlement.At.Sub(start)
	}
	require.Equal(t, 4*time.Second, pause(patient, 3))
	require.Equal(t, 15*time.Minute, pause(patient, 40))

	spread := patient
	spread.Jitter = 1
	differ := map[time.Duration]bool{}
	for range 20 {
		d := pause(spread, 3)
		require.GreaterOrEqual(t, d, time.Duration(0))
		require.LessOrEqual(t, d, 8*time.Second+time.Nanosecond)
		differ[d] = true
	}
	require.Greater(t, len(differ), 1, "jobs that failed together must not come back together")
}
