package ratelimit

import (
	"context"
	"errors"
	"time"
)

// Lease takes or renews the lease called name for holder, and reports whether
// holder has it now. It ends ttl after the last renewal, on the server's
// clock: a holder that cannot renew in time must stop before that.
func (g *Gate) Lease(ctx context.Context, name, holder string, ttl time.Duration) (bool, error) {
	if name == "" || holder == "" || ttl < time.Millisecond {
		return false, errors.New("lease: name, holder and a ttl of at least 1ms must be set")
	}
	reply, err := g.ask(ctx, g.scripts.lease, []string{leaseKey(name)}, holder, ttl.Milliseconds())
	if err != nil {
		return false, err
	}
	return decodeBool(reply)
}

// Unlease ends the lease if holder has it, so that another can take it at once.
func (g *Gate) Unlease(ctx context.Context, name, holder string) error {
	if name == "" || holder == "" {
		return errors.New("unlease: name and holder must be set")
	}
	_, err := g.ask(ctx, g.scripts.lease, []string{leaseKey(name)}, holder, 0)
	return err
}
