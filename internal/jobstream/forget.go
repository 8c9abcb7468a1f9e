package jobstream

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Forget deletes every entry of the log that was stored before the given time,
// and no other. Sequences go on where they were.
func (l *Log) Forget(ctx context.Context, before time.Time) error {
	stream, err := l.stream.get(ctx)
	if err != nil {
		return err
	}
	info, err := l.stream.info(ctx)
	if err != nil {
		return err
	}
	if info.State.Msgs == 0 {
		return nil
	}
	first := info.State.FirstSeq
	keep, err := l.firstSince(ctx, stream, first, info.State.LastSeq, before)
	if err != nil || keep == first {
		return err
	}
	// A crash in between deletes less; what is left is met again next time.
	if err := stream.Purge(ctx, jetstream.WithPurgeSequence(keep)); err != nil {
		return fmt.Errorf("delete the log before %d: %w", keep, err)
	}
	return nil
}

// firstSince is the sequence of the first entry stored at the given time or
// later; one beyond the last if there is none. Times grow with sequences, so
// it takes a look at some twenty entries of a million.
func (l *Log) firstSince(ctx context.Context, stream jetstream.Stream, first, last uint64, since time.Time) (uint64, error) {
	var failed error
	n := sort.Search(int(last+1-first), func(i int) bool {
		msg, err := stream.GetMsg(ctx, first+uint64(i), jetstream.WithGetMsgSubject("sluice.>"))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return true // nothing at this sequence or after it
		}
		if err != nil {
			failed = fmt.Errorf("look for the log's entry of %s: %w", since.Format(time.RFC3339), err)
			return true
		}
		return !msg.Time.Before(since)
	})
	return first + uint64(n), failed
}
