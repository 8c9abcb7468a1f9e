package ratelimit_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/ratelimit"
)

func TestReservationIsTakenOver(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{DefaultLimit: 1, DefaultMPS: 20}, func(t *testing.T, b *bench) {
		b.goes(t, job("a", sender, "+1"))
		b.clock.advance(25 * time.Hour)
		r := job("j", sender, "+2")
		first := b.reserve(t, r)
		require.Equal(t, ratelimit.OutcomeGo, first.Outcome)
		require.Equal(t, 1, b.used(t))
		state := b.dump(t)
		require.Equal(t, first, b.reserve(t, r), "again the same")
		require.Equal(t, state, b.dump(t), "and nothing written")

		// The place is taken and the sender's rate used up, and others wait: all
		// of that is behind the reservation.
		high := job("high", sender, "+3")
		high.Priority = ratelimit.High
		b.parks(t, high, ratelimit.ReasonSenderLimit)
		b.sets(t, ratelimit.SenderPolicy{MPS: 0.01, Limit: limit(0)})
		b.clock.advance(time.Minute)
		v := b.goes(t, r)
		require.Equal(t, b.clock.Now(), v.At)
		require.Equal(t, 1, b.used(t))
		require.Equal(t, b.clock.Now().Add(24*time.Hour+time.Minute), b.pool(t, "pool").NextFreeAt,
			"the place counts from the send, not from the reservation")

		require.Equal(t, ratelimit.OutcomePrior, b.reserve(t, r).Outcome)
		require.NoError(t, b.GiveBack(t.Context(), "j", 1, r.Token))
		require.Zero(t, b.used(t))
	})
}

func TestReservationIsBookedAhead(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{DefaultMPS: 20}, func(t *testing.T, b *bench) {
		b.reserve(t, job("a", sender, "+1"))
		v := b.reserve(t, job("b", sender, "+2"))
		require.Equal(t, startAt.Add(50*time.Millisecond), v.At)
		require.Equal(t, v.At, b.goes(t, job("b", sender, "+2")).At, "still at the time booked")
	})
}

func TestReservationIsGivenBack(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name    string
		then    func(t *testing.T, b *bench)
		outcome ratelimit.Outcome
	}{
		{"when the job parks again", func(t *testing.T, b *bench) {
			b.setsPool(t, ratelimit.PoolPolicy{Paused: true})
		}, ratelimit.OutcomePark},
		{"when it has expired", func(_ *testing.T, b *bench) {
			b.clock.advance(2 * time.Minute)
		}, ratelimit.OutcomeExpired},
		{"when the customer said no", func(t *testing.T, b *bench) {
			b.says(t, "+1", sender, ratelimit.Out)
		}, ratelimit.OutcomeSuppressed},
		{"when it is canceled", func(t *testing.T, b *bench) {
			_, err := b.Cancel(t.Context(), "j")
			require.NoError(t, err)
		}, ratelimit.OutcomeCanceled},
		{"when the log ends it", func(t *testing.T, b *bench) {
			b.apply(t, ratelimit.Change{Kind: ratelimit.Ended, Job: "j", At: startAt, Status: "expired"})
		}, ratelimit.OutcomeEnded},
		{"when the customer writes and goes free", func(t *testing.T, b *bench) {
			b.writes(t, sender, "+1")
		}, ratelimit.OutcomeGo},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
				r := job("j", sender, "+1")
				r.ExpiresAt = startAt.Add(time.Minute)
				require.Equal(t, ratelimit.OutcomeGo, b.reserve(t, r).Outcome)
				require.Equal(t, 1, b.used(t))
				c.then(t, b)
				require.Equal(t, c.outcome, b.admit(t, r).Outcome)
				require.Zero(t, b.used(t))
			})
		})
	}
}

// A reservation given in a service window that has shut since has no place yet.
func TestReservationOutlivesItsServiceWindow(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{DefaultLimit: 1}, func(t *testing.T, b *bench) {
		b.writes(t, sender, "+1")
		r := job("j", sender, "+1")
		require.True(t, b.reserve(t, r).InWindow)
		b.clock.advance(25 * time.Hour)
		b.goes(t, job("a", sender, "+2"))
		b.parks(t, r, ratelimit.ReasonSenderLimit)
		b.clock.advance(25 * time.Hour)
		require.True(t, b.goes(t, r).Counted)
	})
}

// A place reserved so long ago that it no longer counts is taken anew.
func TestOldReservation(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		r := job("j", sender, "+1")
		b.reserve(t, r)
		b.clock.advance(25 * time.Hour)
		require.Zero(t, b.used(t))
		require.Equal(t, ratelimit.OutcomeGo, b.reserve(t, r).Outcome)
		require.Equal(t, 1, b.used(t))
	})
}

// The releaser decides nothing for good: the dispatcher does.
func TestReserveEndsNothing(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		b.says(t, "+1", sender, ratelimit.Out)
		r := job("j", sender, "+1")
		state := b.dump(t)
		require.Equal(t, ratelimit.OutcomeSuppressed, b.reserve(t, r).Outcome)
		r.ExpiresAt = startAt
		require.Equal(t, ratelimit.OutcomeExpired, b.reserve(t, r).Outcome)
		require.Equal(t, state, b.dump(t))
	})
}

// A sender that moves between reservation and admission needs a place where it
// is now, and leaves none of the reservation's behind.
func TestReservationFollowsThePool(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		r := job("j", sender, "+1")
		b.reserve(t, r)
		b.sets(t, ratelimit.SenderPolicy{Pool: "new"})
		require.Equal(t, "new", b.reserve(t, r).Pool)
		v := b.goes(t, r)
		require.Equal(t, "new", v.Pool)
		require.Equal(t, 1, b.pool(t, "new").Used)
		require.Zero(t, b.pool(t, "pool").Used)

		// So does one for a customer who is counted wherever the sender goes.
		k := job("k", sender, "+1")
		require.Equal(t, "new", b.reserve(t, k).Pool)
		b.sets(t, ratelimit.SenderPolicy{Pool: "newest"})
		require.Equal(t, "newest", b.reserve(t, k).Pool)
	})
}
