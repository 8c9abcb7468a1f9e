package jobstream

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/delivery"
)

// Handler decides what becomes of one job. It is called from many goroutines,
// for one job perhaps at the same time, and has no errors to return: what it
// cannot decide it hands back. Its context ends when the worker has to stop
// at once; it should then return soon, with [delivery.HandBack].
type Handler interface {
	Handle(ctx context.Context, task delivery.Task) delivery.Settlement
}

// WorkerConfig tunes a [Worker].
type WorkerConfig struct {
	// Concurrency is how many jobs of any priority are handled at a time,
	// default 64. High priority has a quarter of that besides, and each of the
	// six queues one more. One sender has at most a quarter while others have
	// work, and three quarters alone; at most four times as many jobs wait for
	// their sender's share.
	Concurrency int
	// AckWait is that of [Config], default 30s: signs of life go out three times
	// in it.
	AckWait time.Duration
	// DrainTimeout is how long handlers may go on after the worker was told to
	// stop, default 25s; then their context ends.
	DrainTimeout time.Duration
	// Ready, if set, blocks while nothing can be handled, such as while the gate
	// is closed. It is asked before the first job and again after any was handed
	// back, by each queue for itself. An error means not ready.
	Ready func(context.Context) error
	// PanicRest is how long a job whose handling panicked rests before it is
	// tried again, default 5s. The third time it is held.
	PanicRest time.Duration
	// Full, if set, reports that the waiting room takes no more. Fresh jobs then
	// stay in their queue, which fills up and refuses publishers; what comes out
	// of the room is handled as ever.
	Full func() bool
	// Parked, if set, is told of every job that was moved to the waiting room,
	// and where it lies there.
	Parked func(context.Context, delivery.Parked) error
	// Lease, if set, says whether this worker is the one of all to do what only
	// one needs to do. Two who do it do no harm.
	Lease func(ctx context.Context, name string) (bool, error)
	// Log gets what goes wrong. Default: discarded.
	Log *slog.Logger
}

func (c WorkerConfig) withDefaults() WorkerConfig {
	c.Concurrency = cmp.Or(c.Concurrency, 64)
	c.AckWait = cmp.Or(c.AckWait, defaultAckWait)
	c.DrainTimeout = cmp.Or(c.DrainTimeout, 25*time.Second)
	if c.Ready == nil {
		c.Ready = func(ctx context.Context) error { return ctx.Err() }
	}
	c.PanicRest = cmp.Or(c.PanicRest, 5*time.Second)
	if c.Full == nil {
		c.Full = func() bool { return false }
	}
	if c.Parked == nil {
		c.Parked = func(context.Context, delivery.Parked) error { return nil }
	}
	if c.Lease == nil {
		c.Lease = func(context.Context, string) (bool, error) { return true, nil }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Worker takes jobs from the queues, has them handled and settles them. It owns
// slots and acknowledgements, and holds nothing that outlives it.
type Worker struct {
	js      jetstream.JetStream
	log     *Log
	handler Handler
	cfg     WorkerConfig
	slots   *slots
	shares  *shares
	inHand  *inHand
	lanes   []*lane
}

// NewWorker makes a worker. It does nothing until [Worker.Run].
func NewWorker(js jetstream.JetStream, log *Log, handler Handler, cfg WorkerConfig) *Worker {
	cfg = cfg.withDefaults()
	w := &Worker{
		js: js, log: log, handler: handler, cfg: cfg,
		slots: newSlots(cfg.Concurrency), shares: newShares(cfg.Concurrency), inHand: newInHand(),
	}
	for _, p := range delivery.Priorities() {
		w.lanes = append(w.lanes,
			newLane(w, StreamJobs, jobsConsumer(p), p),
			newLane(w, StreamWait, dueConsumer(p), p))
	}
	return w
}

const flushTimeout = 2 * time.Second

// Run works until ctx ends and then stops in order: no more fetching, handlers
// finish, those that take longer than the drain time-out are cut off and their
// jobs handed back. It returns when all have ended. Call it once.
func (w *Worker) Run(ctx context.Context) error {
	work, cutOff := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cutOff(nil)

	heart, stopHeart := context.WithCancel(work)
	var beating sync.WaitGroup
	beating.Go(func() { w.inHand.beat(heart, w.cfg.AckWait/3) })

	var fetching, handling sync.WaitGroup
	for _, l := range w.lanes {
		if l.stream == StreamJobs {
			fetching.Go(func() { newOvertaker(l).run(ctx) })
		}
		fetching.Go(func() {
			l.run(ctx, func(msg jetstream.Msg, s *slot) {
				if first, ok := w.begin(held{l, msg}, s); ok {
					handling.Go(func() { w.work(work, first, s) })
				}
			})
		})
	}
	fetching.Wait()

	deadline := time.AfterFunc(w.cfg.DrainTimeout, func() { cutOff(errDrained) })
	for _, h := range w.shares.drain() {
		h.lane.handBack(work, h.msg, time.Now())
	}
	handling.Wait()
	deadline.Stop()
	stopHeart()
	beating.Wait()
	return w.flush(ctx)
}

// begin brings a message that has a slot into hand, and returns what to handle
// in the slot; false if the message has to wait for its sender's share.
func (w *Worker) begin(h held, s *slot) (held, bool) {
	w.inHand.add(h.msg)
	first, ok := w.shares.begin(h)
	if !ok {
		w.slots.give(s)
	}
	return first, ok
}

// work handles messages of one sender in a slot until none is left for it. A
// queue's own slot is given back as soon as can be: the queue waits with it.
func (w *Worker) work(ctx context.Context, h held, s *slot) {
	defer w.slots.give(s)
	who := h.party()
	for more := true; more; h, more = w.shares.end(who, w.slots.owned(s)) {
		h.lane.work(ctx, h.msg)
	}
}

// errDrained is the cause with which handlers are cut off.
var errDrained = fmt.Errorf("drain timeout: %w", context.Canceled)

// flush sends the last acknowledgements off before the caller closes the
// connection.
func (w *Worker) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	if err := w.js.Conn().FlushWithContext(ctx); err != nil {
		w.cfg.Log.Warn("last acknowledgements may be lost; their jobs are delivered again", "error", err)
	}
	return nil
}

// askAgain makes every lane ask whether the worker is ready: a job was handed
// back, and others would only follow it.
func (w *Worker) askAgain() {
	for _, l := range w.lanes {
		l.ask.Store(true)
	}
}
