package ratelimit_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/ratelimit"
)

func TestSlotsSayWhenPlacesComeBack(t *testing.T) {
	t.Parallel()
	opts := ratelimit.Options{Window: 59 * time.Minute, Margin: time.Minute}
	onEach(t, opts, func(t *testing.T, b *bench) {
		b.goes(t, job("a", sender, "+1"))
		b.clock.advance(11 * time.Minute)
		b.goes(t, job("b", sender, "+2"))
		b.goes(t, job("c", sender, "+3"))
		b.clock.advance(43 * time.Minute)

		got, err := b.Slots(t.Context(), "pool", 12)
		require.NoError(t, err)
		require.Equal(t, b.clock.Now(), got.Now.UTC())
		require.Equal(t, 5*time.Minute, got.Step)
		require.Equal(t, []int{0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0}, got.Places)

		b.clock.advance(6 * time.Minute)
		got, err = b.Slots(t.Context(), "pool", 1)
		require.NoError(t, err)
		require.Equal(t, []int{2}, got.Places, "the first is back")
		require.Equal(t, b.pool(t, "pool").Used, got.Places[0], "all steps together are what is used")
	})
}

func TestSlotsOfAPoolThatNobodyNamed(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		got, err := b.Slots(t.Context(), "nobody", 3)
		require.NoError(t, err)
		require.Equal(t, []int{0, 0, 0}, got.Places)
		for _, steps := range []int{0, -1, ratelimit.MaxSteps + 1} {
			_, err := b.Slots(t.Context(), "pool", steps)
			require.Error(t, err)
		}
		_, err = b.Slots(t.Context(), "", 1)
		require.Error(t, err)
	})
}
