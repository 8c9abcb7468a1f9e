package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/delivery/ledger"
	"github.com/sluicehq/sluice/dispatcher"
	"github.com/sluicehq/sluice/internal/jobstream"
	"github.com/sluicehq/sluice/internal/senders"
	"github.com/sluicehq/sluice/internal/tracker"
	"github.com/sluicehq/sluice/producer"
	"github.com/sluicehq/sluice/ratelimit"
)

// The adapters below join packages that do not know of each other.

// identities is the gate as the producer knows it.
type identities struct{ gate *ratelimit.Gate }

func (i identities) Claim(ctx context.Context, job, digest, sender string) (bool, delivery.Status, error) {
	claimed, err := i.gate.Claim(ctx, job, digest, sender, time.Time{})
	if errors.Is(err, ratelimit.ErrConflict) {
		err = producer.ErrConflict
	}
	return claimed.Known, delivery.Status(claimed.Ended), err
}

func (i identities) Disclaim(ctx context.Context, job, digest, sender string) error {
	return i.gate.Disclaim(ctx, job, digest, sender)
}

// announcer puts an event into the log and, so that a job answered 202 can be
// read at once, into the ledger. A crash in between leaves that to the tracker.
type announcer struct {
	log    *jobstream.Log
	ledger *ledger.Ledger
}

func (a announcer) Announce(ctx context.Context, e delivery.Event) error {
	if _, err := a.log.Append(ctx, e); err != nil {
		return err
	}
	return a.ledger.Apply(ctx, []delivery.Event{e})
}

// eventLog is the log for those who need no sequence.
type eventLog struct{ log *jobstream.Log }

func (l eventLog) Append(ctx context.Context, e delivery.Event) error {
	_, err := l.log.Append(ctx, e)
	return err
}

// consents is the registry as the callbacks know it. They put the event into
// the log themselves, so the registry should be a silent one.
type consents struct{ registry *senders.Registry }

func (c consents) Record(ctx context.Context, customer, sender string, out bool, source string, at time.Time) error {
	state := senders.OptedIn
	if out {
		state = senders.OptedOut
	}
	_, err := c.registry.PutConsent(ctx, customer, senders.Consent{From: sender, State: state, Source: source, At: at})
	if errors.Is(err, senders.ErrOlder) {
		return nil // a later word of the customer's stands
	}
	return err
}

// factStore is the facts stream as the registry knows it.
type factStore struct{ facts *jobstream.Facts }

func (f factStore) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	return f.facts.Get(ctx, key)
}

func (f factStore) Put(ctx context.Context, key string, data []byte, expected uint64) (uint64, error) {
	rev, err := f.facts.Put(ctx, key, data, expected)
	if errors.Is(err, jobstream.ErrStale) {
		return rev, senders.ErrStale
	}
	return rev, err
}

func (f factStore) List(ctx context.Context, prefix string) ([]senders.Fact, error) {
	facts, err := f.facts.List(ctx, strings.TrimSuffix(prefix, ".")) // prefixes here end with their dot
	list := make([]senders.Fact, len(facts))
	for i, fact := range facts {
		list[i] = senders.Fact{Key: fact.Key, Data: fact.Data, Revision: fact.Rev}
	}
	return list, err
}

// seenSenders are the senders that the gate has admitted jobs of.
func (s *system) seenSenders(ctx context.Context) ([]string, error) {
	pools, err := s.gate.Pools(ctx)
	if err != nil {
		return nil, err
	}
	var tokens []string
	for _, pool := range pools {
		limits, err := s.gate.Limits(ctx, pool)
		if err != nil {
			return nil, err
		}
		for _, sender := range limits.Senders {
			tokens = append(tokens, sender.Sender)
		}
	}
	return tokens, nil
}

// senderOf is the token of a number or a messaging service.
func senderOf(from, service string) string {
	return delivery.Job{From: from, MessagingServiceSID: service}.Sender()
}

// standing restores what a new Redis lacks and the log does not carry.
type standing struct{ s *system }

func (st standing) Restore(ctx context.Context) error {
	facts, err := st.s.facts.List(ctx, "")
	if err != nil {
		return err
	}
	for _, fact := range facts {
		if err := st.s.restore(ctx, fact.Key, fact.Data, fact.Rev); err != nil {
			return fmt.Errorf("%s: %w", fact.Key, err) // a gate without it would let too much go
		}
	}
	return st.s.room.Each(ctx, func(ctx context.Context, jobs []delivery.Parked) error {
		stored := make([]ratelimit.Stored, len(jobs))
		for i, p := range jobs {
			stored[i] = st.s.stored(p)
		}
		return st.s.gate.Restore(ctx, stored)
	})
}

// stored is a job as the gate remembers it while it lies in a stream.
func (s *system) stored(p delivery.Parked) ratelimit.Stored {
	stored := ratelimit.Stored{
		Request: dispatcher.GateRequest(p.Task, s.cfg.account(), s.cfg.PoolBy == poolBySender), Seq: p.Seq,
		Copies: p.Task.Job.SendAt,
	}
	if expires := p.Task.Job.ExpiresAt; expires.After(stored.Copies) {
		stored.Copies = expires
	}
	return stored
}

// again is the waiting room for jobs that come back from the provider.
type again struct{ s *system }

// Park also tells the gate that the job waits, and where: it was not asked. A
// crash in between leaves the job to its turn in the room's order.
func (a again) Park(ctx context.Context, task delivery.Task) (delivery.Parked, error) {
	p, err := a.s.room.Park(ctx, task)
	if err == nil {
		err = a.s.gate.Restore(ctx, []ratelimit.Stored{a.s.stored(p)})
	}
	return p, err
}

// fetcher is the Messages API as the tracker knows it.
type fetcher struct{ client *provider }

func (f fetcher) Fetch(ctx context.Context, sid string) (tracker.Report, error) {
	m, err := f.client.Fetch(ctx, sid)
	if notFound(err) {
		return tracker.Report{}, nil
	}
	return tracker.Report{Status: strings.ToLower(m.Status), Code: m.ErrorCode, Message: m.ErrorMessage}, err
}

// unfinished is the ledger as the tracker asks it.
type unfinished struct{ ledger *ledger.Ledger }

// mostUnfinished bounds one look at each kind; the newest come first.
const mostUnfinished = 5000

// Unfinished lists the attempts in doubt first: what is merely awaited may be
// much, and never come.
func (u unfinished) Unfinished(ctx context.Context, before time.Time) ([]delivery.Record, error) {
	doubtful, err := u.older(ctx, before, delivery.StatusSending, delivery.StatusUnknown)
	if err != nil {
		return nil, err
	}
	awaited, err := u.older(ctx, before, delivery.StatusQueued, delivery.StatusSent)
	return append(doubtful, awaited...), err
}

func (u unfinished) older(ctx context.Context, before time.Time, status ...delivery.Status) ([]delivery.Record, error) {
	query := ledger.Query{Status: status, Until: before, Limit: ledger.MaxLimit}
	var all []delivery.Record
	for len(all) < mostUnfinished {
		records, next, err := u.ledger.List(ctx, query)
		if err != nil {
			return nil, err
		}
		all = append(all, records...)
		if next == "" {
			break
		}
		query.Cursor = next
	}
	return all, nil
}

// pairs is the ledger as evidence asks it.
type pairs struct{ ledger *ledger.Ledger }

// Open lists one page: more open outcomes of one pair of addresses than that
// are no longer told apart.
func (p pairs) Open(ctx context.Context, from, to string) ([]delivery.Record, error) {
	records, _, err := p.ledger.List(ctx, ledger.Query{
		From: from, To: to, Status: []delivery.Status{delivery.StatusSending, delivery.StatusUnknown},
	})
	return records, err
}
