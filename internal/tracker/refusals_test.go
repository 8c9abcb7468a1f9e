package tracker_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/tracker"
	"github.com/sluicehq/sluice/ratelimit"
)

// refusing is everything around a Refusals, in memory.
type refusing struct {
	*tracker.Refusals
	now     time.Time
	record  delivery.Record
	intent  *delivery.Intent
	recent  int
	parked  []delivery.Task
	told    []delivery.Event
	trips   map[string]time.Time
	cuts    []time.Time // of the grants that were too fast
	uncut   bool        // they were granted before the last cut
	foreign int
	shut    []string // windows, and up to when
	unshut  error    // the gate does not shut any
	asked   string   // whose intent was asked for last
	fail    error
	behind  error // the projections lag
}

const refusingSender, refusingOther = "15550001111", "15550002222"

func newRefusing() *refusing {
	job := delivery.Job{ID: "j", From: "whatsapp:+" + refusingSender, To: "whatsapp:+4917000001", ContentSID: "HX1"}.WithDefaults("")
	r := &refusing{
		now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), trips: map[string]time.Time{},
		intent: &delivery.Intent{Job: job, Attempt: 1, Token: "t", Pool: "AC1"},
	}
	r.Refusals = tracker.NewRefusals(r, r, r, r, r, tracker.RefusalsConfig{
		Window: 24 * time.Hour, Foreign: func() { r.foreign++ }, CaughtUp: func(context.Context) error { return r.behind }, Clock: func() time.Time { return r.now }, Log: slog.New(slog.DiscardHandler),
	})
	return r
}

func (r *refusing) Get(context.Context, string) (delivery.Record, bool, error) {
	return r.record, true, nil
}

func (r *refusing) BySID(context.Context, string) (string, int, bool, error) {
	return "", 0, false, nil
}

func (r *refusing) Position(context.Context) (uint64, error) { return 0, nil }

func (r *refusing) LastIntent(_ context.Context, sender, _ string) (delivery.Intent, bool, error) {
	r.asked = sender
	if r.intent == nil {
		return delivery.Intent{}, false, nil
	}
	return *r.intent, true, nil
}

func (r *refusing) Park(_ context.Context, task delivery.Task) (delivery.Parked, error) {
	if r.fail == nil {
		r.parked = append(r.parked, task)
	}
	return delivery.Parked{}, r.fail
}

func (r *refusing) Append(_ context.Context, e delivery.Event) (uint64, error) {
	r.told = append(r.told, e)
	return 0, nil
}

func (r *refusing) Recent(context.Context, string, time.Duration) (int, error) { return r.recent, nil }

func (r *refusing) Limits(context.Context, string) (ratelimit.PoolLimits, error) {
	return ratelimit.PoolLimits{Senders: []ratelimit.SenderLimits{
		{Sender: refusingSender, MPS: 160, EffectiveMPS: 80}, {Sender: refusingOther, MPS: 80, EffectiveMPS: 80},
	}}, nil
}

func (r *refusing) Trip(_ context.Context, sender, _ string, until time.Time) error {
	r.trips[sender] = until
	return nil
}

func (r *refusing) CutRate(_ context.Context, _ string, sent time.Time) (float64, bool, error) {
	r.cuts = append(r.cuts, sent)
	return 40, !r.uncut, nil
}

func (r *refusing) ShutWindow(_ context.Context, sender, customer string, upTo time.Time) error {
	if r.unshut == nil {
		r.shut = append(r.shut, fmt.Sprint(sender, " ", customer, " ", upTo))
	}
	return r.unshut
}

// word is the provider's report that an attempt was refused, as the log has it.
func (r *refusing) word(attempt int) delivery.Event {
	e := delivery.Event{
		ID: fmt.Sprint("cb:SM", attempt), Type: delivery.EventUndelivered, At: r.now, Job: "j", Attempt: attempt,
		From: "whatsapp:+" + refusingSender, SID: fmt.Sprint("SM", attempt), Error: &delivery.Error{Code: delivery.CodeLimit},
	}.WaitsAgain(delivery.Intent{})
	r.record = r.record.Apply(e)
	return e
}

func TestARefusedJobComesBack(t *testing.T) {
	t.Parallel()
	r := newRefusing()
	require.NoError(t, r.Take(t.Context(), r.word(1)))
	require.Len(t, r.parked, 1)
	require.Equal(t, 2, r.parked[0].Attempt)
	require.Equal(t, r.intent.Job, r.parked[0].Job)
	require.Equal(t, delivery.StatusParked, r.record.Status)
	require.Equal(t, 2, r.record.Attempt)

	late := r.word(1)
	r.intent.Attempt = 2 // the attempt has begun: what comes late brings nothing
	require.NoError(t, r.Take(t.Context(), late))
	require.Len(t, r.parked, 1)
}

// TestAJobComesBackOnlyToAGateThatKnowsWhy: one that has the SID and not the
// refusal would say that the message arrived.
func TestAJobComesBackOnlyToAGateThatKnowsWhy(t *testing.T) {
	t.Parallel()
	r := newRefusing()
	r.behind = errBroken
	require.ErrorIs(t, r.Take(t.Context(), r.word(1)), errBroken)
	require.Empty(t, r.parked)
	require.Empty(t, r.told)
	r.behind = nil
	require.NoError(t, r.Take(t.Context(), r.word(1)))
	require.Len(t, r.parked, 1)
}

func TestThatAJobDoesNotComeBackComesAgain(t *testing.T) {
	t.Parallel()
	r := newRefusing()
	r.fail = errBroken
	require.ErrorIs(t, r.Take(t.Context(), r.word(1)), errBroken)
	r.fail = nil
	require.NoError(t, r.Take(t.Context(), r.word(1)))
	require.Len(t, r.parked, 1)
}

func TestAJobIsRefusedSoOftenAndNoMore(t *testing.T) {
	t.Parallel()
	r := newRefusing()
	for attempt := 1; attempt <= 5; attempt++ {
		r.intent.Attempt = attempt
		require.NoError(t, r.Take(t.Context(), r.word(attempt)))
		require.Len(t, r.parked, attempt)
		r.now = r.now.Add(24 * time.Hour)
	}
	r.intent.Attempt = 6
	require.NoError(t, r.Take(t.Context(), r.word(6)))
	require.Len(t, r.parked, 5)
	last := r.told[len(r.told)-1]
	require.Equal(t, delivery.EventUndelivered, last.Type)
	require.Equal(t, delivery.StatusUndelivered, r.record.Apply(last).Status)
}

// TestARedriveIsRefusedAnew: how often a job was refused before a person took it
// up again counts no more, and that they did is not forgotten.
func TestARedriveIsRefusedAnew(t *testing.T) {
	t.Parallel()
	r := newRefusing()
	for attempt := 1; attempt <= 12; attempt++ {
		r.intent.Attempt = attempt
		if attempt == 7 {
			r.intent.Redriven = 7
		}
		require.NoError(t, r.Take(t.Context(), r.word(attempt)))
		r.now = r.now.Add(24 * time.Hour)
	}
	var brought []int
	for _, task := range r.parked {
		brought = append(brought, task.Attempt)
		require.Equal(t, task.Attempt > 7, task.Redriven == 7)
	}
	require.Equal(t, []int{2, 3, 4, 5, 6, 8, 9, 10, 11, 12}, brought, "five times, and five times more")
}

// TestACanceledJobStaysCanceled: a person ended the job while the outcome of its
// message was open, and that the provider refused it brings no other.
func TestACanceledJobStaysCanceled(t *testing.T) {
	t.Parallel()
	r := newRefusing()
	r.record = r.record.Apply(r.intent.Job.Happened(delivery.EventHeld, 1, r.now, "held"))
	r.record = r.record.Apply(r.intent.Job.Happened(delivery.EventCanceled, 1, r.now, "canceled"))
	require.NoError(t, r.Take(t.Context(), r.word(1)))
	require.Empty(t, r.parked)
	require.Len(t, r.told, 1)
	r.record = r.record.Apply(r.told[0])
	require.Equal(t, delivery.StatusCanceled, r.record.Status)
	require.Equal(t, 2, r.record.Attempt)
}

// outside is the provider's word that an attempt went free form and must not.
func (r *refusing) outside(attempt int) delivery.Event {
	r.intent.Attempt, r.intent.FreeForm, r.intent.At = attempt, true, r.now
	e := delivery.Event{
		ID: fmt.Sprint("cb:SM", attempt), Type: delivery.EventUndelivered, At: r.now.Add(time.Second), Job: "j", Attempt: attempt,
		From: "whatsapp:+" + refusingSender, SID: fmt.Sprint("SM", attempt), Error: &delivery.Error{Code: delivery.CodeWindow},
	}.WaitsAgain(*r.intent)
	r.record = r.record.Apply(e)
	return e
}

func TestAShutWindowBringsTheTemplate(t *testing.T) {
	t.Parallel()
	r := newRefusing()
	r.intent.Job.Body = "hello"
	e := r.outside(1)
	r.unshut = errBroken
	require.ErrorIs(t, r.Take(t.Context(), e), errBroken)
	require.Empty(t, r.parked, "it would go free form again")
	r.unshut = nil
	require.NoError(t, r.Take(t.Context(), e))
	require.Equal(t, []string{fmt.Sprint(refusingSender, " 4917000001 ", r.now)}, r.shut, "what came since the grant still counts")
	require.Equal(t, []delivery.Task{{Job: r.intent.Job, Attempt: 2, Announced: true}}, r.parked)
	require.Empty(t, r.trips, "nobody was too fast")
	require.Zero(t, r.foreign)

	for attempt := 2; attempt <= 6; attempt++ { // the customer writes each time, and the provider will not know
		require.NoError(t, r.Take(t.Context(), r.outside(attempt)))
	}
	require.Len(t, r.parked, 5)
	require.Equal(t, delivery.EventUndelivered, r.told[0].Type)
	require.Equal(t, 63016, r.told[0].Error.Code)
}

// TestAServicesJobComesBack: the report names the number that the service chose,
// and the intent stands under the service.
func TestAServicesJobComesBack(t *testing.T) {
	t.Parallel()
	const service = "MG0123456789abcdef0123456789abcdef"
	r := newRefusing()
	r.intent.Job.From, r.intent.Job.MessagingServiceSID = "", service
	r.record = r.record.Apply(r.intent.Event())
	r.recent = 700
	require.NoError(t, r.Take(t.Context(), r.word(1)))
	require.Equal(t, service, r.asked)
	require.Len(t, r.parked, 1)
}

func TestAJobWithoutContentEnds(t *testing.T) {
	t.Parallel()
	r := newRefusing()
	r.intent = nil
	require.NoError(t, r.Take(t.Context(), r.word(1)))
	require.Empty(t, r.parked)
	require.Equal(t, delivery.EventUndelivered, r.told[0].Type)
}

// TestWhoWasFastGoesSlower: its rate is cut, it rests alone and briefly, and that
// is told. A message from before the cut changes nothing.
func TestWhoWasFastGoesSlower(t *testing.T) {
	t.Parallel()
	r := newRefusing()
	r.recent = 700 // near the rate that is left of a higher one
	r.intent.At = r.now.Add(-time.Second)
	for range 2 {
		require.NoError(t, r.Take(t.Context(), r.word(1)))
		require.Equal(t, map[string]time.Time{refusingSender: r.now.Add(time.Second)}, r.trips)
		require.Len(t, r.told, 1)
		r.uncut = true
	}
	require.Equal(t, []time.Time{r.intent.At, r.intent.At}, r.cuts)
	require.Zero(t, r.foreign)
	require.Equal(t, delivery.EventSender, r.told[0].Type)
	require.Contains(t, r.told[0].Reason, "40 a second")
	require.Len(t, r.parked, 2)
}

// TestWhatRests: who was not fast rests with all of the pool, longer each time,
// and what is said meanwhile is of messages from before.
func TestWhatRests(t *testing.T) {
	t.Parallel()
	r := newRefusing()
	r.recent = 10
	for _, long := range []time.Duration{30 * time.Second, 2 * time.Minute, 8 * time.Minute} {
		require.NoError(t, r.Take(t.Context(), r.word(1)))
		until := r.now.Add(long)
		want := map[string]time.Time{refusingSender: until, refusingOther: until}
		require.Equal(t, want, r.trips)
		told := len(r.told)
		r.now = r.now.Add(long / 2)
		require.NoError(t, r.Take(t.Context(), r.word(1)))
		require.Equal(t, want, r.trips)
		require.Len(t, r.told, told)
		r.now = until.Add(time.Second)
	}
	require.Equal(t, 6, r.foreign)
	require.Equal(t, delivery.EventPool, r.told[0].Type)
	r.now = r.now.Add(time.Hour) // quiet for long: from the beginning
	require.NoError(t, r.Take(t.Context(), r.word(1)))
	require.Equal(t, r.now.Add(30*time.Second), r.trips[refusingOther])
}
