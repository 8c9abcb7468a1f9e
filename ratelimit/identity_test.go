package ratelimit_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/ratelimit"
)

func TestClaim(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{Retention: time.Hour}, func(t *testing.T, b *bench) {
		require.NoError(t, b.Close(t.Context()), "claims work while the gate is closed")
		require.False(t, b.claim(t, "j", "d", sender))
		require.True(t, b.claim(t, "j", "d", sender))
		require.InDelta(t, time.Hour, b.ttl(t, "j"), float64(time.Minute))
		for _, c := range [][2]string{{"other", sender}, {"d", other}} {
			_, err := b.Claim(t.Context(), "j", c[0], c[1], time.Time{})
			require.ErrorIs(t, err, ratelimit.ErrConflict)
		}

		b.open(t)
		r := job("j", sender, "+1")
		r.Digest = "d"
		b.setsPool(t, ratelimit.PoolPolicy{Paused: true})
		b.parks(t, r, ratelimit.ReasonPoolPaused)
		require.Equal(t, time.Duration(-1), b.ttl(t, "j"), "a job that waits is kept")
	})
}

// TestNoJobIsForgottenBeforeItsLastCopyHasCome: it would begin anew with that.
func TestNoJobIsForgottenBeforeItsLastCopyHasCome(t *testing.T) {
	t.Parallel()
	const keep, later = time.Hour, 30 * 24 * time.Hour
	at := startAt.Add(later)
	ends := func(t *testing.T, b *bench, id, status string) {
		b.apply(t, ratelimit.Change{Kind: ratelimit.Ended, Job: id, Attempt: 1, At: startAt, Status: status})
		require.InDelta(t, later+keep, b.ttl(t, id), float64(time.Minute), status)
	}
	onEach(t, ratelimit.Options{Retention: keep}, func(t *testing.T, b *bench) {
		for _, status := range []string{"canceled", "expired"} {
			for _, before := range []time.Time{{}, at} { // the producer's claim knows of no copy yet
				_, err := b.Claim(t.Context(), status, "d", sender, before)
				require.NoError(t, err)
			}
			require.InDelta(t, later+keep, b.ttl(t, status), float64(time.Minute))
			ends(t, b, status, status)
		}
		claimed, err := b.Claim(t.Context(), "expired", "d", sender, time.Time{})
		require.NoError(t, err)
		require.Equal(t, ratelimit.Claimed{Known: true, Ended: "expired"}, claimed)
		known, err := b.Cancel(t.Context(), "expired")
		require.NoError(t, err)
		require.Equal(t, "expired", known)

		b.setsPool(t, ratelimit.PoolPolicy{Paused: true})
		expiring := job("parked", sender, "+1")
		expiring.ExpiresAt = at
		b.parks(t, expiring, ratelimit.ReasonPoolPaused)
		require.Equal(t, time.Duration(-1), b.ttl(t, "parked"))
		ends(t, b, "parked", "delivered")

		_, err = b.Claim(t.Context(), "in 8,000 years", "d", sender, time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC))
		require.NoError(t, err)
		require.Greater(t, b.ttl(t, "in 8,000 years"), 100*365*24*time.Hour)

		b.apply(t, ratelimit.Change{Kind: ratelimit.Ended, Job: "read late", Attempt: 1, At: startAt, Status: "read", SID: "SM1"})
		require.Equal(t, time.Duration(-2), b.ttl(t, "read late"), "the job was forgotten, its id is free")

		b.parks(t, job("other", sender, "+2"), ratelimit.ReasonPoolPaused)
		b.apply(t, ratelimit.Change{Kind: ratelimit.Ended, Job: "other", Attempt: 1, At: startAt, Status: "delivered"})
		require.InDelta(t, keep, b.ttl(t, "other"), float64(time.Minute), "no copy of it lies anywhere")
	})
}

func TestCancel(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{DefaultLimit: 1}, func(t *testing.T, b *bench) {
		b.goes(t, job("sent", sender, "+1"))
		_, err := b.Cancel(t.Context(), "sent")
		require.ErrorIs(t, err, ratelimit.ErrGranted)
		b.goes(t, job("delivered", sender, "+1"))
		b.apply(t, ratelimit.Change{Kind: ratelimit.Progress, Job: "delivered", Attempt: 1, At: startAt, Status: "delivered"})
		_, err = b.Cancel(t.Context(), "delivered")
		require.ErrorIs(t, err, ratelimit.ErrGranted)

		require.NoError(t, b.GiveBack(t.Context(), "sent", 1, "token of sent"))
		status, err := b.Cancel(t.Context(), "sent")
		require.NoError(t, err, "between two attempts")
		require.Empty(t, status)
		second := job("sent", sender, "+1")
		second.Attempt = 2
		require.Equal(t, ratelimit.OutcomeCanceled, b.admit(t, second).Outcome)
		b.goes(t, next(second)) // redriven before the log has told the end
	})
}

func TestCancelOfAReservation(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{Retention: time.Hour}, func(t *testing.T, b *bench) {
		reserved := job("reserved", sender, "+2")
		require.Equal(t, ratelimit.OutcomeGo, b.reserve(t, reserved).Outcome)
		require.Equal(t, 1, b.used(t))
		_, err := b.Cancel(t.Context(), "reserved")
		require.NoError(t, err)
		require.Zero(t, b.used(t), "the reservation is given back at once")
		require.Equal(t, ratelimit.OutcomeCanceled, b.admit(t, reserved).Outcome)

		b.apply(t, ratelimit.Change{Kind: ratelimit.Ended, Job: "reserved", Attempt: 1, At: startAt, Status: "canceled"})
		status, err := b.Cancel(t.Context(), "reserved")
		require.NoError(t, err)
		require.Equal(t, "canceled", status)
		b.goes(t, next(reserved))

		// Flagged, and ended by something else: the flag goes with the end.
		_, err = b.Cancel(t.Context(), "unseen")
		require.NoError(t, err)
		require.InDelta(t, time.Hour, b.ttl(t, "unseen"), float64(time.Minute))
		b.apply(t, ratelimit.Change{Kind: ratelimit.Ended, Job: "unseen", Attempt: 1, At: startAt, Status: "expired"})
		b.goes(t, next(job("unseen", sender, "+3")))
	})
}

// A claim is let go of only while nothing has come of the job.
func TestDisclaim(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		held := func(id string) bool {
			_, err := b.Claim(t.Context(), id, "another digest", sender, time.Time{})
			return err != nil
		}
		for id, then := range map[string]func(){
			"admitted": func() { b.goes(t, job("admitted", sender, "+1")) },
			"canceled": func() { _, _ = b.Cancel(t.Context(), "canceled") },
			"ended": func() {
				b.apply(t, ratelimit.Change{Kind: ratelimit.Ended, Job: "ended", At: startAt, Status: "rejected"})
			},
		} {
			b.claim(t, id, "digest of "+id, sender)
			then()
			require.NoError(t, b.Disclaim(t.Context(), id, "digest of "+id, sender))
			require.True(t, held(id), id)
		}

		b.claim(t, "j", "d", sender)
		require.NoError(t, b.Disclaim(t.Context(), "j", "d", other))
		require.NoError(t, b.Disclaim(t.Context(), "j", "not d", sender))
		require.True(t, held("j"))
		require.NoError(t, b.Disclaim(t.Context(), "j", "d", sender))
		require.False(t, held("j"))
		require.Error(t, b.Disclaim(t.Context(), "", "d", sender))
	})
}
