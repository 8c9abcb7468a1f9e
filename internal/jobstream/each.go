package jobstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/sluicehq/sluice/delivery"
)

const (
	// How much of a stream is read at a time: enough that the round trip does not
	// matter, little enough for the connection's buffer.
	eachBatch = 256
	eachBytes = 4 << 20
	// eachPatience bounds the wait for one batch.
	eachPatience = 10 * time.Second
)

// Each hands over every job that is stored and not settled, queued, parked or
// scheduled, some hundreds at a time, the queue first. Seq is 0 of those that are
// not parked. Jobs that move meanwhile are met once, twice or, when they are
// settled, not at all. What is no job is passed over: the worker refuses it when
// it comes to it. It ends with fn's first error.
func (r *Room) Each(ctx context.Context, fn func(context.Context, []delivery.Parked) error) error {
	for _, name := range []string{StreamJobs, StreamWait} {
		if err := r.walk(ctx, name, fn); err != nil {
			return fmt.Errorf("walk stream %s: %w", name, err)
		}
	}
	return nil
}

func (r *Room) walk(ctx context.Context, stream string, fn func(context.Context, []delivery.Parked) error) error {
	for next := uint64(1); ; {
		msgs, err := r.batch(ctx, stream, next)
		if err != nil || len(msgs) == 0 {
			return err
		}
		next = msgs[len(msgs)-1].Sequence + 1
		var jobs []delivery.Parked
		for _, msg := range msgs {
			if job, err := storedJob(stream, msg); err == nil {
				jobs = append(jobs, job)
			}
		}
		if err := fn(ctx, jobs); err != nil {
			return err
		}
	}
}

// batch reads some messages of a stream from a sequence on, none after the last.
func (r *Room) batch(ctx context.Context, stream string, next uint64) (msgs []*jetstream.RawStreamMsg, err error) {
	ctx, cancel := context.WithTimeout(ctx, eachPatience)
	defer cancel()
	answers, err := jetstreamext.GetBatch(ctx, r.js, stream, eachBatch, jetstreamext.GetBatchSeq(next),
		jetstreamext.GetBatchSubject("sluice.>"), jetstreamext.GetBatchMaxBytes(eachBytes))
	if err != nil {
		return nil, err
	}
	for msg, err := range answers {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		msgs = append(msgs, msg)
	}
	if len(msgs) == 0 {
		return nil, fmt.Errorf("no answer in %s", eachPatience)
	}
	return msgs, nil
}

func storedJob(stream string, msg *jetstream.RawStreamMsg) (delivery.Parked, error) {
	task, err := storedTask(stream, msg)
	p := delivery.Parked{Since: msg.Time, Task: task}
	if sender, _, parked := parseParked(msg.Subject); parked && err == nil && sender == task.Job.Sender() {
		p.Seq = msg.Sequence
	}
	return p, err
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
