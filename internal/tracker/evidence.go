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

// Evidence answers what is known of a job, up to the present end of the log.
type Evidence struct {
	Log     Log
	Records Records
	Owners  Owners
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
	return record, err
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
	return e.Owners.Own(ctx, sid, job)
}
