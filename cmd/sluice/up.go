package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/internal/sandbox"
)

func newUp(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use: "up", Short: "Runs every role in one process", Args: cobra.NoArgs,
		Annotations: map[string]string{servesUntilStopped: "yes"},
		Long: `Runs every role in one process, with an embedded NATS JetStream and an embedded
Redis under --data unless real ones are named. Messages go to the provider when
credentials are set, else to the sandbox. Whatever ends the process, also
kill -9, nothing is lost: start it again.`,
		Example: `  sluice up                                     sandbox, data in ./sluice-data
  TWILIO_ACCOUNT_SID=AC… TWILIO_AUTH_TOKEN=… SLUICE_PUBLIC_URL=https://… sluice up
  sluice up --nats-url nats://127.0.0.1:4222 --redis-url redis://127.0.0.1:6379`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := p.configure(cmd, "up")
			if err != nil {
				return err
			}
			return p.up(cmd.Context(), cfg)
		},
	}
	addFlags(cmd.Flags())
	cmd.Flags().Bool("sandbox", false, "use the sandbox although credentials are set")
	return cmd
}

func (p *program) up(ctx context.Context, cfg Config) error {
	fmt.Fprintf(p.err, "sluice: %s\n", cfg.whereMessagesGo())
	return p.runRole(ctx, cfg, func(ctx context.Context, s *system) (*role, error) {
		h, err := newHouse(ctx, s)
		if err != nil {
			return nil, err
		}
		return &h.role, nil
	})
}

// whereMessagesGo says LIVE or SANDBOX, and what that means.
func (c Config) whereMessagesGo() string {
	switch {
	case c.live():
		return "LIVE: messages go to " + redactURL(c.messagesURL())
	case c.MessagesURL != "":
		return "SANDBOX: no credentials are used, and messages go to " + redactURL(c.MessagesURL) + " (SLUICE_MESSAGES_URL)"
	default:
		return "SANDBOX: no message leaves this machine"
	}
}

// house is every role in one process.
type house struct {
	*system
	role
	sandbox *sandbox.Sandbox // nil with real credentials or a provider elsewhere
}

// newHouse opens every address and builds every role, but runs nothing yet.
func newHouse(ctx context.Context, s *system) (*house, error) {
	h := &house{system: s, role: role{name: "up", lines: map[string]string{}}}
	return h, h.build(ctx)
}

func (h *house) build(ctx context.Context) error {
	keep := h.keepsPort()
	if keep {
		h.returnToPort()
	}
	received, err := callbacksRole(ctx, h.system)
	if err != nil {
		return err
	}
	h.add(received)
	if keep {
		h.rememberPort(received.lines["callbacks"])
	}
	if h.cfg.PublicURL == "" {
		h.cfg.PublicURL = received.lines["callbacks"]
	}
	if h.sandboxed() {
		if err := h.addSandbox(); err != nil {
			return err
		}
	}
	last, err := h.log.Last(ctx)
	if err != nil {
		return err
	}
	// What the log held at the start is refilled before anybody is told that
	// the process is ready.
	h.ready = func(ctx context.Context) error {
		if err := h.atWork(ctx); err != nil {
			return err
		}
		return h.caughtUp(ctx, last)
	}
	for _, build := range []builder{dispatcherRole, trackerRole, h.apiWithHealth} {
		r, err := build(ctx, h.system)
		if err != nil {
			return err
		}
		h.add(r)
	}
	if h.engines.nats != "" {
		h.lines["nats"] = h.engines.nats
	}
	if h.cfg.NATSURL == "" {
		h.servers = append(h.servers, h.watchDisk)
	}
	return nil
}

// sandboxed reports whether the provider is the sandbox in this process.
func (h *house) sandboxed() bool { return !h.cfg.live() && h.cfg.MessagesURL == "" }

func (h *house) add(r *role) {
	h.workers = append(h.workers, r.workers...)
	h.servers = append(h.servers, r.servers...)
	maps.Copy(h.lines, r.lines)
}

// apiWithHealth is the API role with health on the same address.
func (h *house) apiWithHealth(ctx context.Context, s *system) (*role, error) {
	l, err := listen("SLUICE_API_ADDR", s.cfg.APIAddr)
	if err != nil {
		return nil, err
	}
	var phone http.Handler // none without a sandbox here
	if h.sandbox != nil {
		phone = h.sandbox.Phone("/")
	}
	handler, err := s.apiHandler(phone)
	if err != nil {
		l.Close()
		return nil, err
	}
	health := s.metrics.health(h.readyNow(ctx))
	return &role{
		lines:   map[string]string{"api": urlOf(l)},
		servers: []task{serve(l, withHealth(handler, health)), handler.run},
	}, nil
}

// addSandbox puts the stand-in where the provider would be.
func (h *house) addSandbox() error {
	l, err := listen("SLUICE_SANDBOX_ADDR", h.cfg.SandboxAddr)
	if err != nil {
		return err
	}
	h.cfg.MessagesURL, h.cfg.SendersURL, h.cfg.ContentURL = urlOf(l), urlOf(l), urlOf(l)
	h.sandbox, err = sandbox.Open(sandbox.Config{
		File: h.sandboxFile(), PublicURL: urlOf(l),
		Window: h.cfg.Window, ServiceWindow: h.cfg.ServiceWindow, DefaultLimit: h.cfg.DefaultLimit,
		InboundURL: h.cfg.PublicURL + "/twilio/inbound", InboundAccount: h.cfg.account(), InboundToken: h.cfg.token(),
		Log: h.logger,
	})
	if err != nil {
		l.Close()
		return err
	}
	h.engines.onClose(func() { _ = h.sandbox.Close() })
	h.add(&role{lines: map[string]string{"sandbox": urlOf(l)}, servers: []task{serve(l, h.sandbox.Handler()), h.sandbox.Run}})
	return nil
}

// sandboxFile is where the sandbox keeps what the provider would: beside the
// embedded NATS, since the provider does not crash with its client.
func (h *house) sandboxFile() string {
	if h.cfg.NATSURL != "" {
		return ""
	}
	return filepath.Join(h.cfg.Data, "sandbox.ndjson")
}
