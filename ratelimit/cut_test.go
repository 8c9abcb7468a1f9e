package ratelimit_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluicehq/sluice/ratelimit"
)

// cuts cuts the sender's rate for a message granted at a time.
func (b *bench) cuts(t require.TestingT, sent time.Time) bool {
	_, cut, err := b.CutRate(context.Background(), sender, sent)
	require.NoError(t, err)
	return cut
}

// rate is what is set for the sender, and what is left of it.
func (b *bench) rate(t require.TestingT) (set, left float64) {
	p, err := b.Limits(context.Background(), "pool")
	require.NoError(t, err)
	require.Len(t, p.Senders, 1)
	return p.Senders[0].MPS, p.Senders[0].EffectiveMPS
}

func TestCutRate(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{DefaultLimit: ratelimit.Unlimited}, func(t *testing.T, b *bench) {
		b.sets(t, ratelimit.SenderPolicy{Pool: "pool", MPS: 10})
		first := b.goes(t, job("first", sender, "+1"))
		b.clock.advance(time.Second)
		mps, cut, err := b.CutRate(t.Context(), sender, first.At)
		require.NoError(t, err)
		require.True(t, cut)
		require.InDelta(t, 5, mps, 0.001)
		require.False(t, b.cuts(t, first.At), "it went at the rate of before")

		// Half as many go in ten seconds, and a little more as it grows.
		n := 0
		for range 200 {
			b.clock.advance(50 * time.Millisecond)
			n++
			if b.admit(t, job(fmt.Sprint("job-", n), sender, customer(n))).Outcome != ratelimit.OutcomeGo {
				n--
			}
		}
		require.InDelta(t, 51, n, 1.5)
		set, left := b.rate(t)
		require.InDelta(t, 10, set, 0.001)
		require.InDelta(t, 5+10.0/60*1.25, left, 0.001)

		// A policy put anew changes what the share is of.
		b.sets(t, ratelimit.SenderPolicy{Pool: "pool", MPS: 100})
		set, left = b.rate(t)
		require.InDelta(t, 100, set, 0.001)
		require.InDelta(t, 50+100.0/60*1.25, left, 0.01)
		b.clock.advance(10 * time.Minute)
		_, left = b.rate(t)
		require.InDelta(t, 100, left, 0.001)

		for _, wrong := range []struct {
			sender string
			sent   time.Time
		}{{"", startAt}, {sender, time.Time{}}} {
			_, _, err := b.CutRate(t.Context(), wrong.sender, wrong.sent)
			require.Error(t, err)
		}
	})
}

// Any schedule of objections, against the rule in plain Go.
func TestCutsFollowTheRule(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{DefaultLimit: ratelimit.Unlimited}, func(t *testing.T, b *bench) {
		rapid.Check(t, func(rt *rapid.T) {
			b.reset(t)
			b.sets(t, ratelimit.SenderPolicy{Pool: "pool", MPS: 80})
			share, at := 1.0, time.Time{}
			grow := func() float64 {
				if at.IsZero() {
					return 1
				}
				return min(1, share+max(0, b.clock.Now().Sub(at).Minutes())/8)
			}
			rt.Repeat(map[string]func(*rapid.T){
				"time passes": func(rt *rapid.T) {
					b.clock.advance(time.Duration(rapid.Int64Range(-30, 300).Draw(rt, "seconds")) * time.Second)
				},
				"objection": func(rt *rapid.T) {
					sent := b.clock.Now().Add(-time.Duration(rapid.Int64Range(0, 90).Draw(rt, "ago")) * time.Second)
					cut := at.IsZero() || sent.After(at)
					require.Equal(rt, cut, b.cuts(rt, sent))
					if cut {
						share, at = max(0.125, grow()/2), b.clock.Now()
					}
				},
				"": func(rt *rapid.T) {
					_, left := b.rate(rt)
					require.InDelta(rt, 80*grow(), left, 0.01)
					require.GreaterOrEqual(rt, left, 9.99)
				},
			})
		})
	})
}
