package tracker

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/delivery"
)

// Records reads what the ledger knows.
type Records interface {
	Get(ctx context.Context, id string) (delivery.Record, bool, error)
	// BySID finds the job, and the attempt of it, that a SID belongs to.
	BySID(ctx context.Context, sid string) (job string, attempt int, ok bool, err error)
	Position(ctx context.Context) (uint64, error)
}

// Owners binds SIDs to jobs.
type Owners interface {
	Own(ctx context.Context, sid, job string) (bool, error)
}

// Intents reads from the log what was about to be sent.
type Intents interface {
	// LastIntent is the last intent of a job, false if the log has none.
	LastIntent(ctx context.Context, sender, job string) (delivery.Intent, bool, error)
}

// Pairs lists the jobs from one sender to one customer whose outcome is open,
// without their timelines.
type Pairs interface {
	Open(ctx context.Context, from, to string) ([]delivery.Record, error)
}

// Evidence answers what is known of a job, up to the present end of the log.
type Evidence struct {
	Log     Log
	Records Records
	Owners  Owners
	Intents Intents
	Pairs   Pairs
	Wait    time.Duration // for the ledger to catch up, default 5s
}

// Record returns the job's state after everything that the log held when the
// call was made has been applied; an error if the ledger lags behind for too
// long. A job nothing is known of has an empty record.
func (e Evidence) Record(ctx context.Context, job string) (delivery.Record, error) {
	last, err := e.Log.Last(ctx)
	if err != nil {
		return delivery.Record{}, err
	}
	if err := e.caughtUp(ctx, last); err != nil {
		return delivery.Record{}, err
	}
	record, _, err := e.Records.Get(ctx, job)
	if err != nil {
		return delivery.Record{}, err
	}
	// A ledger that was emptied since it was looked at would know of nothing.
	return record, e.caughtUp(ctx, last)
}

// LastIntent returns the job's last intent, false if the log has none. The log
// itself is asked, so that a ledger that has lost it cannot deny it.
func (e Evidence) LastIntent(ctx context.Context, job delivery.Job) (delivery.Intent, bool, error) {
	return e.Intents.LastIntent(ctx, job.Sender(), job.ID)
}

// Rivals returns the last intents of the other jobs from the same sender to the
// same customer whose outcome is open.
func (e Evidence) Rivals(ctx context.Context, job delivery.Job) ([]delivery.Intent, error) {
	open, err := e.Pairs.Open(ctx, job.Origin(), job.To)
	if err != nil {
		return nil, err
	}
	// A ledger that was emptied since the record was read knows of no rival.
	if err := e.whole(ctx); err != nil {
		return nil, err
	}
	var rivals []delivery.Intent
	for _, record := range open {
		if record.ID == job.ID {
			continue
		}
		intent, found, err := e.Intents.LastIntent(ctx, job.Sender(), record.ID)
		if err != nil {
			return nil, err
		}
		if found {
			rivals = append(rivals, intent)
		}
	}
	return rivals, nil
}

// whole fails while the ledger lacks anything that the log holds now.
func (e Evidence) whole(ctx context.Context) error {
	last, err := e.Log.Last(ctx)
	if err != nil {
		return err
	}
	return e.caughtUp(ctx, last)
}

func (e Evidence) caughtUp(ctx context.Context, last uint64) error {
	wait := e.Wait
	if wait == 0 {
		wait = 5 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		position, err := e.Records.Position(ctx)
		if err != nil {
			return err
		}
		if position >= last {
			return nil
		}
		if !pause(ctx, 20*time.Millisecond) {
			return fmt.Errorf("the ledger is at %d of the log's %d: see that a tracker runs", position, last)
		}
	}
}

// Own binds a SID to a job unless another job has it: one that the log names
// it for, or one that was faster in looking for its own lost message.
func (e Evidence) Own(ctx context.Context, sid, job string) (bool, error) {
	owner, _, known, err := e.Records.BySID(ctx, sid)
	if err != nil || known {
		return known && owner == job, err
	}
	// A ledger that was emptied meanwhile knows of no owner.
	if err := e.whole(ctx); err != nil {
		return false, err
	}
	return e.Owners.Own(ctx, sid, job)
}
