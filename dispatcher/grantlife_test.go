package dispatcher_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
)

// stall makes the worker stand still at one operation.
func (w *world) stall(at string, d time.Duration) {
	w.fault = func(_ int, op string, after bool) error {
		if op == at && after {
			w.clock.advance(d)
		}
		return nil
	}
}

func TestNothingIsSentAfterTheGrantsLife(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"admit", "event accepted", "intent"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.stall(at, grantLife)
			s := w.handler.Handle(t.Context(), taskOf(template("a")))
			require.Equal(t, delivery.HandBack, s.Action)
			require.Zero(t, w.phone.calls)
			require.NotEqual(t, delivery.StatusQueued, w.log.record("a").Status)

			w = newWorld(t)
			w.stall(at, grantLife-time.Nanosecond)
			s = w.handler.Handle(t.Context(), taskOf(template("a")))
			require.Equal(t, delivery.Ack, s.Action)
			require.Equal(t, 1, w.phone.calls)
		})
	}
}

func TestAfterItsLatestEndAnAttemptPromisesNothing(t *testing.T) {
	t.Parallel()
	for answer, told := range map[string]delivery.Status{
		"retry": delivery.StatusSending, "limit": delivery.StatusSending, vanish: delivery.StatusSending,
		ok: delivery.StatusQueued, "permanent": delivery.StatusFailed,
	} {
		t.Run(answer, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.phone.script = []string{answer}
			w.stall("post", ackWait)
			s := w.handler.Handle(t.Context(), taskOf(template("a")))
			require.Equal(t, told, w.log.record("a").Status)
			require.Equal(t, told == delivery.StatusSending, s.Action == delivery.HandBack)
		})
	}
}

// inRealTime is a world whose clock is the bubble's.
func inRealTime(t *testing.T, delay time.Duration) *world {
	w := newWorld(t)
	w.clock.real = time.Now
	w.gate.delay = delay
	return w
}

func TestTheTurnIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := inRealTime(t, 100*time.Millisecond)
		w.fault = func(_ int, op string, after bool) error {
			if op == "intent" && after {
				time.Sleep(60 * time.Millisecond) // of the turn, not on top of it
			}
			return nil
		}
		begun := time.Now()
		s := w.handler.Handle(t.Context(), taskOf(template("a")))
		require.Equal(t, delivery.Ack, s.Action)
		require.Equal(t, 100*time.Millisecond, time.Since(begun))
		require.Len(t, w.phone.messages, 1)
	})
}

func TestATurnBeyondTheGrantsLifeIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := inRealTime(t, time.Hour)
		begun := time.Now()
		s := w.handler.Handle(t.Context(), taskOf(template("a")))
		require.Equal(t, delivery.HandBack, s.Action)
		require.Equal(t, grantLife, time.Since(begun))
		require.Zero(t, w.phone.calls)
	})
}

func TestStoppedWhileWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := inRealTime(t, 100*time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		begun := time.Now()
		s := w.handler.Handle(ctx, taskOf(template("a")))
		require.Equal(t, delivery.HandBack, s.Action)
		require.Equal(t, 50*time.Millisecond, time.Since(begun))
		require.Zero(t, w.phone.calls)
	})
}

// TestAnOutcomeIsToldWhileStopping: what is known is written down although the
// worker's own context has ended.
func TestAnOutcomeIsToldWhileStopping(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	w.fault = func(_ int, op string, after bool) error {
		if op == "post" && after {
			cancel()
		}
		return nil
	}
	s := w.handler.Handle(ctx, taskOf(template("a")))
	require.Equal(t, delivery.Ack, s.Action)
	require.Equal(t, delivery.StatusQueued, w.log.record("a").Status)
}
