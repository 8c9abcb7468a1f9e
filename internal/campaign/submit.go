package campaign

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/sluicehq/sluice/delivery"
)

// BatchSize is how many jobs are handed in at once.
const BatchSize = 1000

// Result is what the API said of one job. Status is empty when it was refused.
type Result struct {
	ID     string
	Status delivery.Status
	// Code, Field and Message tell of a refusal, as the API does.
	Code, Field, Message string
}

// again reports whether the same job may be taken later: the queue was full, or
// an engine gave no answer.
func (r Result) again() bool { return r.Code == "queue_full" || r.Code == "unavailable" }

// Later is the error of a batch that was not taken, and may be later.
type Later struct {
	After time.Duration // at least; 0 where nothing was said
	Err   error
}

func (l *Later) Error() string { return l.Err.Error() }

// Unwrap returns what was said.
func (l *Later) Unwrap() error { return l.Err }

// API hands jobs in. Submit returns one result for each job, in their order; a
// [*Later] when none was taken, or it is not known whether any was; and any
// other error when trying again is of no use. Repeating a job is harmless.
type API interface {
	Submit(ctx context.Context, jobs []delivery.Job) ([]Result, error)
}

// Outcome is what became of a row.
type Outcome struct {
	Line    int
	ID      string
	Status  string // of delivery, or [Refused]
	Field   string
	Message string
	Unread  bool // the row is no job, so the API was not asked
}

// Fault is what is wrong with the row, nil with a good one.
func (o Outcome) Fault() error {
	if !o.Bad() {
		return nil
	}
	return &delivery.FieldError{Field: o.Field, Message: o.Message}
}

// Refused is the status of a row that did not become a job.
const Refused = "refused"

// Bad reports whether the row did not become a job.
func (o Outcome) Bad() bool { return o.Status == Refused }

// Sender hands the rows of a file in, batch by batch.
type Sender struct {
	API API
	// Told gets every row once, in the order in which they are settled: good
	// rows of one batch in their order, bad ones when they are read.
	Told func(Outcome) error
	// Waiting, if set, is told why a batch is tried again.
	Waiting func(err error, pause time.Duration)
	// Patience bounds how long a batch is tried without any of its jobs being
	// taken; default 10 minutes.
	Patience time.Duration
}

// Send reads to the end. A crash or an error in between leaves a part of the
// jobs handed in; sending the same file again hands in the rest.
func (s Sender) Send(ctx context.Context, rows Reader) error {
	batch := make([]Row, 0, BatchSize)
	for {
		row, err := rows.Next()
		if err == nil && row.Fault != nil {
			err = s.Told(Outcome{
				Line: row.Line, ID: row.Job.ID, Status: Refused,
				Field: row.Fault.Field, Message: row.Fault.Message, Unread: true,
			})
			if err != nil {
				return err
			}
			continue
		}
		if err == nil {
			batch = append(batch, row)
		}
		if err == nil && len(batch) < BatchSize {
			continue
		}
		if failed := s.settle(ctx, batch); failed != nil {
			return failed
		}
		batch = batch[:0]
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// settle hands a batch in until every job of it was taken or refused for good.
// What is handed in again has the id that it had.
func (s Sender) settle(ctx context.Context, batch []Row) error {
	outcomes := make([]Outcome, len(batch))
	open := make([]int, len(batch))
	for i := range batch {
		open[i] = i
	}
	pauses := newPauses()
	last := time.Now()
	for len(open) > 0 {
		left, err := s.try(ctx, batch, open, outcomes)
		var later *Later
		if err != nil && !errors.As(err, &later) {
			return err
		}
		if len(left) < len(open) {
			pauses.Reset()
			last = time.Now()
		}
		if open = left; len(open) == 0 {
			break
		}
		if time.Since(last) > first(s.Patience, 10*time.Minute) {
			return fmt.Errorf("gave up on line %d: %w; send the same file again later, nobody is reached twice", batch[open[0]].Line, err)
		}
		pause := max(later.After, pauses.NextBackOff())
		if s.Waiting != nil {
			s.Waiting(err, pause)
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
	for _, o := range outcomes {
		if err := s.Told(o); err != nil {
			return err
		}
	}
	return nil
}

// try hands the open rows in once and returns those that stay open, with a
// [*Later] that says why.
func (s Sender) try(ctx context.Context, batch []Row, open []int, outcomes []Outcome) (left []int, err error) {
	jobs := make([]delivery.Job, len(open))
	for i, at := range open {
		jobs[i] = batch[at].Job
	}
	results, err := s.API.Submit(ctx, jobs)
	if err != nil {
		return open, err
	}
	if len(results) != len(jobs) {
		return open, fmt.Errorf("the API answered %d results for %d jobs", len(results), len(jobs))
	}
	for i, at := range open {
		r := results[i]
		if r.again() {
			left = append(left, at)
			err = &Later{Err: errors.New(r.Message)}
			continue
		}
		outcomes[at] = Outcome{Line: batch[at].Line, ID: jobs[i].ID, Status: string(r.Status), Field: r.Field, Message: r.Message}
		if r.Status == "" {
			outcomes[at].Status = Refused
		}
	}
	return left, err
}

// newPauses grows from half a second to half a minute with full jitter.
func newPauses() *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(250*time.Millisecond),
		backoff.WithMaxInterval(15*time.Second),
		backoff.WithMultiplier(2),
		backoff.WithRandomizationFactor(1), // 0 to twice the interval
		backoff.WithMaxElapsedTime(0),      // patience bounds the whole
	)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
