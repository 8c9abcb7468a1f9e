package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// ReadyJob is a job of the waiting room that needs no place: its customer has
// been counted, or has written in, or it has ended where it lay.
type ReadyJob struct {
	Seq      uint64 // under which it lies in the waiting room
	Priority Priority
}

// priorityStep is how far apart the priorities lie in a ready list: sequences
// stay below it, and the sum of both is exact in a float.
const priorityStep = 1 << 50

// Shelve remembers that a job that was parked lies in the waiting room under
// seq, so that it is found when its customer is counted or writes in. The gate
// forgets it when the job is reserved, goes or ends; one that ends where it lies,
// as after a cancel, is listed by [Gate.Ready] until [Gate.Unshelve]. It does
// nothing if that has happened already, and is safe to repeat. Of one customer's
// jobs it remembers the first few hundred; the others have their turn in the
// room's order. r.Token is not used.
func (g *Gate) Shelve(ctx context.Context, r Request, seq uint64) error {
	if err := r.validate(); err != nil {
		return err
	}
	if seq == 0 || seq >= priorityStep {
		return fmt.Errorf("shelve: sequence %d: give the one of the waiting room", seq)
	}
	_, err := g.ask(ctx, g.scripts.shelve, []string{jobKey(r.Job)},
		r.Sender, r.Customer, int(r.Priority), r.Attempt, seq)
	return err
}

// Stored is a job that lies in a stream and is not settled.
type Stored struct {
	Request
	// Seq is where the job lies in the waiting room, 0 if it lies elsewhere.
	Seq uint64
	// Copies is until when a copy of it lies somewhere, as for [Gate.Claim].
	Copies time.Time
}

// Restore makes stored jobs known to a Redis that has forgotten them, some
// hundreds in one step. Their ids are bound to their content, as by Claim; those
// in the waiting room wait as if they had been asked about and shelved: they
// count, hold up who comes after them, and are found when their customer is
// counted or writes in. Apply the log first, which tells the places that there
// are. A job whose id is held by other content, one that goes on or has ended,
// and one that no admission would take are left alone. It works while the gate
// is closed, and is safe to repeat.
func (g *Gate) Restore(ctx context.Context, jobs []Stored) error {
	var keys []string
	var args []any
	for _, s := range jobs {
		if s.validate() != nil || s.Seq >= priorityStep {
			continue
		}
		keys = append(keys, jobKey(s.Job))
		args = append(args, s.Digest, s.Sender, s.Customer, s.Pool, int(s.Priority), s.Attempt, s.Seq, micros(s.Copies))
	}
	if len(keys) == 0 {
		return nil
	}
	_, err := g.ask(ctx, g.scripts.restore, keys, args...)
	return err
}

// Unshelve forgets a sequence of a sender under which nothing lies any more.
func (g *Gate) Unshelve(ctx context.Context, sender string, seq uint64) error {
	if sender == "" {
		return errors.New("unshelve: sender must be set")
	}
	if err := g.rdb.ZRem(ctx, readyKey(sender), strconv.FormatUint(seq, 10)).Err(); err != nil {
		return fmt.Errorf("gate unshelve: %w", err)
	}
	return nil
}

// Ready lists, by sender, up to n shelved jobs that need no place, high priority
// before normal before low, then the older ones first. Senders without any are
// left out. A listed job may still have to wait for a pause, the rate or its
// customer's pace; one that needs a place after all leaves the list when it is
// reserved in vain.
func (g *Gate) Ready(ctx context.Context, senders []string, n int) (map[string][]ReadyJob, error) {
	if len(senders) == 0 || n < 1 {
		return map[string][]ReadyJob{}, nil
	}
	pipe := g.rdb.Pipeline()
	asked := make([]*redis.ZSliceCmd, len(senders))
	for i, sender := range senders {
		asked[i] = pipe.ZRangeWithScores(ctx, readyKey(sender), 0, int64(n-1))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("ready jobs of senders: %w", err)
	}
	ready := map[string][]ReadyJob{}
	for i, sender := range senders {
		for _, entry := range asked[i].Val() {
			sum := uint64(entry.Score)
			ready[sender] = append(ready[sender], ReadyJob{
				Seq: sum % priorityStep, Priority: Priority(sum / priorityStep),
			})
		}
	}
	return ready, nil
}
