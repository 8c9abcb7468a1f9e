package ratelimit_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/ratelimit"
)

func dropRig(t *testing.T) (*redis.Client, *ratelimit.Gate) {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr(), MaxRetries: -1})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	gate := ratelimit.New(rdb, ratelimit.Options{Epoch: "life 1"})
	require.NoError(t, gate.Refill(t.Context(), "life 1"))
	require.NoError(t, gate.Open(t.Context(), "life 1"))
	return rdb, gate
}

func TestDropLeavesAClosedGateAtTheBeginning(t *testing.T) {
	t.Parallel()
	rdb, gate := dropRig(t)
	ctx := t.Context()
	require.NoError(t, gate.Apply(ctx, 0, 7, nil))
	require.NoError(t, gate.SetSender(ctx, "15550001111", ratelimit.SenderPolicy{MPS: 1}, 1))
	require.NoError(t, rdb.Set(ctx, "another:key", "stays", 0).Err())
	mine, err := gate.Lease(ctx, "gate", "tracker", time.Minute)
	require.NoError(t, err)
	require.True(t, mine)

	require.NoError(t, gate.Drop(ctx, "me", []string{"gate"}, func(ctx context.Context) error {
		mine, err := gate.Lease(ctx, "gate", "tracker", time.Minute)
		require.NoError(t, err)
		require.False(t, mine, "nobody applies the log while it is deleted")
		require.ErrorIs(t, gate.Apply(ctx, 7, 8, nil), ratelimit.ErrFenced, "nor does one that was at it")
		return nil
	}))
	current, opened, err := gate.Epoch(ctx)
	require.NoError(t, err)
	require.NotEqual(t, current, opened)
	position, err := gate.Position(ctx)
	require.NoError(t, err)
	require.Zero(t, position)
	require.Equal(t, []string{"another:key"}, rdb.Keys(ctx, "*").Val())
	mine, err = gate.Lease(ctx, "gate", "tracker", time.Minute)
	require.NoError(t, err)
	require.True(t, mine, "the lease is given back")
}

func TestADropThatFailsKeepsTheGateClosed(t *testing.T) {
	t.Parallel()
	_, gate := dropRig(t)
	broken := errors.New("the ledger's Redis is away")
	require.ErrorIs(t, gate.Drop(t.Context(), "me", []string{"gate"}, func(context.Context) error { return broken }), broken)
	current, opened, err := gate.Epoch(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, current, opened)
	mine, err := gate.Lease(t.Context(), "gate", "tracker", time.Minute)
	require.NoError(t, err)
	require.False(t, mine, "until it runs out")
	require.Error(t, gate.Drop(t.Context(), "", nil, nil))
}

// TestAWindowThatIsShutNeedsATemplate, and the send counts then.
func TestAWindowThatIsShutNeedsATemplate(t *testing.T) {
	t.Parallel()
	_, gate := dropRig(t)
	ctx := t.Context()
	const sender, customer = "15550001111", "491701234567"
	require.NoError(t, gate.Apply(ctx, 0, 1, []ratelimit.Change{
		{Kind: ratelimit.Inbound, Sender: sender, Customer: customer, At: time.Now()},
	}))
	ask := func(job string) ratelimit.Verdict {
		v, err := gate.Admit(ctx, ratelimit.Request{
			Job: job, Digest: "d", Sender: sender, Customer: customer, Pool: "p", Attempt: 1, Token: job, FreeForm: true, Template: true,
		})
		require.NoError(t, err)
		require.Equal(t, ratelimit.OutcomeGo, v.Outcome)
		return v
	}
	require.True(t, ask("a").InWindow)
	require.NoError(t, gate.ShutWindow(ctx, sender, customer, time.Now().Add(-time.Minute)))
	require.True(t, ask("wrote later").InWindow, "what they wrote after the message still counts")
	require.NoError(t, gate.ShutWindow(ctx, sender, customer, time.Now()))
	v := ask("b")
	require.False(t, v.InWindow)
	require.True(t, v.Counted)
	require.NoError(t, gate.ShutWindow(ctx, sender, customer, time.Now()), "there is nothing to forget any more")
	require.Error(t, gate.ShutWindow(ctx, "", customer, time.Now()))
	require.Error(t, gate.ShutWindow(ctx, sender, customer, time.Time{}))
}
