package producer

import (
	"context"
	"errors"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// Result is the outcome of one job of a batch. The receipt names the id even
// when Err is set.
type Result struct {
	Receipt
	Err error
}

// PublishBatch publishes many jobs, up to [WithInFlight] of them awaiting their
// acknowledgement at once, and returns a result for each, in the order given.
// They are started in that order too, but stored in whichever order they arrive.
//
// Each job has the errors of [Producer.Publish], and one bad job does not stop
// the others. The batch stops, with an error, when ctx ends or when the stream
// answered nobody for the whole of [WithRetryFor]; jobs without an answer then
// bear that error as well, and publishing the same batch again is safe if the
// jobs are given the ids in the results.
func (p *Producer) PublishBatch(ctx context.Context, jobs []Job) ([]Result, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	results := make([]Result, len(jobs))
	var answers atomic.Int64
	var group errgroup.Group
	group.SetLimit(p.inFlight)
	for i, job := range jobs {
		group.Go(func() error {
			before := answers.Load()
			receipt, err := p.Publish(ctx, job)
			results[i] = Result{Receipt: receipt, Err: err}
			switch {
			case answered(err):
				answers.Add(1)
			case errors.Is(err, ErrUnavailable) && answers.Load() == before:
				stop(err) // the others would only wait as long in vain
			}
			return nil
		})
	}
	_ = group.Wait() // the functions above return no error
	return results, context.Cause(ctx)
}

// answered reports whether err, the outcome of a publish, came from the stream.
func answered(err error) bool {
	return err == nil || errors.Is(err, ErrQueueFull) || errors.Is(err, ErrNoSpace)
}
