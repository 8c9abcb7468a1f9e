package jobstream_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/jobstream"
)

// TestASenderHasItsShareOfTheSlots: alone three quarters, so that another one
// finds a slot at once, and then a quarter.
func TestASenderHasItsShareOfTheSlots(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{})
	publishMany(t, js, delivery.Normal, 100)
	var first, second gauge
	step := make(chan struct{})
	work(t, js, handlerFunc(func(_ context.Context, task delivery.Task) delivery.Settlement {
		g := &first
		if task.Job.Sender() != sender {
			g = &second
		}
		g.enter()
		defer g.leave()
		<-step
		return ack()
	}), jobstream.WorkerConfig{Concurrency: 16})
	require.Eventually(t, func() bool { return first.now.Load() == 12 }, patience, tick)
	require.EqualValues(t, 12, first.most.Load())

	for i := range 8 {
		publishOf(t, js, fmt.Sprint("other-", i), crowd(1))
	}
	require.Eventually(t, func() bool { return second.now.Load() == 4 }, patience, tick, "a share of the slots at once")
	for range 12 { // as the first one's messages are done, only four are followed by others
		step <- struct{}{}
	}
	require.Eventually(t, func() bool { return first.now.Load()+second.now.Load() <= 8 }, patience, tick)
	require.EqualValues(t, 4, second.most.Load())
	close(step)
	empties(t, js, jobstream.StreamJobs)
}

func publishOf(t *testing.T, js jetstream.JetStream, id, from string) {
	t.Helper()
	one := job(id, delivery.Normal)
	one.From = "whatsapp:+" + from
	data, err := json.Marshal(one)
	require.NoError(t, err)
	publishRaw(t, js, delivery.JobSubject(delivery.Normal, from), data)
}

// TestAJobFarBehindIsBroughtForward: thousands of another sender's jobs stand
// before, and the worker is slow.
func TestAJobFarBehindIsBroughtForward(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{})
	const many = 5000
	publishMany(t, js, delivery.Normal, many)
	pace := time.NewTicker(1600 * time.Microsecond) // as fast as the worker is
	defer pace.Stop()
	var handled atomic.Int64
	var mu sync.Mutex
	var late []string
	stop := work(t, js, handlerFunc(func(_ context.Context, task delivery.Task) delivery.Settlement {
		if task.Job.Sender() == sender {
			handled.Add(1)
			<-pace.C
			return ack()
		}
		mu.Lock()
		late = append(late, task.Job.ID)
		mu.Unlock()
		return ack()
	}), jobstream.WorkerConfig{Concurrency: 16})
	var want []string
	for i := range 5 {
		want = append(want, fmt.Sprint("other-", i))
		publishOf(t, js, want[i], crowd(1))
	}
	require.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(late) == len(want)
	}, patience, tick)
	require.Less(t, handled.Load(), int64(many/2), "its turn had come by itself")
	stop()
	slices.Sort(late)
	require.Equal(t, want, late, "once each")
	stream, err := js.Stream(t.Context(), jobstream.StreamJobs)
	require.NoError(t, err)
	require.Positive(t, stream.CachedInfo().State.Msgs)
	empties(t, js, jobstream.StreamWait)
}

// TestWhatWaitsForAShareIsHandedBackAtTheEnd, so that another worker has it at
// once.
func TestWhatWaitsForAShareIsHandedBackAtTheEnd(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{})
	publishMany(t, js, delivery.Normal, 20)
	var inside gauge
	open := make(chan struct{})
	stop := work(t, js, handlerFunc(func(context.Context, delivery.Task) delivery.Settlement {
		inside.enter()
		defer inside.leave()
		<-open
		return ack()
	}), jobstream.WorkerConfig{Concurrency: 4})
	require.Eventually(t, func() bool {
		c, err := js.Consumer(t.Context(), jobstream.StreamJobs, "jobs-normal")
		return err == nil && inside.now.Load() == 3 && c.CachedInfo().NumAckPending > 3
	}, patience, tick)
	stopped := make(chan struct{})
	go func() { defer close(stopped); stop() }()
	var rest atomic.Int64
	work(t, js, handlerFunc(func(context.Context, delivery.Task) delivery.Settlement {
		rest.Add(1)
		return ack()
	}), jobstream.WorkerConfig{})
	require.Eventually(t, func() bool { return rest.Load() == 17 }, patience, tick, "while the first one still has its own in hand")
	close(open)
	receive(t, stopped)
	require.EqualValues(t, 3, inside.most.Load())
	empties(t, js, jobstream.StreamJobs)
	require.EqualValues(t, 17, rest.Load())
}
