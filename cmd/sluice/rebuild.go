package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/ratelimit"
)

func newRebuild(p *program) *cobra.Command {
	var yes bool
	var how rebuilding
	cmd := &cobra.Command{
		Use: "rebuild", Short: "Rebuilds Redis from the log", Args: cobra.NoArgs,
		Annotations: map[string]string{whenInterrupted: "nothing is lost; if it said dropped, the trackers go on filling, else run it again"},
		Long: `Deletes what gate and delivery state have in Redis and lets the trackers fill
it again from the log, the facts and the waiting room. Nothing is sent until that
is done; jobs, opt-outs, policies and ids survive, and jobs are accepted all the
while. A tracker must run.

After NATS was restored from a backup, add --paused: what was sent since the
backup is not in the log, so nothing goes until a person resumes.`,
		Example: `  sluice rebuild --yes
  sluice rebuild --yes --paused     after a restore of NATS; then look, and sluice resume --all`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := p.configure(cmd, "rebuild")
			if err != nil {
				return err
			}
			if cfg.RedisURL == "" {
				return errors.New("the embedded Redis is filled from the log at every start: restart `sluice up` instead (or set SLUICE_NATS_URL and SLUICE_REDIS_URL)")
			}
			if !yes {
				return usageError{fmt.Errorf("this deletes the state that Sluice has in Redis at %s and stops sending until it is refilled: add --yes", redactURL(cfg.RedisURL))}
			}
			return p.rebuild(cmd.Context(), cfg, how)
		},
	}
	addFlags(cmd.Flags())
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	cmd.Flags().BoolVar(&how.paused, "paused", false, "pause everything first, as after a restore of NATS from a backup")
	cmd.Flags().DurationVar(&how.wait, "wait", 10*time.Minute, "how long to wait until the gate is open again; 0 does not wait")
	cmd.Flags().BoolVar(&how.asJSON, "json", false, "print JSON")
	return cmd
}

// rebuilding is how Redis is rebuilt.
type rebuilding struct {
	paused bool          // pause everything first
	wait   time.Duration // for the gate to open again; 0 does not wait
	asJSON bool
}

func (p *program) rebuild(ctx context.Context, cfg Config, how rebuilding) error {
	s, err := newSystem(ctx, cfg, newLogger(cfg, p.err))
	if err != nil {
		return err
	}
	defer s.close()
	if how.paused {
		if _, err := s.registry.Pause(ctx, true, "rebuilt after a restore"); err != nil {
			return fmt.Errorf("pause everything: %w", err)
		}
	}
	begun := time.Now()
	if err := s.drop(ctx); err != nil {
		return fmt.Errorf("%w (nothing is lost: run rebuild again)", err)
	}
	fmt.Fprintln(p.err, "sluice: dropped; the trackers fill gate and delivery state from the log")
	if how.wait == 0 {
		return p.rebuilt(how, false, begun)
	}
	waiting, cancel := context.WithTimeout(ctx, how.wait)
	defer cancel()
	if err := poll(waiting, s.refilled); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return errors.Join(fmt.Errorf("not refilled after %s: see that a tracker runs, and what it logs", how.wait), s.refilled(ctx))
	}
	fmt.Fprintf(p.err, "sluice: refilled and open after %s\n", time.Since(begun).Round(time.Millisecond))
	return p.rebuilt(how, true, begun)
}

// rebuilt says on stdout what became of it, to who asked for JSON.
func (p *program) rebuilt(how rebuilding, open bool, begun time.Time) error {
	if !how.asJSON {
		return nil
	}
	return json.NewEncoder(p.out).Encode(map[string]any{
		"dropped": true, "open": open, "paused": how.paused, "seconds": time.Since(begun).Seconds(),
	})
}

// drop empties gate and ledger while nobody applies the log.
func (s *system) drop(ctx context.Context) error {
	return s.gate.Drop(ctx, s.holder, []string{"gate", "ledger"}, func(ctx context.Context) error {
		return s.ledger.Drop(ctx, func(ctx context.Context, prefix string) error {
			return ratelimit.DropKeys(ctx, s.engines.ledger, prefix)
		})
	})
}

// refilled reports why gate or delivery state lag behind the log, or nil.
func (s *system) refilled(ctx context.Context) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	last, err := s.log.Last(ctx)
	if err != nil {
		return err
	}
	return s.caughtUp(ctx, last)
}
