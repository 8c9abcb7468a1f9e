package jobstream

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Refuse makes the queue refuse every new job, as if it were full, until
// [Accept]. What it holds stays. Publishers of any kind are told at once.
func Refuse(ctx context.Context, js jetstream.JetStream) error {
	return boundJobs(ctx, js, func(c *jetstream.StreamConfig) { c.MaxBytes = 1 })
}

// Accept gives the queue the bounds of cfg.
func Accept(ctx context.Context, js jetstream.JetStream, cfg Config) error {
	return boundJobs(ctx, js, cfg.withDefaults().jobs)
}

func boundJobs(ctx context.Context, js jetstream.JetStream, bound func(*jetstream.StreamConfig)) error {
	stream, err := js.Stream(ctx, StreamJobs)
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", StreamJobs, err)
	}
	cfg := stream.CachedInfo().Config
	bound(&cfg)
	// A stream that discards what is new never drops what it has to fit its
	// bounds.
	if _, err := js.UpdateStream(ctx, cfg); err != nil {
		return fmt.Errorf("set the bounds of %s: %w", StreamJobs, err)
	}
	return nil
}
