package jobstream_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/jobstream"
)

const ofOurs = "Sluice-Unsettled"

func handBack() delivery.Settlement {
	return delivery.Settlement{Action: delivery.HandBack, At: time.Now()}
}

// deadly runs workers one after the other; each is gone with the job in hand.
// It returns when one does not get the job any more.
func deadly(t *testing.T, real jetstream.JetStream, most int) (deaths int) {
	t.Helper()
	for deaths < most {
		js := &faulty{JetStream: real}
		died := make(chan struct{}, 64)
		stop := work(t, js, handlerFunc(func(context.Context, delivery.Task) delivery.Settlement {
			js.dead.Store(true)
			died <- struct{}{}
			return handBack()
		}), jobstream.WorkerConfig{})
		for got := false; !got; {
			select {
			case <-died:
				deaths++
				got = true
			case <-time.After(tick):
				if len(events(t, real, delivery.EventHeld)) > 0 {
					stop()
					return deaths
				}
			}
		}
		stop()
	}
	return deaths
}

func TestJobThatKillsWhoHandlesItIsHeld(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{AckWait: 100 * time.Millisecond})
	publish(t, js, job("deadly", delivery.Normal))
	deaths := deadly(t, js, 60)
	held := requireHeld(t, js, "deadly")
	require.Equal(t, "delivered 50 times and never settled", held.Reason)
	// A dead worker that is slow to end may be given the job again: such a delivery
	// counts too, as long as the queue alone does the counting.
	require.LessOrEqual(t, deaths, 50)
	require.Greater(t, deaths, 30)
}

// TestOneOrderlyEndClearsTheDeaths: whatever killed thirty processes, it was not
// the job, nor is it once thirty more are dead.
func TestOneOrderlyEndClearsTheDeaths(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{AckWait: 100 * time.Millisecond})
	publish(t, js, job("unlucky", delivery.Normal))
	require.Equal(t, 30, deadly(t, js, 30))
	once := make(chan delivery.Task, 64)
	stop := work(t, js, handlerFunc(func(_ context.Context, task delivery.Task) delivery.Settlement {
		once <- task
		return delivery.Settlement{Action: delivery.HandBack, At: time.Now().Add(time.Second)}
	}), jobstream.WorkerConfig{})
	receive(t, once)
	stop()
	require.Equal(t, 30, deadly(t, js, 30))
	require.Empty(t, events(t, js, delivery.EventHeld))
}

// TestOrderlyHandBacksDoNotCount: for as long as the gate is closed or the log
// full, whether or not the store takes a fresh message, the job is not held.
func TestOrderlyHandBacksDoNotCount(t *testing.T) {
	t.Parallel()
	for name, full := range map[string]bool{"fresh messages": false, "store full": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			js := &faulty{JetStream: ready(t, jobstream.Config{})}
			js.full.Store(full)
			j := job("patient", delivery.Normal)
			j.Metadata = map[string]string{"order": "7"}
			publish(t, js.JetStream, j)
			var handBacks, lost atomic.Int64
			var done atomic.Bool
			work(t, js, handlerFunc(func(_ context.Context, task delivery.Task) delivery.Settlement {
				if task.Job.Metadata["order"] != "7" || task.Attempt != 1 {
					lost.Add(1)
				}
				if done.Load() {
					return ack()
				}
				handBacks.Add(1)
				return handBack()
			}), jobstream.WorkerConfig{})

			if full {
				deliveredTimes(t, js, 27) // some after its last handling
				require.EqualValues(t, 24, handBacks.Load(), "what cannot be counted is not handled")
				js.full.Store(false)
			}
			require.Eventually(t, func() bool { return handBacks.Load() >= 200 }, patience, tick)
			done.Store(true)
			empties(t, js, jobstream.StreamJobs)
			empties(t, js, jobstream.StreamWait)
			require.Empty(t, events(t, js, delivery.EventHeld))
			require.Zero(t, lost.Load())
		})
	}
}

// deliveredTimes waits until the only message of the jobs queue was delivered
// that often.
func deliveredTimes(t *testing.T, js jetstream.JetStream, n uint64) {
	t.Helper()
	require.Eventually(t, func() bool {
		c, err := js.Consumer(t.Context(), jobstream.StreamJobs, "jobs-normal")
		require.NoError(t, err)
		return c.CachedInfo().Delivered.Consumer >= n
	}, patience, tick)
}

// TestProducersCannotCountDeaths: the header is ours.
func TestProducersCannotCountDeaths(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{})
	msg := nats.NewMsg(delivery.JobSubject(delivery.Normal, sender))
	msg.Data = []byte(`{"id":"a","from":"` + address + `","to":"whatsapp:+4915112345678","body":"hi"}`)
	msg.Header.Set(ofOurs, "49")
	_, err := js.PublishMsg(t.Context(), msg)
	require.NoError(t, err)
	tasks := make(chan delivery.Task, 8)
	work(t, js, handlerFunc(func(_ context.Context, task delivery.Task) delivery.Settlement {
		tasks <- task
		if len(tasks) < 3 {
			return handBack()
		}
		return ack()
	}), jobstream.WorkerConfig{})
	empties(t, js, jobstream.StreamJobs)
	require.Len(t, tasks, 3)
	require.Empty(t, events(t, js, delivery.EventHeld))
}
