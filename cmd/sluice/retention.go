package main

import (
	"context"
	"time"
)

// trim forgets the state of jobs whose retention is over, also while nothing
// happens. The gate's memory of them ends by itself.
func (s *system) trim(ctx context.Context) error {
	return every(ctx, min(time.Minute, max(s.cfg.Retention/4, time.Second)), func() {
		if _, err := s.ledger.Trim(ctx); err != nil && ctx.Err() == nil {
			s.logger.WarnContext(ctx, "jobs whose retention is over could not be forgotten yet", "error", err)
		}
	})
}

// The log is looked through this often for what nobody needs, and more often
// where the retention is short.
const forgetEvery = 10 * time.Minute

// forget deletes from the log what is older than every job that is still kept,
// and than everything the gate would count if it were refilled.
func (s *system) forget(ctx context.Context) error {
	return every(ctx, min(forgetEvery, max(s.cfg.Retention/4, time.Second)), func() {
		before, ok, err := s.forgettable(ctx)
		if err == nil && ok {
			err = s.log.Forget(ctx, before)
		}
		if err != nil && ctx.Err() == nil {
			s.logger.WarnContext(ctx, "old entries of the log could not be deleted yet", "error", err)
		}
	})
}

// clockSkew is how far the times of events may be off the log's own, at most a
// hundredth of the retention.
const clockSkew = time.Minute

// forgettable is the time before which no entry of the log is needed; false
// while the ledger has not applied the whole log, and so does not know of every
// job.
func (s *system) forgettable(ctx context.Context) (before time.Time, ok bool, err error) {
	last, err := s.log.Last(ctx)
	if err != nil {
		return before, false, err
	}
	if s.caughtUp(ctx, last) != nil {
		return before, false, nil
	}
	before = time.Now().Add(-max(s.cfg.Retention, s.cfg.Window+s.cfg.WindowMargin+s.cfg.Window/100, s.cfg.ServiceWindow))
	oldest, any, err := s.ledger.Oldest(ctx)
	if any && oldest.Before(before) {
		before = oldest
	}
	return before.Add(-min(clockSkew, s.cfg.Retention/100)), err == nil, err
}
