package jobstream

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/delivery"
)

// Each hands over every job that is stored and not settled, queued, parked or
// scheduled, the queue first. Jobs that move meanwhile are met once, twice or,
// when they are settled, not at all. What is no job is passed over: the worker
// refuses it when it comes to it. It ends with fn's first error.
func (r *Room) Each(ctx context.Context, fn func(context.Context, delivery.Task) error) error {
	for _, name := range []string{StreamJobs, StreamWait} {
		stream, err := r.js.Stream(ctx, name)
		if err != nil {
			return fmt.Errorf("look up stream %s: %w", name, err)
		}
		if err := walk(ctx, stream, func(msg *jetstream.RawStreamMsg) error {
			task, err := storedTask(name, msg)
			if err != nil {
				return nil
			}
			return fn(ctx, task)
		}); err != nil {
			return fmt.Errorf("walk stream %s: %w", name, err)
		}
	}
	return nil
}

func walk(ctx context.Context, stream jetstream.Stream, visit func(*jetstream.RawStreamMsg) error) error {
	for next := uint64(1); ; {
		msg, err := stream.GetMsg(ctx, next, jetstream.WithGetMsgSubject("sluice.>"))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := visit(msg); err != nil {
			return err
		}
		next = msg.Sequence + 1
	}
}

func storedTask(stream string, msg *jetstream.RawStreamMsg) (delivery.Task, error) {
	if stream != StreamJobs {
		return decodeTask(msg.Data, msg.Header, msg.Time)
	}
	job, err := delivery.Published{
		Subject: msg.Subject, Data: msg.Data, MsgID: msg.Header.Get(nats.MsgIdHdr), Sequence: msg.Sequence, Time: msg.Time,
	}.Job()
	return delivery.Task{Job: job, Attempt: 1, Published: msg.Time, Announced: announced(msg.Header)}, err
}
