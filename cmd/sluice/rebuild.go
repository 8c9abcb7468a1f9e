package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/ratelimit"
)

func newRebuild(p *program) *cobra.Command {
	var yes, paused bool
	var wait time.Duration
	cmd := &cobra.Command{
		Use: "rebuild", Short: "Rebuilds Redis from the log", Args: cobra.NoArgs,
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
			return p.rebuild(cmd.Context(), cfg, paused, wait)
		},
	}
	addFlags(cmd.Flags())
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	cmd.Flags().BoolVar(&paused, "paused", false, "pause everything first, as after a restore of NATS from a backup")
	cmd.Flags().DurationVar(&wait, "wait", 10*time.Minute, "how long to wait until the gate is open again; 0 does not wait")
	return cmd
}

func (p *program) rebuild(ctx context.Context, cfg Config, paused bool, wait time.Duration) error {
	s, err := newSystem(ctx, cfg, newLogger(cfg, p.err))
	if err != nil {
		return err
	}
	defer s.close()
	if paused {
		if _, err := s.registry.Pause(ctx, true, "rebuilt after a restore"); err != nil {
			return fmt.Errorf("pause everything: %w", err)
		}
	}
	begun := time.Now()
	if err := s.drop(ctx); err != nil {
		return fmt.Errorf("%w (nothing is lost: run rebuild again)", err)
	}
	fmt.Fprintln(p.err, "sluice: dropped; the trackers fill gate and delivery state from the log")
	if wait == 0 {
		return nil
	}
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if err := poll(waiting, s.refilled); err != nil {
		return errors.Join(fmt.Errorf("not refilled after %s: see that a tracker runs, and what it logs", wait), s.refilled(ctx))
	}
	fmt.Fprintf(p.err, "sluice: refilled and open after %s\n", time.Since(begun).Round(time.Millisecond))
	return nil
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
