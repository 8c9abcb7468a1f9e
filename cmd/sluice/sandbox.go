package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/internal/sandbox"
)

func newSandbox(p *program) *cobra.Command {
	var strict bool
	var inbound string
	cmd := &cobra.Command{
		Use: "sandbox", Short: "Runs the stand-in for the provider alone", Args: cobra.NoArgs,
		Long: `Runs the stand-in for the provider alone: the Messages API over HTTP, with the
platform's rules on messaging limits and customer service windows, signed
callbacks, and faults on request. For integration tests of your own.`,
		Example: `  sluice sandbox --sandbox-addr 127.0.0.1:8082
  curl -X PUT http://127.0.0.1:8082/sandbox/faults -d '{"drop_response":0.05}'
  curl http://127.0.0.1:8082/sandbox/messages`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := p.configure(cmd, "sandbox")
			if err != nil {
				return err
			}
			return p.sandbox(cmd.Context(), cfg, strict, inbound)
		},
	}
	addFlags(cmd.Flags())
	cmd.Flags().BoolVar(&strict, "strict", false, "only senders put by hand exist")
	cmd.Flags().StringVar(&inbound, "inbound-url", "", "where customers' messages are posted")
	return cmd
}

func (p *program) sandbox(ctx context.Context, cfg Config, strict bool, inbound string) error {
	l, err := listen("SLUICE_SANDBOX_ADDR", cfg.SandboxAddr)
	if err != nil {
		return err
	}
	stand := sandbox.New(sandbox.Config{
		Window: cfg.Window, ServiceWindow: cfg.ServiceWindow, DefaultLimit: cfg.DefaultLimit, Strict: strict,
		InboundURL: inbound, InboundAccount: cfg.account(), InboundToken: cfg.token(), Log: newLogger(cfg, p.err),
	})
	return p.run(ctx, &role{
		name: "sandbox", lines: map[string]string{"sandbox": urlOf(l)},
		ready:   func(context.Context) error { return nil },
		servers: []task{serve(l, stand.Handler()), stand.Run},
	})
}
