package ratelimit_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/ratelimit"
)

// One customer hears from one sender 45 times at once, then every 6 seconds;
// other customers and other senders are not held up.
func TestPaceOfOneCustomer(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{DefaultMPS: 1e6}, func(t *testing.T, b *bench) {
		n := 0
		again := func(from, to string) ratelimit.Request {
			n++
			return job(fmt.Sprint("job", n), from, to)
		}
		for range 45 {
			b.goes(t, again(sender, "+1"))
		}
		waits := again(sender, "+1")
		v := b.parks(t, waits, ratelimit.ReasonPairRate)
		require.WithinDuration(t, startAt.Add(6*time.Second), v.At, time.Millisecond)
		require.Equal(t, ratelimit.ReasonPairRate, b.reserve(t, waits).Reason)
		b.goes(t, again(sender, "+2"))
		b.goes(t, again(other, "+1"))

		b.clock.advance(v.At.Sub(startAt) - time.Millisecond)
		b.parks(t, waits, ratelimit.ReasonPairRate)
		b.clock.advance(time.Millisecond)
		require.Equal(t, ratelimit.OutcomeGo, b.reserve(t, waits).Outcome)
		b.goes(t, waits) // the reservation has booked the pace
		b.parks(t, again(sender, "+1"), ratelimit.ReasonPairRate)

		b.clock.advance(time.Hour)
		for range 45 {
			b.goes(t, again(sender, "+1"))
		}
		b.parks(t, again(sender, "+1"), ratelimit.ReasonPairRate)
	})
}

// It holds inside a service window too, costs no rate, and can be set.
func TestPaceIsSettable(t *testing.T) {
	t.Parallel()
	opts := ratelimit.Options{PairSpacing: time.Minute, PairBurst: 1, DefaultMPS: 100}
	onEach(t, opts, func(t *testing.T, b *bench) {
		b.writes(t, sender, "+1")
		b.goes(t, job("a", sender, "+1"))
		for i := range 50 {
			v := b.parks(t, job(fmt.Sprint("b", i), sender, "+1"), ratelimit.ReasonPairRate)
			require.Equal(t, startAt.Add(time.Minute), v.At)
		}
		require.Equal(t, startAt.Add(10*time.Millisecond), b.goes(t, job("c", sender, "+2")).At)
	})
	onEach(t, ratelimit.Options{PairSpacing: -1, DefaultMPS: 1e6}, func(t *testing.T, b *bench) {
		for i := range 100 {
			b.goes(t, job(fmt.Sprint("a", i), sender, "+1"))
		}
	})
}

// What counts is paced by its place: a message that was refused holds up none, and
// one inside a service window comes after it too.
func TestPaceOfWhatCounts(t *testing.T) {
	t.Parallel()
	opts := ratelimit.Options{PairSpacing: time.Second, PairBurst: 1, DefaultMPS: 1e6}
	onEach(t, opts, func(t *testing.T, b *bench) {
		first := job("a", sender, "+1")
		b.goes(t, first)
		b.parks(t, job("b", sender, "+1"), ratelimit.ReasonPairRate)
		require.NoError(t, b.GiveBack(t.Context(), first.Job, first.Attempt, first.Token))
		b.goes(t, job("b", sender, "+1"))
		b.writes(t, sender, "+1")
		v := b.parks(t, job("c", sender, "+1"), ratelimit.ReasonPairRate)
		b.clock.advance(v.At.Sub(startAt))
		b.goes(t, job("c", sender, "+1"))
		b.parks(t, job("d", sender, "+1"), ratelimit.ReasonPairRate)
	})
}

// A clock set back does not hold a customer's messages for longer than a whole
// burst takes to come back, and lets no more out at once than that.
func TestPaceAfterAClockStep(t *testing.T) {
	t.Parallel()
	opts := ratelimit.Options{PairSpacing: time.Second, PairBurst: 3, Window: time.Minute}
	onEach(t, opts, func(t *testing.T, b *bench) {
		b.goes(t, job("a", sender, "+1"))
		b.clock.advance(-time.Hour)
		b.parks(t, job("b", sender, "+1"), ratelimit.ReasonRate)
		b.clock.advance(time.Second / 2)
		for _, id := range []string{"b", "c", "d"} {
			b.goes(t, job(id, sender, "+1"))
		}
		v := b.parks(t, job("e", sender, "+1"), ratelimit.ReasonPairRate)
		require.LessOrEqual(t, v.At.Sub(b.clock.Now()), 3*time.Second)
	})
}
