package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/internal/sandbox"
)

func newSandbox(p *program) *cobra.Command {
	var stand sandbox.Config
	cmd := &cobra.Command{
		Use: "sandbox", Short: "Runs the stand-in for the provider alone", Args: cobra.NoArgs,
		Annotations: map[string]string{servesUntilStopped: "yes"},
		Long: `Runs the stand-in for the provider alone: the Messages, Senders and Content API
over HTTP, with the platform's rules on messaging limits, customer service
windows, rates, opt-outs, senders and templates, signed callbacks, customers who
read, answer and opt out, and faults on request. For integration tests of your
own.

/metrics, /healthz and /readyz are served where --admin-addr is given.`,
		Example: `  sluice sandbox --sandbox-addr 127.0.0.1:8082
  curl -X PUT http://127.0.0.1:8082/sandbox/faults -d '{"drop_response":0.05}'
  curl -X PUT http://127.0.0.1:8082/sandbox/customers -d '{"reply":0.2,"stop":0.01}'
  curl http://127.0.0.1:8082/sandbox/messages`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := p.configure(cmd, "sandbox")
			if err != nil {
				return err
			}
			if stand.ReadShare == 0 {
				stand.ReadShare = -1 // the flag's 0 is none, the field's 0 the default
			}
			return p.sandbox(cmd.Context(), cfg, stand)
		},
	}
	addFlags(cmd.Flags())
	flags := cmd.Flags()
	flags.BoolVar(&stand.Strict, "strict", false, "only senders and templates that were put or registered exist")
	flags.BoolVar(&stand.Tiers, "tiers", false, "limits rise and fall by themselves with use and quality")
	flags.DurationVar(&stand.OnboardingStep, "onboarding-step", 300*time.Millisecond,
		"how long a sender, or a template, stays in each state on its way")
	flags.StringVar(&stand.InboundURL, "inbound-url", "", "where customers' messages are posted")
	flags.Float64Var(&stand.MPS, "mps", 80, "messages a second of a sender nobody has put, negative: unlimited")
	flags.IntVar(&stand.Concurrency, "max-requests", 100,
		"requests of one account at the same time, negative: unlimited")
	flags.Float64Var(&stand.ReadShare, "read", 0.3, "share of delivered messages that are read")
	flags.Float64Var(&stand.ReplyShare, "reply", 0, "share of delivered messages that the customer answers")
	flags.Float64Var(&stand.StopShare, "stop", 0, "share of delivered messages that the customer answers with STOP")
	return cmd
}

func (p *program) sandbox(ctx context.Context, cfg Config, with sandbox.Config) error {
	l, err := listen("SLUICE_SANDBOX_ADDR", cfg.SandboxAddr)
	if err != nil {
		return err
	}
	with.Window, with.ServiceWindow, with.DefaultLimit = cfg.Window, cfg.ServiceWindow, cfg.DefaultLimit
	with.InboundAccount, with.InboundToken = cfg.account(), cfg.token()
	with.Log = newLogger(cfg, p.err)
	stand := sandbox.New(with)
	r := &role{
		name: "sandbox", lines: map[string]string{"sandbox": urlOf(l)},
		ready:   func(context.Context) error { return nil },
		drain:   cfg.DrainTimeout,
		servers: []task{serve(l, stand.Handler()), stand.Run},
	}
	// Only where it is named: at its default it would be in the way of the roles
	// that a sandbox is started beside.
	if cfg.origins["admin_addr"] != "default" {
		admin, err := listen("SLUICE_ADMIN_ADDR", cfg.AdminAddr)
		if err != nil {
			return err
		}
		r.servers = append(r.servers, serve(admin, processMetrics().admin(r.readyNow(ctx))))
		r.lines["admin"] = urlOf(admin)
	}
	return p.run(ctx, r)
}
