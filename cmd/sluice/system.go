package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/delivery/ledger"
	"github.com/sluicehq/sluice/internal/jobstream"
	"github.com/sluicehq/sluice/internal/senders"
	"github.com/sluicehq/sluice/internal/tracker"
	"github.com/sluicehq/sluice/producer"
	"github.com/sluicehq/sluice/ratelimit"
)

// The account that signs in to the sandbox, where none is configured.
const (
	sandboxAccount = "AC00000000000000000000000000005a9d"
	sandboxToken   = "sandbox"
)

// system is what every role is made from: the settings, the engines and the
// projections upon them.
type system struct {
	cfg      Config
	logger   *slog.Logger
	engines  *engines
	metrics  *metrics
	holder   string // this process, for leases
	log      *jobstream.Log
	room     *jobstream.Room
	facts    *jobstream.Facts
	gate     *ratelimit.Gate
	ledger   *ledger.Ledger
	registry *senders.Registry
}

// newSystem starts or reaches the engines and sets the streams up.
func newSystem(ctx context.Context, cfg Config, logger *slog.Logger) (*system, error) {
	e, err := startEngines(ctx, cfg, logger)
	if err != nil {
		return nil, err
	}
	if err := jobstream.Setup(ctx, e.js, cfg.queue()); err != nil {
		e.close()
		return nil, fmt.Errorf("streams could not be set up: %w", err)
	}
	s := &system{
		cfg: cfg, logger: logger, engines: e, metrics: newMetrics(), holder: uuid.NewString(),
		log: jobstream.NewLog(e.pub), room: jobstream.NewRoom(e.pub), facts: jobstream.NewFacts(e.pub),
		gate: ratelimit.New(e.gate, ratelimit.Options{
			Window: cfg.Window, Margin: cfg.WindowMargin, ServiceWindow: cfg.ServiceWindow,
			Retention: cfg.Retention, GrantLife: cfg.AckWait - cfg.SendTimeout,
			DefaultLimit: cfg.DefaultLimit, DefaultMPS: cfg.DefaultMPS, Epoch: e.epoch,
		}),
		ledger: ledger.New(e.ledger, ledger.Options{Retention: cfg.Retention}),
	}
	s.registry = senders.New(factStore{s.facts}, s.gate, senders.Config{
		DefaultLimit: senders.Limit(cfg.DefaultLimit), DefaultMPS: cfg.DefaultMPS,
		PoolBy: senders.PoolBy(cfg.PoolBy), Account: cfg.account(), Announce: eventLog{s.log}.Append,
	})
	return s, nil
}

func (s *system) close() { s.engines.close() }

// queue is how the streams are to be.
func (c Config) queue() jobstream.Config {
	return jobstream.Config{
		Replicas: c.StreamReplicas, JobsMax: c.JobsMax, JobsMaxBytes: c.JobsMaxBytes, Dedupe: c.Dedupe, AckWait: c.AckWait,
	}
}

// account is the provider account in use; it is also the pool of senders that
// nobody registered.
func (c Config) account() string {
	if c.AccountSID != "" {
		return c.AccountSID
	}
	return sandboxAccount
}

func (c Config) token() string {
	if c.AuthToken != "" {
		return c.AuthToken
	}
	return sandboxToken
}

// open reports why jobs are not admitted yet, or nil.
func (s *system) open(ctx context.Context) error {
	current, opened, err := s.gate.Epoch(ctx)
	if err != nil {
		return err
	}
	if current != opened {
		return errors.New("the gate is closed until a tracker has refilled it from the log")
	}
	return nil
}

// whenOpen waits until jobs are admitted. Errors of Redis count as closed.
func (s *system) whenOpen(ctx context.Context) error { return poll(ctx, s.open) }

// caughtUp reports why the ledger does not show the whole log yet, or nil.
func (s *system) caughtUp(ctx context.Context, last uint64) error {
	position, err := s.ledger.Position(ctx)
	if err != nil {
		return err
	}
	if position < last {
		return fmt.Errorf("the delivery state is at %d of the log's %d", position, last)
	}
	return nil
}

// newLogger writes to w in the format of the settings.
func newLogger(cfg Config, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(strings.ToUpper(cfg.LogLevel))) // checked with the settings
	options := &slog.HandlerOptions{Level: level}
	if cfg.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// The adapters below join packages that do not know of each other.

// identities is the gate as the producer knows it.
type identities struct{ gate *ratelimit.Gate }

func (i identities) Claim(ctx context.Context, job, digest, sender string) (bool, error) {
	known, err := i.gate.Claim(ctx, job, digest, sender)
	if errors.Is(err, ratelimit.ErrConflict) {
		return known, producer.ErrConflict
	}
	return known, err
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

// standing restores what a new Redis lacks and the log does not carry.
type standing struct{ s *system }

func (st standing) Restore(ctx context.Context) error {
	facts, err := st.s.facts.List(ctx, "")
	if err != nil {
		return err
	}
	for _, fact := range facts {
		if err := st.s.registry.Restore(ctx, fact.Key, fact.Data, fact.Rev); err != nil {
			st.s.logger.WarnContext(ctx, "a stored policy could not be restored", "key", fact.Key, "error", err)
		}
	}
	// The ids of jobs that wait are claimed again, so that nobody can take
	// them with other content in the meantime.
	return st.s.room.Each(ctx, func(ctx context.Context, task delivery.Task) error {
		_, err := st.s.gate.Claim(ctx, task.Job.ID, task.Job.Digest(), task.Job.Sender())
		if errors.Is(err, ratelimit.ErrConflict) {
			return nil // told when the job is handled
		}
		return err
	})
}

func (s *system) evidence() tracker.Evidence {
	return tracker.Evidence{Log: s.log, Records: s.ledger, Owners: s.gate}
}
