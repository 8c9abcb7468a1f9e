package ratelimit_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/ratelimit"
)

// TestPlaceCountsFromTheAnswer: the provider counts from when it took the
// message, which may be long after the grant.
func TestPlaceCountsFromTheAnswer(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{DefaultLimit: 1}, func(t *testing.T, b *bench) {
		slow := job("slow", sender, "+1")
		b.goes(t, slow)
		b.clock.advance(10 * time.Second)
		require.NoError(t, b.Confirm(t.Context(), "slow", 1, "not its token"))
		require.NoError(t, b.Confirm(t.Context(), "slow", 2, slow.Token))
		v := b.admit(t, job("next", sender, "+2"))
		granted := v.At
		require.NoError(t, b.Confirm(t.Context(), "slow", 1, slow.Token))

		v = b.admit(t, job("next", sender, "+2"))
		require.Equal(t, ratelimit.OutcomePark, v.Outcome)
		require.Equal(t, granted.Add(10*time.Second), v.At, "its place comes back ten seconds later")

		require.NoError(t, b.GiveBack(t.Context(), "slow", 1, slow.Token))
		b.goes(t, job("next", sender, "+2"))
		state := b.dump(t)
		require.NoError(t, b.Confirm(t.Context(), "slow", 1, slow.Token))
		require.Equal(t, state, b.dump(t), "what was given back is not taken again")
	})
}
