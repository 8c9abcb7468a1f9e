package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// role is a part of the system as a set of tasks, and when it is ready.
type role struct {
	name    string
	workers []task // end first
	servers []task // end when the workers have ended
	ready   func(context.Context) error
	lines   map[string]string // what the ready line tells
	drain   time.Duration     // within which all has to end
}

// builder makes a role of a system.
type builder func(ctx context.Context, s *system) (*role, error)

// newRole is the command that runs one role in a process of its own.
func newRole(p *program, name, short string, build builder) *cobra.Command {
	cmd := &cobra.Command{
		Use: name, Short: short, Args: cobra.NoArgs,
		Annotations: map[string]string{servesUntilStopped: "yes"},
		Long:        short + ".\n\nAny number of replicas may run. NATS and Redis must be named.",
		Example:     fmt.Sprintf("  SLUICE_NATS_URL=nats://nats:4222 SLUICE_REDIS_URL=redis://redis:6379 sluice %s", name),
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

// warn tells of variables that are no settings; a typing error would else pass
// for a default.
func (p *program) warn(unknown []string) {
	for _, name := range unknown {
		fmt.Fprintf(p.err, "sluice: warning: %s is not a setting\n", name)
	}
}

// configure loads and checks the settings of a role.
func (p *program) configure(cmd *cobra.Command, role string) (Config, error) {
	cfg, origins, warnings, err := load(cmd.Flags(), p.env)
	if err != nil {
		return cfg, err
	}
	cfg.origins = origins
	if f := cmd.Flags().Lookup("sandbox"); f != nil {
		cfg.Sandbox = f.Value.String() == "true"
	}
	p.warn(warnings)
	if err := cfg.validate(role); err != nil {
		return cfg, err
	}
	if cfg.Sandbox {
		cfg.forceSandbox()
	}
	return cfg, nil
}

// runRole starts the engines, builds the role and runs it with its admin
// address. The address is opened first: a port in use is told before anything
// else has been started.
func (p *program) runRole(ctx context.Context, cfg Config, build builder) error {
	admin, err := listen("SLUICE_ADMIN_ADDR", cfg.AdminAddr)
	if err != nil {
		return err
	}
	defer admin.Close()
	s, err := newSystem(ctx, cfg, newLogger(cfg, p.err))
	if err != nil {
		return err
	}
	defer s.close()
	r, err := build(ctx, s)
	if err != nil {
		return err
	}
	r.servers = append(r.servers, serve(admin, s.metrics.admin(r.readyNow(ctx))))
	r.lines["admin"] = urlOf(admin)
	r.drain = cfg.DrainTimeout
	return p.run(ctx, r)
}

// run runs the role, and prints its line once it is ready.
func (p *program) run(ctx context.Context, r *role) error {
	announce := func(ctx context.Context) error {
		if err := poll(ctx, r.ready); err != nil {
			return nil // ended before it was ready
		}
		return p.readyLine(r)
	}
	ctx, release := inOrder(ctx, r.drain)
	defer release()
	return runStages(ctx, append([]task{announce}, r.workers...), r.servers)
}

// readyWait is how long whoever asks for a role's health waits for the engines.
const readyWait = 2 * time.Second

func (r *role) readyNow(ctx context.Context) func() error {
	return func() error {
		ctx, cancel := context.WithTimeout(ctx, readyWait)
		defer cancel()
		return r.ready(ctx)
	}
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
