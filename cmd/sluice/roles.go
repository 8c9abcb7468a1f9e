package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/callbacks"
	"github.com/sluicehq/sluice/dispatcher"
	"github.com/sluicehq/sluice/internal/dashboard"
	"github.com/sluicehq/sluice/internal/jobstream"
	"github.com/sluicehq/sluice/internal/messaging"
	"github.com/sluicehq/sluice/internal/tracker"
	"github.com/sluicehq/sluice/producer"
)

// role is a part of the system as a set of tasks, and when it is ready.
type role struct {
	name    string
	workers []task // end first
	servers []task // end when the workers have ended
	ready   func(context.Context) error
	lines   map[string]string // what the ready line tells
	health  http.Handler      // served on the role's own address too, if any
}

// builder makes a role of a system.
type builder func(s *system) (*role, error)

// newRole is the command that runs one role in a process of its own.
func newRole(p *program, name, short string, build builder) *cobra.Command {
	cmd := &cobra.Command{
		Use: name, Short: short, Args: cobra.NoArgs,
		Long:    short + ".\n\nAny number of replicas may run. NATS and Redis must be named.",
		Example: fmt.Sprintf("  SLUICE_NATS_URL=nats://nats:4222 SLUICE_REDIS_URL=redis://redis:6379 sluice %s", name),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := p.configure(cmd, name)
			if err != nil {
				return err
			}
			return p.runRole(cmd.Context(), cfg, build)
		},
	}
	addFlags(cmd.Flags())
	return cmd
}

// configure loads and checks the settings of a role.
func (p *program) configure(cmd *cobra.Command, role string) (Config, error) {
	cfg, warnings, err := load(cmd.Flags(), p.env)
	if err != nil {
		return cfg, err
	}
	if f := cmd.Flags().Lookup("sandbox"); f != nil {
		cfg.Sandbox = f.Value.String() == "true"
	}
	for _, name := range warnings {
		fmt.Fprintf(p.err, "sluice: warning: %s is not a setting\n", name)
	}
	return cfg, cfg.validate(role)
}

func (p *program) runRole(ctx context.Context, cfg Config, build builder) error {
	admin, err := listen("SLUICE_ADMIN_ADDR", cfg.AdminAddr)
	if err != nil {
		return err
	}
	s, err := newSystem(ctx, cfg, newLogger(cfg, p.err))
	if err != nil {
		admin.Close()
		return err
	}
	defer s.close()
	r, err := build(s)
	if err != nil {
		admin.Close()
		return err
	}
	r.servers = append(r.servers, serve(admin, s.metrics.admin(r.readyNow(ctx))))
	r.lines["admin"] = urlOf(admin)
	return p.runStages(ctx, r)
}

// runStages runs the role, and prints its line once it is ready.
func (p *program) runStages(ctx context.Context, r *role) error {
	announce := func(ctx context.Context) error {
		if err := poll(ctx, r.ready); err != nil {
			return nil // ended before it was ready
		}
		return p.readyLine(r)
	}
	return runStages(ctx, append([]task{announce}, r.workers...), r.servers)
}

func (r *role) readyNow(ctx context.Context) func() error {
	return func() error { return r.ready(ctx) }
}

// readyLine is the one line of JSON by which scripts know where to go.
func (p *program) readyLine(r *role) error {
	data, err := json.Marshal(struct {
		Ready     bool   `json:"ready"`
		Role      string `json:"role"`
		NATS      string `json:"nats,omitempty"`
		API       string `json:"api,omitempty"`
		Callbacks string `json:"callbacks,omitempty"`
		Sandbox   string `json:"sandbox,omitempty"`
		Admin     string `json:"admin,omitempty"`
	}{true, r.name, r.lines["nats"], r.lines["api"], r.lines["callbacks"], r.lines["sandbox"], r.lines["admin"]})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.out, "%s\n", data)
	return err
}

// provider is the client of the Messages API at base.
func (s *system) provider(base string) *messaging.Client {
	return messaging.NewClient(messaging.Account{
		SID: s.cfg.account(), AuthToken: s.cfg.token(), KeySID: s.cfg.APIKey, KeySecret: s.cfg.APISecret,
	}, messaging.Config{BaseURL: base, Timeout: s.cfg.SendTimeout, MaxConns: s.cfg.Concurrency + s.cfg.Concurrency/4 + 8})
}

// dispatcherRole takes jobs and sends them, and lets parked ones out.
func dispatcherRole(s *system) (*role, error) {
	cfg := s.cfg
	base := cfg.MessagesURL
	if base == "" {
		base = vendorMessagesURL
		if !cfg.live() {
			base = "http://" + cfg.SandboxAddr
		}
	}
	public := cfg.PublicURL
	if public == "" {
		public = "http://" + cfg.CallbacksAddr
	}
	client := s.provider(base)
	perSender := cfg.PoolBy == poolBySender
	d := dispatcher.New(s.gate, s.log, client, s.evidence(), s.metrics, dispatcher.Config{
		Account: cfg.account(), PoolPerSender: perSender, StatusURL: strings.TrimRight(public, "/") + "/twilio/status",
		SendTimeout: cfg.SendTimeout, AckWait: cfg.AckWait, UnknownGrace: cfg.UnknownGrace, Log: s.logger,
	})
	worker := jobstream.NewWorker(s.engines.js, s.log, d, jobstream.WorkerConfig{
		Concurrency: cfg.Concurrency, AckWait: cfg.AckWait, DrainTimeout: cfg.DrainTimeout,
		Ready: s.whenOpen, Log: s.logger,
	})
	releaser := dispatcher.NewReleaser(s.room, s.gate, s.log, dispatcher.ReleaserConfig{
		Holder: s.holder, Account: cfg.account(), PoolPerSender: perSender, Log: s.logger,
	})
	return &role{
		name: "dispatcher", lines: map[string]string{}, ready: s.open,
		workers: []task{worker.Run, releaser.Run, closing(client)},
	}, nil
}

// closing ends the client's idle connections with its role.
func closing(client *messaging.Client) task {
	return func(ctx context.Context) error {
		<-ctx.Done()
		client.Close()
		return nil
	}
}

// callbacksRole receives what the provider tells.
func callbacksRole(s *system) (*role, error) {
	l, err := listen("SLUICE_CALLBACKS_ADDR", s.cfg.CallbacksAddr)
	if err != nil {
		return nil, err
	}
	public := s.cfg.PublicURL
	if public == "" {
		public = urlOf(l)
	}
	handler := callbacks.New(callbacks.Config{
		PublicURL: public, Verifier: accountTokens{s.cfg.account(): messaging.NewVerifier(s.cfg.token())},
		Log: eventLog{s.log}, Resolver: s.ledger, Logger: s.logger, Observe: s.metrics.Observe,
	})
	return &role{
		name: "callbacks", lines: map[string]string{"callbacks": urlOf(l)}, ready: func(context.Context) error { return nil },
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
func trackerRole(s *system) (*role, error) {
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
	s.metrics.registry.MustRegister(lag("gate", gate.Applied), lag("ledger", state.Applied), gauges{s})
	policies := func(ctx context.Context) error { return s.followFacts(ctx) }
	return &role{
		name: "tracker", lines: map[string]string{}, ready: s.open,
		servers: []task{gate.Run, state.Run, policies, s.trim},
	}, nil
}

// followFacts tells the gate of every policy put anywhere, at the latest when
// the one who put it died before telling.
func (s *system) followFacts(ctx context.Context) error {
	return s.facts.Follow(ctx, func(ctx context.Context, key string, data []byte, rev uint64) error {
		if err := s.registry.Restore(ctx, key, data, rev); err != nil {
			s.logger.WarnContext(ctx, "a stored policy could not be applied", "key", key, "error", err)
		}
		return nil
	}, func() {})
}

// trim forgets jobs whose retention is over, also while nothing happens.
func (s *system) trim(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Minute):
		}
		if _, err := s.ledger.Trim(ctx); err != nil && ctx.Err() == nil {
			s.logger.WarnContext(ctx, "jobs whose retention is over could not be forgotten yet", "error", err)
		}
	}
}

// apiRole serves the HTTP API.
func apiRole(s *system) (*role, error) {
	l, err := listen("SLUICE_API_ADDR", s.cfg.APIAddr)
	if err != nil {
		return nil, err
	}
	handler, err := s.apiHandler()
	if err != nil {
		l.Close()
		return nil, err
	}
	return &role{
		name: "api", lines: map[string]string{"api": urlOf(l)}, ready: func(context.Context) error { return nil },
		servers: []task{serve(l, handler)},
	}, nil
}

func (s *system) apiHandler() (http.Handler, error) {
	keys, err := dashboard.ParseKeys(s.cfg.APIKeys)
	if err != nil {
		return nil, wrong("SLUICE_API_KEYS", "%s", err)
	}
	publish := producer.NewHandler(producer.HandlerConfig{
		Publisher:  producer.New(s.engines.pub, producer.WithAnnounced()),
		Identities: identities{s.gate}, States: s.ledger, Announcer: announcer{s.log, s.ledger}, Logger: s.logger,
	})
	return dashboard.New(dashboard.Config{
		Jobs: jobList{s.ledger}, Stats: s.ledger, Limits: s.gate, Backlog: queueLoad{s.room}, Registry: s.registry,
		Submit: publish, Keys: keys, Window: s.cfg.Window, Log: s.logger,
	}).Handler(), nil
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
