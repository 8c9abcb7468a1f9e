package ratelimit_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/redistest"
	"github.com/sluicehq/sluice/ratelimit"
)

func TestOpenNeedsThePresentEpoch(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		ctx := t.Context()
		current, opened, err := b.Epoch(ctx)
		require.NoError(t, err)
		require.Equal(t, current, opened)
		require.NoError(t, b.Close(ctx))
		_, opened, err = b.Epoch(ctx)
		require.NoError(t, err)
		require.Empty(t, opened)
		require.ErrorIs(t, b.Open(ctx, "an older life"), ratelimit.ErrEpoch)
		require.Error(t, b.Open(ctx, ""))
		require.Equal(t, ratelimit.OutcomeClosed, b.admit(t, job("j", sender, "+1")).Outcome)
		require.NoError(t, b.Open(ctx, current))
		b.goes(t, job("j", sender, "+1"))
	})
}

// FLUSHALL begins no other epoch.
func TestAnEmptiedRedisIsNotOpened(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		ctx := t.Context()
		current, _, err := b.Epoch(ctx)
		require.NoError(t, err)
		require.ErrorIs(t, b.Refill(ctx, "another life"), ratelimit.ErrEpoch)
		require.NoError(t, b.Refill(ctx, current))
		require.NoError(t, b.rdb.FlushDB(ctx).Err())
		require.ErrorIs(t, b.Open(ctx, current), ratelimit.ErrEpoch)
		require.Equal(t, ratelimit.OutcomeClosed, b.admit(t, job("j", sender, "+1")).Outcome)
		b.open(t)
		b.goes(t, job("j", sender, "+1"))
	})
}

// The embedded server has no master_replid: each process brings its own epoch.
func TestAnotherProcessIsAnotherEpoch(t *testing.T) {
	t.Parallel()
	b := onMini(t, ratelimit.Options{})
	opts := b.opts
	opts.Epoch = "the next process"
	g := ratelimit.New(b.rdb, opts)
	v, err := g.Admit(t.Context(), job("j", sender, "+1"))
	require.NoError(t, err)
	require.Equal(t, ratelimit.OutcomeClosed, v.Outcome)
}

// A server that has crashed comes back with the data it had saved, the epoch
// among it; grants given since are gone. The gate must not trust it.
func TestRestartClosesTheGate(t *testing.T) {
	t.Parallel()
	engines.Need(t)
	dir := t.TempDir()
	start := func() (*redistest.Server, *redis.Client) {
		s, err := redistest.Start(dir)
		require.NoError(t, err)
		t.Cleanup(s.Kill)
		rdb := s.Client(0)
		t.Cleanup(func() { _ = rdb.Close() })
		return s, rdb
	}
	first, rdb := start()
	b := newBench(t, rdb, ratelimit.Options{}, true)
	b.apply(t)
	b.goes(t, job("saved", sender, "+1"))
	require.NoError(t, rdb.Save(t.Context()).Err())
	b.goes(t, job("lost", sender, "+2"))
	first.Kill()

	_, rdb = start()
	again := &bench{Gate: ratelimit.New(rdb, b.opts), rdb: rdb, clock: b.clock, opts: b.opts}
	require.Equal(t, 1, again.used(t), "the data of the last save")
	require.Equal(t, ratelimit.OutcomeClosed, again.admit(t, job("j", sender, "+3")).Outcome)
	current, opened, err := again.Epoch(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, current, opened)
	require.ErrorIs(t, again.Open(t.Context(), opened), ratelimit.ErrEpoch)

	again.apply(t, intent(job("lost", sender, "+2"), startAt, true))
	require.ErrorIs(t, again.Open(t.Context(), current), ratelimit.ErrEpoch, "nobody said that it is refilled")
	require.NoError(t, again.Refill(t.Context(), current))
	require.NoError(t, again.Open(t.Context(), current))
	require.Equal(t, 2, again.used(t))
	late := job("lost", sender, "+2")
	late.Token = "the redelivery"
	require.Equal(t, ratelimit.OutcomePrior, again.admit(t, late).Outcome)
}

func TestLease(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		ctx := t.Context()
		has := func(holder string) bool {
			ok, err := b.Lease(ctx, "tracker", holder, time.Hour)
			require.NoError(t, err)
			return ok
		}
		require.True(t, has("a"))
		require.False(t, has("b"))
		require.True(t, has("a"), "renewed")
		require.InDelta(t, time.Hour, b.rdb.PTTL(ctx, "{sluice}:lease:tracker").Val(), float64(time.Minute))
		require.NoError(t, b.Unlease(ctx, "tracker", "b"))
		require.False(t, has("b"), "only the holder ends it")
		require.NoError(t, b.Unlease(ctx, "tracker", "a"))
		require.True(t, has("b"))
		_, err := b.Lease(ctx, "", "a", time.Hour)
		require.Error(t, err)
		_, err = b.Lease(ctx, "x", "a", 0)
		require.Error(t, err)
		require.Error(t, b.Unlease(ctx, "x", ""))
	})
}
