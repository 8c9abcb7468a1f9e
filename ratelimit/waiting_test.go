package ratelimit_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/ratelimit"
)

// at is a job of the given priority.
func at(p ratelimit.Priority, id, customer string) ratelimit.Request {
	r := job(id, sender, customer)
	r.Priority = p
	return r
}

func (b *bench) waiting(t testing.TB, pool string) [3]int64 {
	t.Helper()
	counts, _, err := b.Waiting(t.Context(), pool)
	require.NoError(t, err)
	return counts
}

func TestWhoWaitsBeforeWhom(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		b.goes(t, job("known", sender, "+known"))
		b.writes(t, sender, "+writes")
		b.setsPool(t, ratelimit.PoolPolicy{Paused: true})
		b.parks(t, at(ratelimit.Normal, "n", "+1"), ratelimit.ReasonPoolPaused)
		b.setsPool(t, ratelimit.PoolPolicy{})
		require.Equal(t, [3]int64{0, 1, 0}, b.waiting(t, "pool"))

		b.goes(t, at(ratelimit.High, "high", "+2"))
		b.parks(t, at(ratelimit.Normal, "normal", "+3"), ratelimit.ReasonWaiting)
		b.parks(t, at(ratelimit.Low, "low", "+4"), ratelimit.ReasonWaiting)
		b.goes(t, at(ratelimit.Low, "counted", "+known"))
		b.goes(t, at(ratelimit.Low, "in a window", "+writes"))
		require.Equal(t, [3]int64{0, 2, 1}, b.waiting(t, "pool"))

		// Each is released in its turn; then nobody waits, and the last one does
		// not wait for itself.
		require.Equal(t, ratelimit.OutcomeGo, b.reserve(t, at(ratelimit.Normal, "n", "+1")).Outcome)
		require.Equal(t, ratelimit.OutcomeGo, b.reserve(t, at(ratelimit.Normal, "normal", "+3")).Outcome)
		require.Equal(t, [3]int64{0, 0, 1}, b.waiting(t, "pool"))
		b.goes(t, at(ratelimit.Low, "low", "+4"))
		require.Equal(t, [3]int64{}, b.waiting(t, "pool"))
	})
}

// A sender that waits for its rate does not hold up the others of its pool, as
// long as those who wait for a place find one.
func TestPlacesAreKeptForThoseWhoWait(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		b.setsPool(t, ratelimit.PoolPolicy{Limit: limit(4)})
		b.sets(t, ratelimit.SenderPolicy{MPS: 1})
		b.goes(t, job("a1", sender, "+1"))
		b.parks(t, job("a2", sender, "+2"), ratelimit.ReasonRate)
		b.parks(t, job("a3", sender, "+3"), ratelimit.ReasonWaiting)
		b.parks(t, job("a4", sender, "+1"), ratelimit.ReasonRate) // needs no place, and holds nobody up

		b.goes(t, job("b1", other, "+4"))
		b.parks(t, job("b2", other, "+5"), ratelimit.ReasonWaiting)
		b.goes(t, job("c1", "15550004444", "+1"))
		high := at(ratelimit.High, "high", "+6")
		high.Sender = "15550003333"
		b.goes(t, high)
		require.Equal(t, [3]int64{0, 4, 0}, b.waiting(t, "pool"))
	})
}

// However often a job parks, is reserved, goes or ends, it counts once or not
// at all.
func TestMarksAreIdempotent(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		r := at(ratelimit.Low, "j", "+1")
		b.setsPool(t, ratelimit.PoolPolicy{Paused: true})
		b.parks(t, r, ratelimit.ReasonPoolPaused)
		_, version, err := b.Waiting(t.Context(), "pool")
		require.NoError(t, err)
		for range 3 {
			b.parks(t, r, ratelimit.ReasonPoolPaused)
			b.reserve(t, r)
		}
		_, after, err := b.Waiting(t.Context(), "pool")
		require.NoError(t, err)
		require.Equal(t, version, after)
		require.Equal(t, [3]int64{0, 0, 1}, b.waiting(t, "pool"))
		require.Equal(t, [3]int64{0, 0, 1}, b.pool(t, "pool").Waiting)

		// The sender moves: its job waits where it would count now.
		b.sets(t, ratelimit.SenderPolicy{Pool: "new", Paused: true})
		b.parks(t, r, ratelimit.ReasonSenderPaused)
		require.Equal(t, [3]int64{}, b.waiting(t, "pool"))
		require.Equal(t, [3]int64{0, 0, 1}, b.waiting(t, "new"))

		b.says(t, "+1", sender, ratelimit.Out)
		for range 2 {
			require.Equal(t, ratelimit.OutcomeSuppressed, b.admit(t, r).Outcome)
		}
		require.Equal(t, [3]int64{}, b.waiting(t, "new"))
	})
}

func TestLogEndsTheWait(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		b.setsPool(t, ratelimit.PoolPolicy{Paused: true})
		for _, id := range []string{"ends", "goes"} {
			b.parks(t, at(ratelimit.High, id, "+1"), ratelimit.ReasonPoolPaused)
		}
		b.apply(t,
			ratelimit.Change{Kind: ratelimit.Ended, Job: "ends", Attempt: 1, At: startAt, Status: "expired"},
			intent(at(ratelimit.High, "goes", "+1"), startAt, true))
		require.Equal(t, [3]int64{}, b.waiting(t, "pool"))
	})
}

func TestSetWaiting(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		ctx := t.Context()
		_, version, err := b.Waiting(ctx, "pool")
		require.NoError(t, err)
		applied, err := b.SetWaiting(ctx, "pool", [3]int64{1, 2, 3}, version)
		require.NoError(t, err)
		require.True(t, applied, "of a pool never seen")
		require.Equal(t, [3]int64{1, 2, 3}, b.waiting(t, "pool"))
		applied, err = b.SetWaiting(ctx, "pool", [3]int64{9, 9, 9}, version)
		require.NoError(t, err)
		require.False(t, applied, "somebody has counted since")

		_, version, err = b.Waiting(ctx, "pool")
		require.NoError(t, err)
		b.setsPool(t, ratelimit.PoolPolicy{Limit: limit(6)})
		b.parks(t, at(ratelimit.Low, "j", "+1"), ratelimit.ReasonWaiting)
		applied, err = b.SetWaiting(ctx, "pool", [3]int64{}, version)
		require.NoError(t, err)
		require.False(t, applied, "somebody has parked since")
		require.Equal(t, [3]int64{1, 2, 4}, b.waiting(t, "pool"))

		// Counted anew without the mark that j still bears: unmarking it must
		// not make the counter negative.
		_, version, err = b.Waiting(ctx, "pool")
		require.NoError(t, err)
		applied, err = b.SetWaiting(ctx, "pool", [3]int64{}, version)
		require.NoError(t, err)
		require.True(t, applied)
		b.goes(t, at(ratelimit.Low, "j", "+1"))
		require.Equal(t, [3]int64{}, b.waiting(t, "pool"))
	})
}

// A job whose template is paused gives its place and its mark back, and goes by
// the same attempt once the template may.
func TestAPausedTemplateStandsInNobodysWay(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		limit := 1
		b.sets(t, ratelimit.SenderPolicy{Pool: "pool", Limit: &limit})
		r := at(ratelimit.Normal, "paused", "+1")
		b.setsPool(t, ratelimit.PoolPolicy{Paused: true})
		b.parks(t, r, ratelimit.ReasonPoolPaused)
		b.setsPool(t, ratelimit.PoolPolicy{})
		require.Equal(t, ratelimit.OutcomeGo, b.reserve(t, r).Outcome)

		r.TemplatePaused = true
		b.parks(t, r, ratelimit.ReasonTemplatePaused)
		require.Equal(t, [3]int64{}, b.waiting(t, "pool"))
		b.goes(t, at(ratelimit.Low, "other", "+2"))
		b.parks(t, r, ratelimit.ReasonTemplatePaused)
		r.TemplatePaused = false
		b.writes(t, sender, "+1")
		b.goes(t, r)
	})
}
