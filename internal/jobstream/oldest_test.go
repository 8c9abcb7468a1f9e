package jobstream_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/jobstream"
)

// TestOldestReady is the job that waits longest for a worker, on any queue; it
// is not one that is parked or in hand.
func TestOldestReady(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{})
	room := jobstream.NewRoom(js)
	park(t, js, job("parked", delivery.High))
	_, ok, err := room.OldestReady(t.Context())
	require.NoError(t, err)
	require.False(t, ok, "what is parked is not ready")

	at := func(stream string) time.Time {
		t.Helper()
		s, err := js.Stream(t.Context(), stream)
		require.NoError(t, err)
		info, err := s.Info(t.Context())
		require.NoError(t, err)
		return info.State.LastTime
	}
	// A consumer hears of a stored message a moment after its publisher does.
	oldest := func() (since time.Time) {
		t.Helper()
		require.Eventually(t, func() bool {
			at, ok, err := room.OldestReady(t.Context())
			since = at
			return err == nil && ok
		}, 10*time.Second, 5*time.Millisecond)
		return since
	}
	publishDue(t, js, job("due", delivery.Low))
	due := at(jobstream.StreamWait)
	publishMany(t, js, delivery.High, 1)
	fresh := at(jobstream.StreamJobs)
	publishMany(t, js, delivery.Normal, 1)
	require.Eventually(t, func() bool { return oldest().Equal(due) }, 10*time.Second, 5*time.Millisecond, "the oldest of every queue")

	taken, open := make(chan string, 3), make(chan struct{})
	stop := work(t, js, handlerFunc(func(_ context.Context, task delivery.Task) delivery.Settlement {
		taken <- task.Job.ID
		<-open
		return ack()
	}), jobstream.WorkerConfig{Concurrency: 16}) // a quarter of them holds the sender's two that are not urgent
	for range 3 {
		receive(t, taken)
	}
	_, ok, err = room.OldestReady(t.Context())
	require.NoError(t, err)
	require.False(t, ok, "what is in hand is not ready")
	close(open)
	empties(t, js, jobstream.StreamJobs)
	stop()
	publishMany(t, js, delivery.Normal, 1)
	require.True(t, oldest().After(fresh), "what is done does not count")
}
