package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/callbacks"
	"github.com/sluicehq/sluice/dispatcher"
	"github.com/sluicehq/sluice/internal/dashboard"
	"github.com/sluicehq/sluice/internal/jobstream"
	"github.com/sluicehq/sluice/internal/messaging"
	"github.com/sluicehq/sluice/internal/senders"
	"github.com/sluicehq/sluice/internal/tracker"
	"github.com/sluicehq/sluice/producer"
)

// dispatcherRole takes jobs and sends them, and lets parked ones out.
func dispatcherRole(_ context.Context, s *system) (*role, error) {
	cfg := s.cfg
	public := cfg.PublicURL
	if public == "" {
		public = "http://" + cfg.CallbacksAddr
	}
	whose := senders.NewDirectory()
	client := s.newProvider(whose.Account)
	open := s.open
	if len(cfg.Accounts) > 0 { // before the first send it must be known whose each sender is
		open = func(ctx context.Context) error { return errors.Join(s.open(ctx), whose.Ready()) }
	}
	perSender := cfg.PoolBy == poolBySender
	known, contents := s.newTemplates(whose.Account)
	d := dispatcher.New(accountGate{s.gate, s.registry, cfg.account()}, s.log, client, s.evidence(), s.metrics, dispatcher.Config{
		Account: cfg.account(), PoolPerSender: perSender, StatusURL: strings.TrimRight(public, "/") + "/twilio/status",
		SendTimeout: cfg.SendTimeout, AckWait: cfg.AckWait, UnknownGrace: cfg.UnknownGrace, Log: s.logger,
		AccountOf: whose.Account, Templates: known,
		OptedOut: func(ctx context.Context, customer, sender string, at time.Time) error {
			return consents{s.registry}.Record(ctx, customer, sender, true, "provider", at)
		},
	})
	var full atomic.Bool
	// A move is four round trips, so several are under way; and a pool with much to
	// let out, or in trouble, delays no other.
	releaser := dispatcher.NewReleaser(s.room, s.gate, s.log, dispatcher.ReleaserConfig{
		Holder: s.holder, Account: cfg.account(), PoolPerSender: perSender, Pools: 16, Moves: 8, Log: s.logger,
	})
	worker := jobstream.NewWorker(s.engines.js, s.log, d, jobstream.WorkerConfig{
		Concurrency: cfg.Concurrency, AckWait: cfg.AckWait, DrainTimeout: cfg.DrainTimeout,
		Ready: func(ctx context.Context) error { return poll(ctx, open) }, Full: full.Load, Log: s.logger,
		Parked: releaser.Shelve,
		Lease: func(ctx context.Context, name string) (bool, error) {
			return s.gate.Lease(ctx, name, s.holder, time.Second)
		},
	})
	r := &role{
		name: "dispatcher", lines: map[string]string{},
		ready:   func(ctx context.Context) error { return errors.Join(s.logged(ctx), open(ctx)) },
		workers: []task{worker.Run, releaser.Run, dispatcher.NewRecount(s.gate, releaser).Run, s.watchRoom(&full), closing(client), closing(contents)},
	}
	if len(cfg.Accounts) > 0 {
		r.servers = append(r.servers, s.followSenders(whose))
	}
	return r, nil
}

// callbacksRole receives what the provider tells.
func callbacksRole(_ context.Context, s *system) (*role, error) {
	l, err := listen("SLUICE_CALLBACKS_ADDR", s.cfg.CallbacksAddr)
	if err != nil {
		return nil, err
	}
	public := s.cfg.PublicURL
	if public == "" {
		public = urlOf(l)
	}
	handler := callbacks.New(callbacks.Config{
		PublicURL: public, Verifier: s.cfg.verifiers(),
		Log: eventLog{s.log}, Intents: s.log, Resolver: s.ledger, Consents: consents{s.registry.Silent()}, Aliases: s.registry,
		Logger: s.logger, Observe: s.metrics.Observe, Failed: s.metrics.Failed, Trace: s.sentUnder(),
	})
	return &role{
		name: "callbacks", lines: map[string]string{"callbacks": urlOf(l)}, ready: s.logged,
		servers: []task{serve(l, handler)},
	}, nil
}

// accountTokens verifies a signature with the tokens of the account that the
// request names, and with no other's.
type accountTokens map[string]*messaging.Verifier

func (a accountTokens) Verify(account, publicURL string, form url.Values, body []byte, signature string) bool {
	verifier, known := a[account]
	if form != nil {
		body = nil // a form is signed field by field, any other body by its digest
	}
	return known && verifier.Verify(publicURL, form, body, signature)
}

// trackerRole keeps gate and ledger up to date with the log, and policies with
// the facts.
func trackerRole(_ context.Context, s *system) (*role, error) {
	settle := s.cfg.AckWait - s.cfg.SendTimeout
	if s.cfg.NATSURL == "" {
		settle = 0 // this process alone owns the queue's folder: nobody else holds a grant
	}
	gate := tracker.NewGateProjection(s.log, s.gate, standing{s}, tracker.GateConfig{
		Holder: s.holder, Settle: settle, Log: s.logger,
	})
	state := tracker.NewLedgerProjection(s.log, s.ledger, s.gate, s.holder, s.logger)
	lag := func(consumer string, applied func() uint64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "sluice_tracker_lag", Help: "Log entries not applied yet, as seen by the tracker that leads.",
			ConstLabels: prometheus.Labels{"consumer": consumer},
		}, func() float64 {
			last, err := s.log.Last(context.Background())
			if err != nil || applied() == 0 || applied() > last {
				return 0
			}
			return float64(last - applied())
		})
	}
	client := s.newProvider(nil)
	stale := tracker.NewStale(fetcher{client}, unfinished{s.ledger}, s.log, s.room, s.log, s.gate, tracker.StaleConfig{
		Holder: s.holder, After: s.cfg.StaleAfter, Unclear: s.cfg.AckWait + s.cfg.UnknownGrace, Log: s.logger,
	})
	s.metrics.registry.MustRegister(lag("gate", gate.Applied), lag("ledger", state.Applied), gauges{s})
	accounts, ends := s.senderAccounts()
	sync := senders.NewSync(s.registry, accounts, s.gate, senders.SyncConfig{
		Holder: s.holder, Every: s.cfg.SendersSync, Log: s.logger,
	})
	refusals := tracker.NewRefusals(s.ledger, s.log, again{s}, s.log, s.gate, tracker.RefusalsConfig{
		Window: s.cfg.Window, Foreign: s.metrics.foreign.Inc, CaughtUp: redriver{s}.CaughtUp, Log: s.logger,
	})
	refused := func(ctx context.Context) error {
		return jobstream.NewAgain(s.engines.js, s.logger).Run(ctx, refusals.Take)
	}
	policies := func(ctx context.Context) error { return s.followFacts(ctx) }
	return &role{
		name: "tracker", lines: map[string]string{}, ready: s.atWork,
		servers: []task{gate.Run, state.Run, policies, stale.Run, refused, sync.Run, s.trim, s.forget, closing(client), closing(ends)},
	}, nil
}

// restore tells the gate of one policy. One that cannot be read is left out, and
// told of.
func (s *system) restore(ctx context.Context, key string, data []byte, rev uint64) error {
	err := s.registry.Restore(ctx, key, data, rev)
	if errors.Is(err, senders.ErrMalformed) {
		s.logger.ErrorContext(ctx, "a stored policy cannot be read: put it again", "key", key, "error", err)
		return nil
	}
	return err
}

// followFacts tells the gate of every policy put anywhere, at the latest when
// the one who put it died before telling.
func (s *system) followFacts(ctx context.Context) error {
	return s.facts.Follow(ctx, func(ctx context.Context, key string, data []byte, rev uint64) error {
		return poll(ctx, func(ctx context.Context) error { return s.restore(ctx, key, data, rev) })
	}, func() {})
}

// followSenders keeps the directory of senders current.
func (s *system) followSenders(d *senders.Directory) task {
	return func(ctx context.Context) error {
		return s.facts.FollowUnder(ctx, senders.DirectoryPrefix, func(_ context.Context, key string, data []byte, _ uint64) error {
			if err := d.Learn(key, data); err != nil {
				s.logger.ErrorContext(ctx, "a stored sender cannot be read: put it again", "key", key, "error", err)
			}
			return nil
		}, d.CaughtUp)
	}
}

// apiRole serves the HTTP API.
func apiRole(_ context.Context, s *system) (*role, error) {
	l, err := listen("SLUICE_API_ADDR", s.cfg.APIAddr)
	if err != nil {
		return nil, err
	}
	handler, err := s.apiHandler(nil)
	if err != nil {
		l.Close()
		return nil, err
	}
	return &role{
		name: "api", lines: map[string]string{"api": urlOf(l)}, ready: s.shown,
		servers: []task{serve(l, handler), handler.run},
	}, nil
}

// apiHandler is the API with its pages, and the sandbox's phone where there is
// one; its run belongs beside the server.
func (s *system) apiHandler(phone http.Handler) (api apiServer, err error) {
	keys, err := dashboard.ParseKeys(s.cfg.APIKeys)
	if err != nil {
		return api, wrong("SLUICE_API_KEYS", "%s", err)
	}
	announce := announcer{s.log, s.ledger}
	whose := senders.NewDirectory()
	known, contents := s.newTemplates(whose.Account)
	publish := producer.NewHandler(producer.HandlerConfig{
		Publisher:  producer.New(s.engines.pub, producer.WithAnnounced()),
		Identities: identities{s.gate}, States: s.ledger, Announcer: announce, Logger: s.logger,
		Category: known.Category, Unfit: unfitNow{s, known}.refuse,
	})
	d := dashboard.New(dashboard.Config{
		Jobs: jobList{s.ledger}, Stats: jobStats{s.ledger}, Limits: s.gate, Room: s.room, Backlog: queueLoad{s.room}, Registry: operated{s.registry, s.gate},
		Canceler: canceler{s.gate}, Schedules: s.room, Redriver: redriver{s}, Announcer: announce, Events: s.log,
		Advise: advice, Phone: phone,
		Submit: publish, Keys: keys, Window: s.cfg.Window, Margin: s.cfg.WindowMargin, DefaultPool: s.cfg.defaultPool, Log: s.logger,
	})
	beside := []task{d.Run, closing(contents)}
	if len(s.cfg.Accounts) > 0 {
		beside = append(beside, s.followSenders(whose))
	}
	return apiServer{d.Handler(), func(ctx context.Context) error { return runStages(ctx, beside) }}, nil
}

// withHealth serves health beside another handler; it needs no key.
func withHealth(handler, health http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", handler)
	for _, path := range []string{"/metrics", "/healthz", "/readyz"} {
		mux.Handle(path, health)
	}
	return mux
}
