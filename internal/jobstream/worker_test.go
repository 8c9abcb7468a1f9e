package jobstream_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/jobstream"
)

func TestWorkerHandlesEveryJobOfEveryPriority(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{})
	for _, p := range delivery.Priorities() {
		publishMany(t, js, p, 200)
	}
	var seen sync.Map
	tokens := make(chan string, 600)
	work(t, js, handlerFunc(func(_ context.Context, task delivery.Task) delivery.Settlement {
		seen.Store(task.Job.ID, true)
		tokens <- task.Token
		return ack()
	}), jobstream.WorkerConfig{Concurrency: 8})
	empties(t, js, jobstream.StreamJobs)

	distinct := make(map[string]bool)
	for range 600 {
		distinct[receive(t, tokens)] = true
	}
	require.Len(t, distinct, 600)
	for _, id := range []string{"high-0", "normal-100", "low-199"} {
		_, ok := seen.Load(id)
		require.True(t, ok, id)
	}
}

func TestWorkerDescribesTheDelivery(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{})
	before := time.Now()
	msg := nats.NewMsg(delivery.JobSubject(delivery.High, sender))
	msg.Data = []byte(`{"from":"` + address + `","to":"whatsapp:+4915112345678","body":"hi"}`)
	msg.Header.Set(nats.MsgIdHdr, "order-1")
	msg.Header.Set(delivery.HeaderAnnounced, "1")
	_, err := js.PublishMsg(t.Context(), msg)
	require.NoError(t, err)

	tasks := make(chan delivery.Task, 1)
	work(t, js, handlerFunc(func(_ context.Context, task delivery.Task) delivery.Settlement {
		tasks <- task
		return ack()
	}), jobstream.WorkerConfig{})
	task := receive(t, tasks)
	require.Equal(t, "order-1", task.Job.ID)
	require.Equal(t, delivery.High, task.Job.Priority)
	require.Equal(t, delivery.Resend, task.Job.OnUnknown)
	require.Equal(t, 1, task.Attempt)
	require.Regexp(t, "^[0-9a-f]{32}$", task.Token)
	require.Equal(t, "SLUICE_JOBS:1", task.Ref)
	require.WithinRange(t, task.Published, before, time.Now())
	require.True(t, task.Announced)
	require.True(t, task.Ended.IsZero())
}

// gauge counts the handlers inside it and remembers the most.
type gauge struct{ now, most atomic.Int64 }

func (g *gauge) enter() {
	n := g.now.Add(1)
	for m := g.most.Load(); n > m && !g.most.CompareAndSwap(m, n); m = g.most.Load() {
	}
}

func (g *gauge) leave() { g.now.Add(-1) }

func TestHighPriorityIsNotStarved(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{})
	publishCrowd(t, js, delivery.Normal, 1000, 16)

	const concurrency, ownSlot = 4, 1
	var inside gauge
	open, urgent := make(chan struct{}), make(chan string, 1)
	work(t, js, handlerFunc(func(_ context.Context, task delivery.Task) delivery.Settlement {
		if task.Job.Priority == delivery.High {
			urgent <- task.Job.ID
			return ack()
		}
		inside.enter()
		defer inside.leave()
		<-open
		return ack()
	}), jobstream.WorkerConfig{Concurrency: concurrency})
	require.Eventually(t, func() bool { return inside.now.Load() == concurrency+ownSlot }, patience, tick)

	for _, id := range []string{"otp-1", "otp-2"} { // the second finds the lane's own slot free again
		publish(t, js, job(id, delivery.High))
		require.Equal(t, id, receive(t, urgent))
	}
	close(open)
	empties(t, js, jobstream.StreamJobs)
	require.EqualValues(t, concurrency+ownSlot, inside.most.Load())
}

func TestSlotsBoundWhatIsInHand(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{})
	for _, p := range delivery.Priorities() {
		publishCrowd(t, js, p, 300, 16)
		for i := range 20 {
			task := job(string(p)+"-due-"+string(rune('a'+i)), p)
			task.From = "whatsapp:+" + crowd(16+i)
			publishDue(t, js, task)
		}
	}
	const concurrency, fast, ownSlots = 8, 2, 6
	var inside, normal gauge
	open := make(chan struct{})
	work(t, js, handlerFunc(func(_ context.Context, task delivery.Task) delivery.Settlement {
		inside.enter()
		defer inside.leave()
		if task.Job.Priority == delivery.Normal {
			normal.enter()
			defer normal.leave()
		}
		<-open
		return ack()
	}), jobstream.WorkerConfig{Concurrency: concurrency})
	require.Eventually(t, func() bool { return inside.now.Load() == concurrency+fast+ownSlots }, patience, tick)
	require.GreaterOrEqual(t, normal.now.Load(), int64(2)) // its own two at least, whatever the others do

	c, err := js.Consumer(t.Context(), jobstream.StreamJobs, "jobs-normal")
	require.NoError(t, err)
	require.LessOrEqual(t, c.CachedInfo().NumAckPending, concurrency+1+4*concurrency+32, "fetched beyond slots and shares")

	close(open)
	empties(t, js, jobstream.StreamJobs)
	require.EqualValues(t, concurrency+fast+ownSlots, inside.most.Load())
}

func TestEverySlotComesBack(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{})
	const concurrency, ownSlot = 8, 1
	var inside gauge
	var open atomic.Pointer[chan struct{}]
	work(t, js, handlerFunc(func(context.Context, delivery.Task) delivery.Settlement {
		inside.enter()
		defer inside.leave()
		<-*open.Load()
		return ack()
	}), jobstream.WorkerConfig{Concurrency: concurrency})
	for range 3 {
		gate := make(chan struct{})
		open.Store(&gate)
		publishCrowd(t, js, delivery.Normal, 50, 16)
		require.Eventually(t, func() bool { return inside.now.Load() == concurrency+ownSlot }, patience, tick)
		close(gate)
		empties(t, js, jobstream.StreamJobs)
		require.Eventually(t, func() bool { return inside.now.Load() == 0 }, patience, tick)
	}
}

func TestFetchesAreAsLargeAsSlotsAreFree(t *testing.T) {
	t.Parallel()
	js := &faulty{JetStream: ready(t, jobstream.Config{})}
	publishMany(t, js, delivery.Normal, 500)
	stop := work(t, js, handlerFunc(func(context.Context, delivery.Task) delivery.Settlement { return ack() }),
		jobstream.WorkerConfig{Concurrency: 100})
	empties(t, js, jobstream.StreamJobs)
	stop()
	require.EqualValues(t, 32, js.largest.Load())
}

func TestHeartbeatsKeepALongJob(t *testing.T) {
	t.Parallel()
	const ackWait = 3 * time.Second
	js := ready(t, jobstream.Config{AckWait: ackWait})
	publish(t, js, job("slow", delivery.Normal))

	var deliveries atomic.Int64
	open := make(chan struct{})
	work(t, js, handlerFunc(func(context.Context, delivery.Task) delivery.Settlement {
		deliveries.Add(1)
		<-open
		return ack()
	}), jobstream.WorkerConfig{AckWait: ackWait})
	require.Never(t, func() bool { return deliveries.Load() > 1 }, ackWait+ackWait/2, tick)
	close(open)
	empties(t, js, jobstream.StreamJobs)
	require.EqualValues(t, 1, deliveries.Load())
}

func TestLostAcknowledgementLeadsToOneMoreDelivery(t *testing.T) {
	t.Parallel()
	const ackWait = 200 * time.Millisecond
	js := &faulty{JetStream: ready(t, jobstream.Config{AckWait: ackWait}), loseAck: true}
	publish(t, js, job("a", delivery.Normal))

	tasks := make(chan delivery.Task, 2)
	work(t, js, handlerFunc(func(_ context.Context, task delivery.Task) delivery.Settlement {
		tasks <- task
		return ack()
	}), jobstream.WorkerConfig{AckWait: ackWait})
	first, second := receive(t, tasks), receive(t, tasks)
	require.Equal(t, first.Ref, second.Ref)
	require.NotEqual(t, first.Token, second.Token)
	empties(t, js, jobstream.StreamJobs)
}

func TestPanicIsLoggedAndTheJobComesBack(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{})
	publish(t, js, job("a", delivery.Normal))

	var log lockedBuffer
	calls := make(chan time.Time, 2)
	var once sync.Once
	work(t, js, handlerFunc(func(context.Context, delivery.Task) delivery.Settlement {
		calls <- time.Now()
		once.Do(func() { panic("out of cheese") })
		return ack()
	}), jobstream.WorkerConfig{Log: slog.New(slog.NewTextHandler(&log, nil)), PanicRest: time.Second})
	first, second := receive(t, calls), receive(t, calls)
	require.GreaterOrEqual(t, second.Sub(first), time.Second)
	empties(t, js, jobstream.StreamJobs)
	empties(t, js, jobstream.StreamWait)
	require.Contains(t, log.String(), "out of cheese")
	require.Contains(t, log.String(), "worker_test.go") // the stack
}

func TestHandedBackJobComesBackWhenAskedAndReadyIsAskedAgain(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{})
	var asked atomic.Int64
	gate := make(chan struct{})
	calls := make(chan time.Time, 2)
	var once sync.Once
	work(t, js, handlerFunc(func(context.Context, delivery.Task) delivery.Settlement {
		calls <- time.Now()
		s := ack()
		once.Do(func() {
			asked.Store(0)
			s = delivery.Settlement{Action: delivery.HandBack, At: time.Now().Add(2 * time.Second)}
		})
		return s
	}), jobstream.WorkerConfig{Ready: func(ctx context.Context) error {
		asked.Add(1)
		select {
		case <-gate:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}})
	publish(t, js, job("a", delivery.Normal))
	require.Eventually(t, func() bool { return asked.Load() == 6 }, patience, tick) // each queue for itself
	require.Empty(t, calls)

	close(gate)
	first, second := receive(t, calls), receive(t, calls)
	require.WithinRange(t, second, first.Add(1900*time.Millisecond), first.Add(5*time.Second))
	require.Positive(t, asked.Load())
	empties(t, js, jobstream.StreamJobs)
}

func TestNotReadyIsTriedAgain(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{})
	publish(t, js, job("a", delivery.Normal))
	var asked atomic.Int64
	work(t, js, handlerFunc(func(context.Context, delivery.Task) delivery.Settlement { return ack() }),
		jobstream.WorkerConfig{Ready: func(context.Context) error {
			if asked.Add(1) <= 6 {
				return errors.New("gate unreachable")
			}
			return nil
		}})
	empties(t, js, jobstream.StreamJobs)
}

func TestStopLetsHandlersFinish(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{})
	publish(t, js, job("a", delivery.Normal))
	started, open := make(chan struct{}), make(chan struct{})
	var cut atomic.Bool
	var handled atomic.Int64
	stop := work(t, js, handlerFunc(func(ctx context.Context, _ delivery.Task) delivery.Settlement {
		handled.Add(1)
		close(started)
		<-open
		cut.Store(ctx.Err() != nil)
		return ack()
	}), jobstream.WorkerConfig{})
	receive(t, started)

	stopped := make(chan struct{}, 1)
	go func() { stop(); stopped <- struct{}{} }()
	require.Never(t, func() bool { return len(stopped) > 0 }, time.Second, tick)
	publish(t, js, job("late", delivery.Normal))
	close(open)
	receive(t, stopped)
	require.False(t, cut.Load())
	require.EqualValues(t, 1, handled.Load())
	require.Eventually(t, func() bool { // the acknowledgement may still be on its way through the server
		return state(t, js, jobstream.StreamJobs).Msgs == 1 // the late one, untouched
	}, patience, tick)
}

func TestStopCutsOffAndHandsBack(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{})
	publish(t, js, job("a", delivery.Normal))
	started := make(chan struct{})
	stop := work(t, js, handlerFunc(func(ctx context.Context, _ delivery.Task) delivery.Settlement {
		close(started)
		<-ctx.Done()
		return delivery.Settlement{Action: delivery.HandBack}
	}), jobstream.WorkerConfig{DrainTimeout: 50 * time.Millisecond})
	receive(t, started)
	stop()

	again := make(chan string, 1) // long before the ack wait of 30 s
	work(t, js, handlerFunc(func(_ context.Context, task delivery.Task) delivery.Settlement {
		again <- task.Job.ID
		return ack()
	}), jobstream.WorkerConfig{})
	require.Equal(t, "a", receive(t, again))
}

func TestWorkerWaitsForItsStreams(t *testing.T) {
	t.Parallel()
	js := bare(t)
	handled := make(chan string, 1)
	work(t, js, handlerFunc(func(_ context.Context, task delivery.Task) delivery.Settlement {
		handled <- task.Job.ID
		return ack()
	}), jobstream.WorkerConfig{})
	require.NoError(t, jobstream.Setup(t.Context(), js, jobstream.Config{}))
	publish(t, js, job("a", delivery.Low))
	require.Equal(t, "a", receive(t, handled))
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
