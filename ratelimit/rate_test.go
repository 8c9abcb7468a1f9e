package ratelimit_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/ratelimit"
)

// Grants of one sender are at least an interval apart, however they are asked
// for, and none is lost while somebody asks.
func TestRateIsEven(t *testing.T) {
	t.Parallel()
	for _, mps := range []float64{0.5, 3, 80, 1000} {
		t.Run(fmt.Sprint(mps), func(t *testing.T) {
			t.Parallel()
			opts := ratelimit.Options{PairSpacing: -1, DefaultMPS: mps, DefaultLimit: ratelimit.Unlimited}
			onEach(t, opts, func(t *testing.T, b *bench) {
				interval := time.Duration(float64(time.Second) / mps)
				var last time.Time
				for i := range 200 {
					r := job(fmt.Sprint(i), sender, "+1")
					v := b.admit(t, r)
					for v.Outcome == ratelimit.OutcomePark {
						require.Equal(t, ratelimit.ReasonRate, v.Reason)
						require.True(t, v.At.After(b.clock.Now()))
						b.clock.advance(v.At.Sub(b.clock.Now()))
						v = b.admit(t, r)
					}
					require.Equal(t, ratelimit.OutcomeGo, v.Outcome)
					require.False(t, v.At.After(b.clock.Now().Add(100*time.Millisecond)), "beyond the horizon")
					if i > 0 {
						gap := v.At.Sub(last)
						require.GreaterOrEqual(t, gap, interval-time.Microsecond)
						require.LessOrEqual(t, gap, interval+2*time.Microsecond)
					}
					last = v.At
				}
			})
		})
	}
}

func TestRateIsPerSender(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{PairSpacing: -1, DefaultMPS: 1}, func(t *testing.T, b *bench) {
		b.goes(t, job("a", sender, "+1"))
		b.goes(t, job("b", other, "+1"))
		v := b.parks(t, job("c", sender, "+1"), ratelimit.ReasonRate)
		require.Equal(t, startAt.Add(900*time.Millisecond), v.At, "when the next second comes within the horizon")

		// An hour of silence saves nothing up.
		b.clock.advance(time.Hour)
		b.goes(t, job("d", sender, "+1"))
		b.parks(t, job("e", sender, "+1"), ratelimit.ReasonRate)
	})
}

// A rate that is known beforehand holds for its sender alone, until another is
// put.
func TestARateKnownBeforehand(t *testing.T) {
	t.Parallel()
	opts := ratelimit.Options{PairSpacing: -1, DefaultMPS: 1e6, SenderMPS: map[string]float64{sender: 0.25, "15550009999": 7}}
	onEach(t, opts, func(t *testing.T, b *bench) {
		b.goes(t, job("a", sender, "+1"))
		v := b.parks(t, job("b", sender, "+2"), ratelimit.ReasonRate)
		require.Equal(t, startAt.Add(4*time.Second-100*time.Millisecond), v.At)
		for i := range 5 {
			b.goes(t, job(fmt.Sprint("other", i), other, "+1"))
		}
	})
	onEach(t, opts, func(t *testing.T, b *bench) {
		b.sets(t, ratelimit.SenderPolicy{MPS: 1e6})
		for i := range 5 {
			b.goes(t, job(fmt.Sprint(i), sender, "+1"))
		}
	})
}

// A faster rate holds at once, though the slower one had booked far ahead; so
// does a clock that was set back.
func TestRateBookedAheadIsCut(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		b.sets(t, ratelimit.SenderPolicy{MPS: 0.001})
		b.goes(t, job("a", sender, "+1"))
		b.sets(t, ratelimit.SenderPolicy{MPS: 10})
		v := b.parks(t, job("b", sender, "+1"), ratelimit.ReasonRate)
		require.Equal(t, startAt.Add(100*time.Millisecond), v.At)
		b.clock.advance(-time.Hour)
		v = b.parks(t, job("b", sender, "+1"), ratelimit.ReasonRate)
		require.Equal(t, startAt.Add(-time.Hour+100*time.Millisecond), v.At)
	})
}

// Without Options.Now the scripts read the server's clock.
func TestServerClock(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		opts := b.opts
		opts.Now = nil
		g := ratelimit.New(b.rdb, opts)
		before, err := b.rdb.Time(t.Context()).Result()
		require.NoError(t, err)
		v, err := g.Admit(t.Context(), job("a", sender, "+1"))
		require.NoError(t, err)
		after, err := b.rdb.Time(t.Context()).Result()
		require.NoError(t, err)
		require.Equal(t, ratelimit.OutcomeGo, v.Outcome)
		require.False(t, v.Now.Before(before.Truncate(time.Microsecond)), "%s < %s", v.Now, before)
		require.False(t, v.Now.After(after), "%s > %s", v.Now, after)
	})
}

// Reservations that are taken over late, and all at once, go as far apart as any
// others. What would have to wait for long parks again.
func TestLateReservationsKeepTheRate(t *testing.T) {
	t.Parallel()
	opts := ratelimit.Options{PairSpacing: -1, DefaultMPS: 10, GrantLife: time.Minute}
	onEach(t, opts, func(t *testing.T, b *bench) {
		const n = 20
		for i := range n {
			require.Equal(t, ratelimit.OutcomeGo, b.reserve(t, job(fmt.Sprint(i), sender, fmt.Sprint("+", i))).Outcome)
			b.clock.advance(100 * time.Millisecond)
		}
		b.clock.advance(10 * time.Second)
		now := b.clock.Now()
		for i := range 6 {
			v := b.goes(t, job(fmt.Sprint(i), sender, fmt.Sprint("+", i)))
			require.Equal(t, now.Add(time.Duration(i)*100*time.Millisecond), v.At)
		}
		v := b.parks(t, job("6", sender, "+6"), ratelimit.ReasonRate)
		require.Equal(t, now.Add(500*time.Millisecond), v.At, "when its turn comes within the horizon")
		require.Equal(t, ratelimit.ReasonRate, b.reserve(t, job("new", sender, "+30")).Reason, "nothing is let out meanwhile")

		b.clock.advance(time.Second)
		require.Equal(t, b.clock.Now(), b.goes(t, job("7", sender, "+7")).At)
		require.Equal(t, ratelimit.OutcomeGo, b.reserve(t, job("6", sender, "+6")).Outcome, "its place was given back")
	})
}
