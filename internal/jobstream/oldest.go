package jobstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/delivery"
)

// OldestReady is since when the oldest job has been ready that no worker has
// taken yet: since it was published, or since it was let out of the waiting
// room. It is not ok if there is none.
func (r *Room) OldestReady(ctx context.Context) (since time.Time, ok bool, err error) {
	for _, p := range delivery.Priorities() {
		for _, queue := range []struct{ stream, consumer string }{{StreamJobs, jobsConsumer(p)}, {StreamWait, dueConsumer(p)}} {
			head, waits, err := r.untaken(ctx, queue.stream, queue.consumer)
			if err != nil {
				return time.Time{}, false, err
			}
			if waits && (!ok || head.Before(since)) {
				since, ok = head, true
			}
		}
	}
	return since, ok, nil
}

// untaken is the time of the first message behind what a consumer has delivered.
func (r *Room) untaken(ctx context.Context, stream, consumer string) (time.Time, bool, error) {
	fail := func(err error) (time.Time, bool, error) {
		return time.Time{}, false, fmt.Errorf("look for the oldest job of consumer %s of %s: %w", consumer, stream, err)
	}
	c, err := r.js.Consumer(ctx, stream, consumer)
	if err != nil {
		return fail(err)
	}
	info := c.CachedInfo()
	if info.NumPending == 0 {
		return time.Time{}, false, nil
	}
	s, err := r.js.Stream(ctx, stream)
	if err != nil {
		return fail(err)
	}
	msg, err := s.GetMsg(ctx, info.Delivered.Stream+1, jetstream.WithGetMsgSubject(info.Config.FilterSubject))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return time.Time{}, false, nil // taken in the meantime
	}
	if err != nil {
		return fail(err)
	}
	return msg.Time, true, nil
}
