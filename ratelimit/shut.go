package ratelimit

import (
	"context"
	"errors"
	"time"
)

// ShutWindow forgets what the customer wrote to the sender up to a time: the
// provider said of a message from then that their service window is shut, and
// its word beats ours. What they write later opens it again, and so does a
// refill from the log, after which the provider says it once more. Safe to
// repeat.
func (g *Gate) ShutWindow(ctx context.Context, sender, customer string, upTo time.Time) error {
	if sender == "" || customer == "" || upTo.IsZero() {
		return errors.New("shut window: sender, customer and time must be set")
	}
	_, err := g.ask(ctx, g.scripts.shut, []string{customerKey(customer)}, sender, customer, upTo.UnixMicro())
	return err
}
