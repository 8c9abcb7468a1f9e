package jobstream

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/delivery"
)

const (
	maxFetch  = 32 // a fetch: the ack clock of all runs from here
	laneRetry = time.Second
	fullRetry = 250 * time.Millisecond
)

// lane is the loop over one consumer: a slot first, then a message.
type lane struct {
	w        *Worker
	stream   string
	name     string // the consumer
	priority delivery.Priority
	log      *slog.Logger

	ask atomic.Bool // whether Ready must be asked before the next fetch

	// Of the loop alone:
	consumer jetstream.Consumer
	flowing  bool   // the last fetch found something
	trouble  string // what last went wrong, to say it once
}

func newLane(w *Worker, stream, consumer string, p delivery.Priority) *lane {
	l := &lane{w: w, stream: stream, name: consumer, priority: p, log: w.cfg.Log.With("queue", consumer)}
	l.ask.Store(true)
	return l
}

// run fetches until ctx ends and starts each message with the slot taken for
// it.
func (l *lane) run(ctx context.Context, start func(jetstream.Msg, *slot)) {
	for ctx.Err() == nil {
		if l.stream == StreamJobs && l.w.cfg.Full() {
			sleep(ctx, fullRetry)
			continue
		}
		if l.ask.Swap(false) {
			if err := l.w.cfg.Ready(ctx); err != nil {
				l.ask.Store(true)
				l.pause(ctx, err)
				continue
			}
		}
		l.w.shares.room(ctx, l)
		most := 1
		if l.flowing {
			most = maxFetch
		}
		taken, err := l.w.slots.take(ctx, l, most)
		if err != nil {
			return
		}
		if l.ask.Load() { // something was handed back while this lane waited for a slot
			l.w.slots.give(taken...)
			continue
		}
		msgs, err := l.fetch(ctx, len(taken))
		for i, msg := range msgs {
			start(msg, taken[i])
		}
		l.w.slots.give(taken[len(msgs):]...)
		l.pause(ctx, err)
	}
}

// fetch waits for one message with the lane's own slot, and once messages flow
// takes as many as there are slots for.
func (l *lane) fetch(ctx context.Context, n int) ([]jetstream.Msg, error) {
	if l.consumer == nil {
		consumer, err := l.w.js.Consumer(ctx, l.stream, l.name)
		if err != nil {
			return nil, err
		}
		l.consumer = consumer
	}
	if l.flowing {
		msgs, err := takeReady(l.consumer, n)
		l.flowing = len(msgs) > 0
		return msgs, err
	}
	msg, err := waitForOne(ctx, l.w.js.Conn(), l.consumer)
	if msg == nil {
		return nil, err
	}
	l.flowing = true
	return []jetstream.Msg{msg}, err
}

// pause says once what went wrong, waits a moment, and never gives up.
func (l *lane) pause(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil:
	case err == nil && l.trouble == "":
	case err == nil:
		l.log.Info("queue answers again")
		l.trouble = ""
	default:
		if text := err.Error(); text != l.trouble {
			l.log.Warn("no jobs from the queue, trying again", "error", err)
			l.trouble = text
		}
		l.flowing = false
		sleep(ctx, laneRetry)
	}
}

// work handles one message and settles it.
func (l *lane) work(ctx context.Context, msg jetstream.Msg) {
	meta, err := msg.Metadata()
	if err != nil { // no message of JetStream: there is nothing to settle
		l.w.inHand.remove(msg)
		l.log.Error("message without metadata", "subject", msg.Subject(), "error", err)
		return
	}
	task, err := decodeDelivery(msg, meta)
	switch {
	case err != nil:
		l.refuse(ctx, msg, task, err)
	case doubtful(msg, meta):
		l.renew(ctx, msg, task)
	default:
		settlement, panicked := l.handle(ctx, task)
		if panicked {
			l.comeAgain(ctx, msg, task)
			return
		}
		l.settle(ctx, msg, task, settlement)
	}
}

// handle shields the worker from a handler that panics.
func (l *lane) handle(ctx context.Context, task delivery.Task) (s delivery.Settlement, panicked bool) {
	defer func() {
		if cause := recover(); cause != nil {
			l.log.Error("handler panicked", "job", task.Job.ID, "panic", cause, "stack", string(debug.Stack()))
			panicked = true
		}
	}()
	return l.w.handler.Handle(ctx, task), false
}
