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
	foreign int
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

func (r *refusing) LastIntent(context.Context, string, string) (delivery.Intent, bool, error) {
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
	return ratelimit.PoolLimits{Senders: []ratelimit.SenderLimits{{Sender: refusingSender, MPS: 80}, {Sender: refusingOther, MPS: 80}}}, nil
}

func (r *refusing) Trip(_ context.Context, sender, _ string, until time.Time) error {
	r.trips[sender] = until
	return nil
}

// word is the provider's report that an attempt was refused, as the log has it.
func (r *refusing) word(attempt int) delivery.Event {
	e := delivery.Event{
		ID: fmt.Sprint("cb:SM", attempt), Type: delivery.EventUndelivered, At: r.now, Job: "j", Attempt: attempt,
		From: "whatsapp:+" + refusingSender, SID: fmt.Sprint("SM", attempt), Error: &delivery.Error{Code: delivery.CodeLimit},
	}.WaitsAgain()
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

	r.intent.Attempt = 2 // the attempt has begun: what comes late brings nothing
	require.NoError(t, r.Take(t.Context(), r.word(1)))
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

func TestAJobWithoutContentEnds(t *testing.T) {
	t.Parallel()
	r := newRefusing()
	r.intent = nil
	require.NoError(t, r.Take(t.Context(), r.word(1)))
	require.Empty(t, r.parked)
	require.Equal(t, delivery.EventUndelivered, r.told[0].Type)
}

// TestWhatRests: who was fast rests alone and briefly, else all of the pool do,
// longer each time, and what is said meanwhile is of messages from before.
func TestWhatRests(t *testing.T) {
	t.Parallel()
	r := newRefusing()
	r.recent = 700
	require.NoError(t, r.Take(t.Context(), r.word(1)))
	require.Equal(t, map[string]time.Time{refusingSender: r.now.Add(time.Second)}, r.trips)
	require.Zero(t, r.foreign)

	r = newRefusing()
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
