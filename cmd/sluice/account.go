package main

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/internal/senders"
	"github.com/sluicehq/sluice/ratelimit"
)

// accountGate is the gate as the dispatcher knows it: it knows which senders
// belong to one account.
type accountGate struct {
	*ratelimit.Gate
	registry *senders.Registry
	account  string // of senders that name none
}

// TripAccount parks everything of the account that sender belongs to. Senders
// that nobody registered and that have sent nothing yet are not known; their
// first job finds out for itself.
func (g accountGate) TripAccount(ctx context.Context, sender, reason string, until time.Time) error {
	accounts, err := g.accounts(ctx)
	if err != nil {
		return err
	}
	if err := g.Trip(ctx, sender, reason, until); err != nil {
		return err
	}
	pools, err := g.Pools(ctx)
	if err != nil {
		return err
	}
	for _, pool := range pools {
		limits, err := g.Limits(ctx, pool)
		if err != nil {
			return err
		}
		for _, s := range limits.Senders {
			if g.of(accounts, s.Sender) != g.of(accounts, sender) || s.Sender == sender {
				continue
			}
			if err := g.Trip(ctx, s.Sender, reason, until); err != nil {
				return err
			}
		}
	}
	return nil
}

func (g accountGate) of(accounts map[string]string, sender string) string {
	if account := accounts[sender]; account != "" {
		return account
	}
	return g.account
}

func (g accountGate) accounts(ctx context.Context) (map[string]string, error) {
	list, err := g.registry.Senders(ctx)
	if err != nil {
		return nil, err
	}
	accounts := make(map[string]string, len(list))
	for _, s := range list {
		accounts[s.Token] = s.Account
	}
	return accounts, nil
}
