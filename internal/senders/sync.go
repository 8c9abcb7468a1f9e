package senders

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"time"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/messaging"
)

// Provider is the Senders API of one account.
type Provider interface {
	// List returns every sender of the account, or an error.
	List(ctx context.Context) ([]messaging.ChannelSender, error)
	Fetch(ctx context.Context, sid string) (messaging.ChannelSender, error)
}

// Lessor hands out leases.
type Lessor interface {
	Lease(ctx context.Context, name, holder string, ttl time.Duration) (bool, error)
}

// SyncConfig is how a [Sync] works.
type SyncConfig struct {
	Holder string        // unique per process
	Every  time.Duration // between two passes, ± a tenth, so that replicas do not ask in step; default 5m
	Log    *slog.Logger
}

// Sync keeps the registry in step with the provider, which tells nobody when a
// limit or a state changes: it has to be asked. One process does it at a time,
// under a lease; what it learns is in the facts before the gate is told, so
// another may go on at any point.
type Sync struct {
	registry *Registry
	accounts map[string]Provider
	lessor   Lessor
	cfg      SyncConfig
}

// NewSync makes it from its parts; accounts are by their SID.
func NewSync(r *Registry, accounts map[string]Provider, lessor Lessor, cfg SyncConfig) *Sync {
	cfg.Every = cmp.Or(cfg.Every, 5*time.Minute)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Sync{registry: r, accounts: accounts, lessor: lessor, cfg: cfg}
}

// leaseSpare is how much longer than two intervals a lease lasts: so long
// nobody asks when its holder dies.
const leaseSpare = 5 * time.Second

// Run asks at once and then again and again until ctx ends, and returns nil
// then.
func (s *Sync) Run(ctx context.Context) error {
	for wait := time.Duration(0); ; wait = s.interval() {
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
		mine, err := s.lessor.Lease(ctx, "senders", s.cfg.Holder, 2*s.cfg.Every+leaseSpare)
		if err == nil && mine {
			err = s.Pass(ctx)
		}
		if err != nil && ctx.Err() == nil {
			s.cfg.Log.WarnContext(ctx, "senders not compared with the provider's, trying again", "error", err)
		}
	}
}

func (s *Sync) interval() time.Duration {
	return s.cfg.Every + time.Duration((rand.Float64()-0.5)*float64(s.cfg.Every)/5)
}

// Pass asks every account once. A sender that no list has stays as it is: a
// list that lacks it proves nothing. An account that can't be read changes
// nothing of its senders, and nothing of the others'.
func (s *Sync) Pass(ctx context.Context) error {
	facts, err := listed[senderFact](ctx, s.registry, senderKey(""))
	if err != nil {
		return err
	}
	known := make(map[string]senderFact, len(facts))
	for _, f := range facts {
		known[f.about] = f.value
	}
	lists, errs := s.ask(ctx)
	for _, token := range slices.Sorted(maps.Keys(lists.senders)) {
		account, ok := lists.owner(token, known[token])
		if !ok {
			continue
		}
		if err := s.take(ctx, token, account, lists.senders[token][account], known[token].Provider); err != nil {
			errs = append(errs, fmt.Errorf("sender %s: %w", token, err))
		}
	}
	return errors.Join(errs...)
}

// lists is what the accounts showed: senders by token and account.
type lists struct {
	senders map[string]map[string]messaging.ChannelSender
	failed  map[string]bool // accounts that could not be read
}

func (s *Sync) ask(ctx context.Context) (lists, []error) {
	l := lists{senders: map[string]map[string]messaging.ChannelSender{}, failed: map[string]bool{}}
	var errs []error
	for _, account := range slices.Sorted(maps.Keys(s.accounts)) {
		all, err := s.accounts[account].List(ctx)
		if err != nil {
			l.failed[account] = true
			errs = append(errs, fmt.Errorf("list the senders of %s: %w", account, err))
		}
		for _, one := range all {
			token := delivery.SenderToken(one.Address)
			if token == "" {
				continue // of a channel this version does not know
			}
			if l.senders[token] == nil {
				l.senders[token] = map[string]messaging.ChannelSender{}
			}
			l.senders[token][account] = one
		}
	}
	return l, errs
}

// owner is the account whose word about a sender counts: the one put by hand,
// else the one it was found in before, else the first that has it.
func (l lists) owner(token string, f senderFact) (account string, ok bool) {
	in := l.senders[token]
	if f.Account != "" {
		_, ok = in[f.Account]
		return f.Account, ok
	}
	if f.Provider != nil {
		if _, ok := in[f.Provider.Account]; ok {
			return f.Provider.Account, true
		}
		if l.failed[f.Provider.Account] {
			return "", false
		}
	}
	return slices.Sorted(maps.Keys(in))[0], true
}

// take learns what one list says of one sender. That it stopped sending is
// believed only if a second read says so too: lists have shown senders offline
// that were not.
func (s *Sync) take(ctx context.Context, token, account string, said messaging.ChannelSender, before *provided) error {
	if !said.Status.Sends() && !before.stopped() {
		again, err := s.accounts[account].Fetch(ctx, said.SID)
		if err != nil {
			return fmt.Errorf("read a second time, since it is listed as %s: %w", said.Status, err)
		}
		said = again
	}
	if reflect.DeepEqual(reported(account, said, before), before) {
		return nil // as nearly always: the registry need not be asked
	}
	news, err := s.registry.learn(ctx, token, account, said)
	if news {
		s.cfg.Log.InfoContext(ctx, "the provider changed a sender", "sender", delivery.Mask(delivery.SenderAddress(token)),
			"status", said.Status, "limit", said.Properties.Limit, "quality", said.Properties.Quality)
	}
	return err
}
