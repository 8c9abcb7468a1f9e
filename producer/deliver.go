package producer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Why a job was not published. All but [ErrUnavailable] are definite: the
// stream does not have the job.
var (
	// ErrQueueFull says that the stream holds as many jobs, or bytes, as it
	// may (JetStream error 10077). Slow down and publish again.
	ErrQueueFull = errors.New("the queue is full: publish again later")
	// ErrNoSpace says that the server's store or the account's share of it is
	// used up (JetStream errors 10023, 10002, 10047, 10077).
	ErrNoSpace = errors.New("the queue has no space left: give the server more storage")
	// ErrTooLarge says that the job exceeds the stream's largest message, 128 KiB
	// with its headers (JetStream error 10054).
	ErrTooLarge = errors.New("the job is larger than the queue takes: shorten it")
	// ErrUnavailable says that no answer came. The job may or may not be
	// stored: publish it again with the same id.
	ErrUnavailable = errors.New("the queue gave no answer: publish again with the same id")
)

// tryTimeout is how long one try waits for its acknowledgement.
const tryTimeout = 5 * time.Second

// Error codes of the JetStream API that nats.go has no names for.
const (
	codeAccountFull  jetstream.ErrorCode = 10002
	codeInsufficient jetstream.ErrorCode = 10023
	codeStorageFull  jetstream.ErrorCode = 10047
	codeTooLarge     jetstream.ErrorCode = 10054
	codeStoreFailed  jetstream.ErrorCode = 10077
	codeInProcess    jetstream.ErrorCode = 10158
)

// deliver publishes msg until it is acknowledged or refused, or time is up.
// Every try bears the same Nats-Msg-Id, so however many of them the server
// stores, the stream has one message.
func (p *Producer) deliver(ctx context.Context, msg *nats.Msg) (*jetstream.PubAck, error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("not published: %w", context.Cause(ctx))
	}
	patience, cancel := context.WithTimeout(ctx, p.retryFor)
	defer cancel()
	pauses := newPauses()
	for {
		ack, err := p.try(patience, msg)
		if err == nil {
			// The job is stored and replicated. A crash here loses the receipt,
			// not the job: the caller repeats the id and is told of a duplicate.
			return ack, nil
		}
		if refusal := refused(err); refusal != nil {
			return nil, refusal
		}
		if !wait(patience, pauses.NextBackOff()) {
			return nil, gaveUp(ctx, err)
		}
	}
}

// try publishes once. The client's own retries are off: they would be spent
// before the pauses here begin.
func (p *Producer) try(ctx context.Context, msg *nats.Msg) (*jetstream.PubAck, error) {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	return p.js.PublishMsg(ctx, msg, jetstream.WithRetryAttempts(0))
}

// newPauses grows from 100 ms to 2 s with full jitter, so that producers which
// lost one leader together do not meet the next one together.
func newPauses() *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(50*time.Millisecond),
		backoff.WithMaxInterval(time.Second),
		backoff.WithMultiplier(2),
		backoff.WithRandomizationFactor(1), // 0 to twice the interval
		backoff.WithMaxElapsedTime(0),      // ctx bounds the whole
	)
}

// wait reports whether d passed before ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// refused returns the refusal that a failed try is, or nil when it leaves open
// whether the message is stored. What it does not know counts as open, since
// to repeat the same id does no harm.
func refused(err error) error {
	var api *jetstream.APIError
	switch {
	case errors.As(err, &api):
		return refusedByServer(api)
	case errors.Is(err, nats.ErrMaxPayload):
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrConnectionDraining):
		// The caller closed the connection, or the client gave up on it: no
		// later try can succeed, yet the one under way may have.
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	case errors.Is(err, nats.ErrHeadersNotSupported), errors.Is(err, nats.ErrInvalidConnection):
		return fmt.Errorf("publish job: %w", err)
	}
	return nil
}

func refusedByServer(api *jetstream.APIError) error {
	switch api.ErrorCode {
	case codeStoreFailed:
		// One code for every failure of the store; the bounds of a stream that
		// discards new messages all say "maximum … exceeded".
		if strings.HasPrefix(api.Description, "maximum ") {
			return fmt.Errorf("%w (%s)", ErrQueueFull, api.Description)
		}
		return fmt.Errorf("%w (%s)", ErrNoSpace, api.Description)
	case codeInsufficient, codeAccountFull, codeStorageFull:
		return fmt.Errorf("%w (%s)", ErrNoSpace, api.Description)
	case codeTooLarge:
		return fmt.Errorf("%w (%s)", ErrTooLarge, api.Description)
	case codeInProcess:
		return nil // an earlier try of this very message is being replicated
	}
	if api.Code >= 500 || api.Code == 429 {
		return nil // no leader yet, node in trouble, more at once than it takes
	}
	return fmt.Errorf("publish job: %w", api)
}

// gaveUp keeps both facts: the last error, and what ended the tries if that
// was the caller.
func gaveUp(ctx context.Context, last error) error {
	cause := context.Cause(ctx)
	switch {
	case cause == nil:
		return fmt.Errorf("%w (last error: %v)", ErrUnavailable, last)
	case errors.Is(cause, ErrUnavailable):
		return cause
	default:
		return fmt.Errorf("%w: %w (last error: %v)", ErrUnavailable, cause, last)
	}
}
