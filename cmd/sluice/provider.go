package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"golang.org/x/time/rate"

	"github.com/sluicehq/sluice/internal/messaging"
	"github.com/sluicehq/sluice/internal/senders"
)

// provider is the Messages API as the roles know it: one client per account,
// chosen by the account of the sender.
type provider struct {
	main    *messaging.Client
	clients map[string]*messaging.Client // by account
	sids    []string                     // of the accounts, the main one first
	account func(sender string) string   // of a sender token; empty: the main one
}

// accountRate is what Twilio takes a second of an account, its subaccounts
// included (error 63017 beyond). Each process keeps to it by itself.
const accountRate = 2000

// newProvider makes the clients. account says whose a sender is; it is asked
// only where there is more than one account.
func (s *system) newProvider(account func(sender string) string) *provider {
	p := &provider{clients: map[string]*messaging.Client{}, account: account}
	pace := rate.Inf // the sandbox has no such limit, and measures us
	if s.cfg.live() {
		pace = accountRate
	}
	for _, a := range s.cfg.accounts() {
		client := messaging.NewClient(a.Account, messaging.Config{
			BaseURL: s.cfg.messagesURL(), Timeout: s.cfg.SendTimeout,
			MaxConns: s.mostInHand(), RequestsPerSecond: pace,
		})
		if p.main == nil {
			p.main = client
		}
		p.clients[a.SID] = client
		p.sids = append(p.sids, a.SID)
	}
	return p
}

// mostInHand is how many jobs a dispatcher may have in hand, each with one call
// under way: a quarter for high priority besides, and one more for each of the six
// queues ([jobstream.WorkerConfig]). Two calls are to spare.
func (s *system) mostInHand() int { return s.cfg.Concurrency + s.cfg.Concurrency/4 + 6 + 2 }

// of is the client of a sender's account. An account that the settings do not
// name is an error of the settings, and of the sender, never of the message.
func (p *provider) of(sender string) (*messaging.Client, error) {
	if len(p.clients) == 1 {
		return p.main, nil
	}
	sid := p.account(sender)
	if sid == "" {
		return p.main, nil
	}
	client, known := p.clients[sid]
	if !known {
		return nil, &messaging.Failure{
			Class: messaging.AccountBroken,
			Err:   fmt.Errorf("the sender belongs to account %s, which the settings do not name: add it under accounts", sid),
		}
	}
	return client, nil
}

// Create sends a message through its sender's account.
func (p *provider) Create(ctx context.Context, m messaging.Message) (messaging.Resource, error) {
	client, err := p.of(senderOf(m.From, m.MessagingServiceSID))
	if err != nil {
		return messaging.Resource{}, err
	}
	return client.Create(ctx, m)
}

// List lists messages in the account of the sender, or, where none is named,
// in every account: a messaging service's number is not known beforehand.
func (p *provider) List(ctx context.Context, to, from string, most int) ([]messaging.Resource, error) {
	if from != "" {
		client, err := p.of(senderOf(from, ""))
		if err != nil {
			return nil, err
		}
		return client.List(ctx, to, from, most)
	}
	var all []messaging.Resource
	for _, sid := range p.sids {
		found, err := p.clients[sid].List(ctx, to, from, most)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	slices.SortStableFunc(all, func(a, b messaging.Resource) int { return b.DateCreated.Compare(a.DateCreated) })
	return all[:min(len(all), most)], nil
}

// Fetch looks for a message in one account after another: its SID does not say
// whose it is.
func (p *provider) Fetch(ctx context.Context, sid string) (found messaging.Resource, err error) {
	for _, account := range p.sids {
		if found, err = p.clients[account].Fetch(ctx, sid); !notFound(err) {
			return found, err
		}
	}
	return found, err
}

// notFound reports whether the error is the provider's word that there is none.
func notFound(err error) bool {
	var f *messaging.Failure
	return errors.As(err, &f) && f.HTTPStatus == http.StatusNotFound
}

// Close drops idle connections.
func (p *provider) Close() {
	for _, client := range p.clients {
		client.Close()
	}
}

// senderAccounts is the Senders API of every account, and what ends it.
func (s *system) senderAccounts() (accounts map[string]senders.Provider, all closers) {
	accounts = map[string]senders.Provider{}
	for _, a := range s.cfg.accounts() {
		client := messaging.NewSendersClient(a.Account, messaging.Config{BaseURL: s.cfg.sendersURL(), MaxConns: 2})
		accounts[a.SID] = client
		all = append(all, client)
	}
	return accounts, all
}

// closer has connections to drop.
type closer interface{ Close() }

type closers []closer

// Close closes all of them.
func (all closers) Close() {
	for _, c := range all {
		c.Close()
	}
}

// closing ends a client's idle connections with its role.
func closing(c closer) task {
	return func(ctx context.Context) error {
		<-ctx.Done()
		c.Close()
		return nil
	}
}
