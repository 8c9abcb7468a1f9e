package ratelimit_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/ratelimit"
)

func TestChangeHoldsForTheNextAdmission(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		r := job("j", sender, "+1")
		high := job("high", sender, "+2")
		high.Priority = ratelimit.High
		steps := []struct {
			sender ratelimit.SenderPolicy
			pool   ratelimit.PoolPolicy
			ask    ratelimit.Request
			reason string // empty: it could go
		}{
			{ratelimit.SenderPolicy{Limit: limit(0)}, ratelimit.PoolPolicy{}, r, ratelimit.ReasonSenderLimit},
			{ratelimit.SenderPolicy{Limit: limit(1)}, ratelimit.PoolPolicy{}, r, ""},
			{ratelimit.SenderPolicy{Limit: limit(ratelimit.Unlimited)}, ratelimit.PoolPolicy{Limit: limit(0)}, r, ratelimit.ReasonPoolLimit},
			{ratelimit.SenderPolicy{Limit: limit(ratelimit.Unlimited)}, ratelimit.PoolPolicy{Limit: limit(ratelimit.Unlimited)}, r, ""},
			{ratelimit.SenderPolicy{Limit: limit(ratelimit.Unlimited)}, ratelimit.PoolPolicy{}, r, ""},
			{ratelimit.SenderPolicy{}, ratelimit.PoolPolicy{Limit: limit(1), Reserve: 0.01}, r, ratelimit.ReasonPoolLimit},
			{ratelimit.SenderPolicy{}, ratelimit.PoolPolicy{Limit: limit(1), Reserve: 0.01}, high, ""},
			{ratelimit.SenderPolicy{Paused: true}, ratelimit.PoolPolicy{}, r, ratelimit.ReasonSenderPaused},
			{ratelimit.SenderPolicy{}, ratelimit.PoolPolicy{Closed: true}, r, ratelimit.ReasonPoolClosed},
			{ratelimit.SenderPolicy{}, ratelimit.PoolPolicy{}, r, ""},
		}
		for i, step := range steps {
			b.sets(t, step.sender)
			b.setsPool(t, step.pool)
			v := b.reserve(t, step.ask)
			require.Equal(t, step.reason, v.Reason, "step %d: %+v", i, v)
			require.Equal(t, step.reason == "", v.Outcome == ratelimit.OutcomeGo, "step %d: %+v", i, v)
			require.NoError(t, b.rdb.Del(t.Context(), "{sluice}:job:"+step.ask.Job,
				"{sluice}:window:pool:pool", "{sluice}:window:sender:"+sender).Err())
		}
	})
}

func TestOldVersionsChangeNothing(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		ctx := t.Context()
		// Beyond what Lua's numbers tell apart.
		newest, older := uint64(math.MaxUint64), uint64(math.MaxUint64-1)
		require.NoError(t, b.SetSender(ctx, sender, ratelimit.SenderPolicy{Pool: "pool", Limit: limit(7)}, newest))
		require.NoError(t, b.SetPool(ctx, "pool", ratelimit.PoolPolicy{Limit: limit(9), PausedReason: "r"}, newest))
		require.NoError(t, b.SetPause(ctx, true, "newest", newest))
		state := b.dump(t)
		for _, v := range []uint64{0, older, newest} {
			require.NoError(t, b.SetSender(ctx, sender, ratelimit.SenderPolicy{Pool: "another", Paused: true}, v))
			require.NoError(t, b.SetPool(ctx, "pool", ratelimit.PoolPolicy{Closed: true}, v))
			require.NoError(t, b.SetPause(ctx, false, "", v))
		}
		require.Equal(t, state, b.dump(t))
	})
}

func TestPoolLimitFromItsSenders(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{DefaultLimit: 250}, func(t *testing.T, b *bench) {
		set := func(sender string, l *int) {
			t.Helper()
			require.NoError(t, b.SetSender(t.Context(), sender, ratelimit.SenderPolicy{Pool: "pool", Limit: l}, b.version()))
		}
		is := func(want int) {
			t.Helper()
			require.Equal(t, want, b.pool(t, "pool").Limit)
		}
		is(0)
		set(sender, limit(100))
		is(100)
		set(other, limit(2000))
		is(2000)
		set(other, nil)
		is(250)
		set(other, limit(ratelimit.Unlimited))
		is(ratelimit.Unlimited)
		require.Equal(t, ratelimit.Unlimited, b.pool(t, "pool").Free)
		require.NoError(t, b.SetSender(t.Context(), other, ratelimit.SenderPolicy{Pool: "elsewhere", Limit: limit(3)}, b.version()))
		is(100)
		b.goes(t, job("j", "15550003333", "+1"))
		is(250) // a sender without a policy has come, with the default
		b.setsPool(t, ratelimit.PoolPolicy{Limit: limit(0)})
		is(0)
	})
}

func TestReserveIsRoundedUp(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		for _, c := range []struct {
			limit, reserved int
			share           float64
		}{{100, 7, 0.07}, {3, 1, 0.1}, {10, 3, 0.3}, {250, 25, 0.1}, {7, 7, 1}, {7, 0, 0}, {0, 0, 0.5}, {-1, 0, 0.5}} {
			b.setsPool(t, ratelimit.PoolPolicy{Limit: limit(c.limit), Reserve: c.share})
			require.Equal(t, c.reserved, b.pool(t, "pool").Reserved, "%v of %d", c.share, c.limit)
		}

		b.setsPool(t, ratelimit.PoolPolicy{Limit: limit(3), Reserve: 0.4})
		b.goes(t, job("a", sender, "+1"))
		high := job("high", sender, "+3")
		high.Priority = ratelimit.High
		v := b.parks(t, job("b", sender, "+2"), ratelimit.ReasonPoolLimit)
		require.Equal(t, startAt.Add(24*time.Hour+time.Minute), v.At)
		b.goes(t, high)
	})
}

// A sender that changes its pool brings its customers along, and proofs of what
// it sent before count in its new pool.
func TestSenderChangesPool(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{Window: time.Hour, Margin: time.Minute}, func(t *testing.T, b *bench) {
		b.goes(t, job("a", sender, "+1"))
		b.goes(t, job("b", sender, "+2"))
		b.clock.advance(30 * time.Minute)
		b.sets(t, ratelimit.SenderPolicy{Pool: "new", Limit: limit(2)})
		require.Equal(t, 2, b.pool(t, "new").Used)
		require.Equal(t, 2, b.pool(t, "pool").Used, "the old pool keeps them until they age out")
		require.Equal(t, 2, b.pool(t, "new").Limit)
		require.Empty(t, b.pool(t, "pool").Senders)
		pools, err := b.Pools(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"new", "pool"}, pools)

		b.apply(t, ratelimit.Change{Kind: ratelimit.Progress, Job: "a", Attempt: 1, At: b.clock.Now(), Status: "delivered"})
		b.clock.advance(31*time.Minute + time.Second)
		require.Equal(t, 1, b.pool(t, "new").Used)
		b.goes(t, job("c", sender, "+3"))
		v := b.parks(t, job("d", sender, "+4"), ratelimit.ReasonSenderLimit)
		require.Equal(t, "new", v.Pool)
	})
}

func TestSendersWithoutPolicyAreListed(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{DefaultLimit: 2, DefaultMPS: 2.5}, func(t *testing.T, b *bench) {
		r := job("a", sender, "+1")
		r.Pool = "by traffic"
		b.goes(t, r)
		require.NoError(t, b.SetPool(t.Context(), "by policy", ratelimit.PoolPolicy{Limit: limit(9)}, 1))
		pools, err := b.Pools(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"by policy", "by traffic"}, pools)

		back := startAt.Add(24*time.Hour + time.Minute)
		require.Equal(t, ratelimit.PoolLimits{
			Pool: "by traffic", Limit: 2, Used: 1, Free: 1, NextFreeAt: back, Now: startAt,
			Senders: []ratelimit.SenderLimits{{Sender: sender, Limit: 2, Used: 1, Free: 1, MPS: 2.5, EffectiveMPS: 2.5, NextFreeAt: back}},
		}, b.pool(t, "by traffic"))
		require.Equal(t, ratelimit.PoolLimits{
			Pool: "unheard of", Now: startAt, Senders: []ratelimit.SenderLimits{},
		}, b.pool(t, "unheard of"))

		// A policy that names no pool leaves it where it is.
		b.sets(t, ratelimit.SenderPolicy{Limit: limit(7), MPS: 2.5})
		require.Equal(t, 7, b.pool(t, "by traffic").Limit)

		// Its requests name another pool: it moves.
		b.clock.advance(time.Second)
		b.goes(t, job("b", sender, "+2"))
		require.Equal(t, 2, b.used(t))
		require.Empty(t, b.pool(t, "by traffic").Senders)
	})
}

func TestTrip(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		until := startAt.Add(time.Minute)
		require.NoError(t, b.Trip(t.Context(), sender, "account suspended", until))
		b.goes(t, job("other", other, "+1"))
		v := b.parks(t, job("a", sender, "+1"), ratelimit.ReasonSenderPaused)
		require.Equal(t, until, v.At)
		require.Equal(t, "account suspended", v.Detail)
		s := b.pool(t, "pool").Senders[0]
		require.True(t, s.Paused)
		require.Equal(t, "account suspended", s.PausedReason)
		require.Equal(t, until, s.TrippedUntil)

		b.clock.advance(time.Minute)
		b.goes(t, job("a", sender, "+1"))
		require.False(t, b.pool(t, "pool").Senders[0].Paused)

		require.NoError(t, b.Trip(t.Context(), sender, "again", b.clock.Now().Add(time.Hour)))
		require.NoError(t, b.Trip(t.Context(), sender, "", time.Time{}))
		b.clock.advance(time.Second)
		b.goes(t, job("b", sender, "+1"))
	})
}

func TestConsentNewestWins(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		n := 0
		allowed := func() bool {
			n++
			return b.reserve(t, job(fmt.Sprint(n), fmt.Sprint("sender", n), "+1")).Outcome == ratelimit.OutcomeGo
		}
		say := func(c ratelimit.Choice, at time.Duration, version uint64) {
			t.Helper()
			require.NoError(t, b.SetConsent(t.Context(), "+1", ratelimit.Everyone, c, startAt.Add(at), version))
		}
		say(ratelimit.Out, time.Minute, 5)
		require.False(t, allowed())
		say(ratelimit.In, time.Second, 9)
		require.False(t, allowed(), "an older word with a newer version")
		say(ratelimit.In, time.Minute, 4)
		require.False(t, allowed(), "the same time, an older version")
		say(ratelimit.In, time.Minute, 6)
		require.True(t, allowed())
		b.apply(t, ratelimit.Change{Kind: ratelimit.Consent, Customer: "+1", Sender: ratelimit.Everyone,
			At: startAt.Add(time.Hour), Status: "out"})
		require.False(t, allowed(), "said in a message")
	})
}

func TestPoliciesAreChecked(t *testing.T) {
	t.Parallel()
	b := onMini(t, ratelimit.Options{})
	ctx := t.Context()
	require.Error(t, b.SetSender(ctx, "", ratelimit.SenderPolicy{}, 1))
	require.Error(t, b.SetSender(ctx, sender, ratelimit.SenderPolicy{Limit: limit(-2)}, 1))
	for _, mps := range []float64{-1, math.NaN(), math.Inf(1)} {
		require.Error(t, b.SetSender(ctx, sender, ratelimit.SenderPolicy{MPS: mps}, 1))
	}
	for _, share := range []float64{-0.1, 1.1, math.NaN()} {
		require.Error(t, b.SetPool(ctx, "pool", ratelimit.PoolPolicy{Reserve: share}, 1))
	}
	require.Error(t, b.SetPool(ctx, "", ratelimit.PoolPolicy{}, 1))
	require.Error(t, b.SetConsent(ctx, "+1", sender, "maybe", startAt, 1))
	require.Error(t, b.SetConsent(ctx, "+1", sender, ratelimit.In, time.Time{}, 1))
	require.Error(t, b.Trip(ctx, "", "", startAt))
}
