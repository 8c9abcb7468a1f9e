package tracker_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/tracker"
)

// TestAStoppedTrackerGivesItsLeasesBack: the next one need not wait for them to
// run out.
func TestAStoppedTrackerGivesItsLeasesBack(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*tape, *place) func(context.Context) error{
		"gate": func(log *tape, p *place) func(context.Context) error {
			return tracker.NewGateProjection(log, server{p}, &standing{steps: p.steps}, tracker.GateConfig{Holder: "me"}).Run
		},
		"ledger": func(log *tape, p *place) func(context.Context) error {
			return tracker.NewLedgerProjection(log, books{p}, p, "me", quiet).Run
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				log, p := newTape(3), newPlace()
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				run := start(log, p)
				go func() { done <- run(ctx) }()
				synctest.Wait()
				require.False(t, p.has("let go "+name), "while it works")
				cancel()
				require.NoError(t, <-done)
				require.True(t, p.has("let go "+name))
			})
		})
	}
}
