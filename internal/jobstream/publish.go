package jobstream

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

// ErrFull says that a stream, or the server's store, takes no more. Nothing
// was stored; trying again helps only once there is room.
var ErrFull = errors.New("stream is full: let it drain, or raise its bound or the server's store")

const (
	publishTry  = 5 * time.Second  // one try
	publishLong = 30 * time.Second // all tries; well inside the dedupe window
)

// publish stores a message and waits until the stream says so. An unclear
// outcome is tried again with the same Nats-Msg-Id, which msg must carry, until
// ctx ends or 30 seconds are over; the stream keeps one copy. After an error it
// is unknown whether the message is stored, unless the error is [ErrFull] or a
// refusal by the server.
func publish(ctx context.Context, js jetstream.JetStream, msg *nats.Msg) (*jetstream.PubAck, error) {
	ctx, cancel := context.WithTimeout(ctx, publishLong)
	defer cancel()
	var last error
	ack, err := backoff.RetryWithData(func() (*jetstream.PubAck, error) {
		try, cancel := context.WithTimeout(ctx, publishTry)
		defer cancel()
		ack, err := js.PublishMsg(try, msg)
		if err == nil {
			return ack, nil
		}
		last = classify(err)
		if !unclear(last) {
			return nil, backoff.Permanent(last)
		}
		return nil, last
	}, backoff.WithContext(publishBackoff(), ctx))
	if err == nil {
		return ack, nil
	}
	if last != nil && !errors.Is(last, err) {
		err = fmt.Errorf("%w (last try: %w)", err, last) // why it stopped, and what stood in the way
	}
	return nil, fmt.Errorf("publish to %s: %w", msg.Subject, err)
}

func publishBackoff() backoff.BackOff {
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(25*time.Millisecond),
		backoff.WithMaxInterval(2*time.Second),
		backoff.WithRandomizationFactor(1), // full jitter: replicas must not come back together
		backoff.WithMaxElapsedTime(0),      // the context ends it
	)
}

// Error codes of JetStream that the client has no names for.
const (
	codeInsufficientResources = 10023 // the server's or the account's store is used up
	codeStoreFailed           = 10077 // also, but not only: the stream's own bound
	codeDuplicateInProcess    = 10158 // the first copy is still being replicated
	codeWrongSequence         = 10164 // as 10071, from clusters
)

// wrongSequence reports whether a conditional write met another state.
func wrongSequence(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) &&
		(api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == codeWrongSequence)
}

func classify(err error) error {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return err
	}
	switch {
	case api.ErrorCode == codeInsufficientResources,
		api.ErrorCode == codeStoreFailed && strings.HasPrefix(api.Description, "maximum "):
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

// unclear reports whether the message may be stored, or may be on another try.
// Only an answer that says otherwise, or a message that can never be sent,
// does not count as unclear.
func unclear(err error) bool {
	if errors.Is(err, ErrFull) {
		return false
	}
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.Code == 503 || api.Code == 429 || api.Code == 500 || api.ErrorCode == codeDuplicateInProcess
	}
	for _, definite := range []error{
		context.Canceled, nats.ErrMaxPayload, nats.ErrBadSubject, nats.ErrInvalidConnection,
		nats.ErrConnectionClosed, nats.ErrConnectionDraining, nats.ErrPermissionViolation,
	} {
		if errors.Is(err, definite) {
			return false
		}
	}
	return true
}
