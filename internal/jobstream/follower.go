package jobstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// follower reads a stream in order, each message once, for as long as it is
// wanted. It owns a passing consumer without acknowledgements, counts what it
// is sent, and replaces the consumer whenever the count or the connection
// breaks: recovery and start are the same code.
type follower struct {
	js     jetstream.JetStream
	stream string
	batch  int
	// from is asked whenever a consumer is made: where to go on.
	from func() jetstream.ConsumerConfig
	// take gets messages in order, and how many more there are. It is also
	// called without messages when a consumer is new.
	take func(msgs []jetstream.Msg, pending uint64) error
}

const (
	followRetry   = 500 * time.Millisecond
	followForget  = time.Minute // the server drops a consumer nobody asks
	followCleanup = time.Second
)

// errBroken says that messages were missed, or that the consumer is gone.
var errBroken = errors.New("consumer broke")

// takeError carries an error of take through the loop that retries all others.
type takeError struct{ error }

func (f *follower) run(ctx context.Context) error {
	for {
		err := f.readOne(ctx)
		var taken takeError
		switch {
		case errors.As(err, &taken):
			return taken.error
		case ctx.Err() != nil:
			return ctx.Err()
		case !errors.Is(err, errBroken):
			sleep(ctx, followRetry)
		}
	}
}

// readOne reads through one consumer until that breaks.
func (f *follower) readOne(ctx context.Context) error {
	cfg := f.from()
	cfg.AckPolicy = jetstream.AckNonePolicy
	cfg.MemoryStorage = true
	cfg.Replicas = 1
	cfg.InactiveThreshold = followForget
	consumer, err := f.js.CreateConsumer(ctx, f.stream, cfg)
	if err != nil {
		return fmt.Errorf("follow %s: %w", f.stream, err)
	}
	info := consumer.CachedInfo()
	defer f.forget(ctx, info.Name)
	if err := f.take(nil, info.NumPending); err != nil {
		return takeError{err}
	}
	r := reader{conn: f.js.Conn(), consumer: consumer, flowing: info.NumPending > 0}
	for ctx.Err() == nil {
		msgs, pending, err := r.next(ctx, f.batch)
		if len(msgs) > 0 {
			if err := f.take(msgs, pending); err != nil {
				return takeError{err}
			}
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// forget spares the server a minute of keeping a consumer nobody reads.
func (f *follower) forget(ctx context.Context, name string) {
	if !f.js.Conn().IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), followCleanup)
	defer cancel()
	_ = f.js.DeleteConsumer(ctx, f.stream, name) // it ends by itself otherwise
}

// reader reads one consumer and vouches for the order.
type reader struct {
	conn     *nats.Conn
	consumer jetstream.Consumer
	seen     uint64 // messages sent to us, by the consumer's own count
	flowing  bool   // more is believed to be there
}

// next returns the messages that are there, or the first to come, or none
// after a while. With an error, the messages returned are still in order.
func (r *reader) next(ctx context.Context, most int) (msgs []jetstream.Msg, pending uint64, err error) {
	if r.flowing {
		msgs, err = takeReady(r.consumer, most)
	} else {
		var msg jetstream.Msg
		if msg, err = waitForOne(ctx, r.conn, r.consumer); msg != nil {
			msgs = []jetstream.Msg{msg}
		}
		if msg == nil && err == nil {
			err = r.check(ctx)
		}
	}
	r.flowing = len(msgs) > 0
	for i, msg := range msgs {
		meta, metaErr := msg.Metadata()
		if metaErr != nil || meta.Sequence.Consumer != r.seen+1 {
			return msgs[:i], pending, errBroken
		}
		r.seen, pending = meta.Sequence.Consumer, meta.NumPending
	}
	return msgs, pending, err
}

// check finds messages that were sent and never arrived with nothing after
// them to show the gap.
func (r *reader) check(ctx context.Context) error {
	info, err := r.consumer.Info(ctx)
	if err != nil {
		return fmt.Errorf("ask for consumer: %w", err)
	}
	if info.Delivered.Consumer != r.seen {
		return errBroken
	}
	return nil
}
