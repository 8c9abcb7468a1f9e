package ratelimit

import (
	"context"
	"errors"
)

// ShutWindow forgets the customer's last message to the sender: the provider
// said that their service window is shut, and its word beats ours. The next
// message opens it again, and so does a refill from the log, after which the
// provider says it once more. Safe to repeat.
func (g *Gate) ShutWindow(ctx context.Context, sender, customer string) error {
	if sender == "" || customer == "" {
		return errors.New("shut window: sender and customer must be set")
	}
	_, err := g.ask(ctx, g.scripts.shut, []string{customerKey(customer)}, sender, customer)
	return err
}
