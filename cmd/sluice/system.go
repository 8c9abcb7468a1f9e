package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/delivery/ledger"
	"github.com/sluicehq/sluice/internal/jobstream"
	"github.com/sluicehq/sluice/internal/messaging"
	"github.com/sluicehq/sluice/internal/senders"
	"github.com/sluicehq/sluice/internal/tracker"
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
	endTraces, err := startTraces(ctx, cfg)
	if err != nil {
		return nil, err
	}
	e, err := startEngines(ctx, cfg, logger)
	if err != nil {
		endTraces()
		return nil, err
	}
	e.onClose(endTraces)
	if err := setUpStreams(ctx, e.js, cfg); err != nil {
		e.close()
		return nil, fmt.Errorf("streams could not be set up: %w", err)
	}
	s := &system{
		cfg: cfg, logger: logger, engines: e, metrics: newMetrics(), holder: uuid.NewString(),
		log: jobstream.NewLog(e.pub), room: jobstream.NewRoom(e.pub), facts: jobstream.NewFacts(e.pub),
		gate: ratelimit.New(e.gate, ratelimit.Options{
			Window: cfg.Window, Margin: cfg.WindowMargin, ServiceWindow: cfg.ServiceWindow,
			Retention: cfg.Retention, GrantLife: cfg.AckWait - cfg.SendTimeout,
			DefaultLimit: cfg.DefaultLimit, DefaultMPS: cfg.DefaultMPS, SenderMPS: cfg.senderMPS(), Epoch: e.epoch,
			PairSpacing: cfg.pairSpacing(), PairBurst: cfg.PairBurst,
		}),
	}
	s.ledger = ledger.New(e.ledger, ledger.Options{Retention: cfg.Retention, Twice: s.convict})
	s.registry = senders.New(factStore{s.facts}, s.gate, senders.Config{
		DefaultLimit: senders.Limit(cfg.DefaultLimit), DefaultMPS: cfg.DefaultMPS, SenderMPS: cfg.senderMPS(),
		PoolBy: senders.PoolBy(cfg.PoolBy), Account: cfg.account(), Announce: eventLog{s.log}.Append, Seen: s.seenSenders,
	})
	return s, nil
}

// senderMPS is the rate of senders that everybody knows, unless another is put
// for them: the vendor's sandbox number, shared by all who try WhatsApp.
func (c Config) senderMPS() map[string]float64 {
	return map[string]float64{messaging.SandboxNumber: min(messaging.SandboxMPS, c.DefaultMPS)}
}

func (s *system) close() { s.engines.close() }

// pairSpacing is as the gate takes it, for which zero stands for the default.
func (c Config) pairSpacing() time.Duration {
	if c.PairSpacing == 0 {
		return -1
	}
	return c.PairSpacing
}

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

// setUpStreams tries for as long as JetStream may be on its way: a server takes
// connections before it, and before its cluster has a leader.
func setUpStreams(ctx context.Context, js jetstream.JetStream, cfg Config) error {
	var last error
	err := reach(ctx, func() error {
		last = jobstream.Setup(ctx, js, cfg.queue())
		if last != nil && onItsWay(last) {
			return last
		}
		return nil
	})
	return cmp.Or(err, last)
}

// noPeers is JetStream's refusal as long as too few servers of a cluster are up.
const noPeers = 10005

func onItsWay(err error) bool {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.Code == http.StatusServiceUnavailable || api.ErrorCode == noPeers
	}
	return true // no answer, whatever the reason
}

// logged reports why the log cannot be reached, or nil.
func (s *system) logged(ctx context.Context) error {
	_, err := s.log.Last(ctx)
	return err
}

// shown reports why states cannot be read or changed, or nil.
func (s *system) shown(ctx context.Context) error {
	_, err := s.ledger.Position(ctx)
	return errors.Join(s.logged(ctx), err)
}

// atWork reports why nothing is admitted or told, or nil.
func (s *system) atWork(ctx context.Context) error { return errors.Join(s.logged(ctx), s.open(ctx)) }

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

func (s *system) evidence() tracker.Evidence {
	return tracker.Evidence{Log: s.log, Records: s.ledger, Owners: s.gate, Intents: s.log, Pairs: pairs{s.ledger}}
}
