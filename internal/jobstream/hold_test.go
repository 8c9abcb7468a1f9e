package jobstream_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/jobstream"
)

func TestJobThatAlwaysPanicsIsHeld(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{})
	publish(t, js, job("cursed", delivery.Normal))
	publish(t, js, job("fine", delivery.Normal))
	var cursed, fine atomic.Int64
	work(t, js, handlerFunc(func(_ context.Context, task delivery.Task) delivery.Settlement {
		if task.Job.ID == "fine" {
			fine.Add(1)
			return ack()
		}
		cursed.Add(1)
		panic("out of cheese")
	}), jobstream.WorkerConfig{PanicRest: time.Millisecond})

	held := requireHeld(t, js, "cursed")
	require.Equal(t, "handling it panicked 3 times", held.Reason)
	require.EqualValues(t, 3, cursed.Load())
	require.EqualValues(t, 1, fine.Load(), "the queue goes on")
}

// requireHeld waits for the job's held event and finds the job kept.
func requireHeld(t *testing.T, js jetstream.JetStream, id string) delivery.Event {
	t.Helper()
	var held []delivery.Event
	require.Eventually(t, func() bool {
		held = events(t, js, delivery.EventHeld)
		return len(held) == 1
	}, patience, tick)
	empties(t, js, jobstream.StreamJobs)
	empties(t, js, jobstream.StreamWait)
	kept, found, err := jobstream.NewLog(js).Payload(t.Context(), sender, id)
	require.NoError(t, err)
	require.True(t, found, "the payload waits with it")
	require.Equal(t, job(id, delivery.Normal), kept)
	require.Equal(t, id, held[0].Job)
	require.Equal(t, delivery.StatusHeld, held[0].Status)
	return held[0]
}

func TestFullRoomLeavesFreshJobsInTheirQueue(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{})
	var full atomic.Bool
	full.Store(true)
	publish(t, js, job("fresh", delivery.High))
	publishDue(t, js, job("waited", delivery.Normal))
	handled := make(chan string, 2)
	work(t, js, handlerFunc(func(_ context.Context, task delivery.Task) delivery.Settlement {
		handled <- task.Job.ID
		return ack()
	}), jobstream.WorkerConfig{Full: full.Load})

	require.Equal(t, "waited", receive(t, handled), "what comes out of the room is handled")
	require.EqualValues(t, 1, state(t, js, jobstream.StreamJobs).Msgs)
	full.Store(false)
	require.Equal(t, "fresh", receive(t, handled))
}
