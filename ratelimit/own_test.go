package ratelimit_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/ratelimit"
)

// Two jobs that look for the same lost message must not both find it.
func TestOwn(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{Retention: time.Hour}, func(t *testing.T, b *bench) {
		owns := func(id string) bool {
			mine, err := b.Own(t.Context(), "SM1", id)
			require.NoError(t, err)
			return mine
		}
		require.True(t, owns("a"))
		require.False(t, owns("b"))
		require.True(t, owns("a"), "asked again")
		require.InDelta(t, time.Hour, b.rdb.PTTL(t.Context(), "{sluice}:sid:SM1").Val(), float64(time.Minute))
		_, err := b.Own(t.Context(), "", "a")
		require.Error(t, err)
	})
}

func TestPoolsOf(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		b.sets(t, ratelimit.SenderPolicy{Pool: "named"})
		b.goes(t, job("j", other, "+1"))
		pools, err := b.PoolsOf(t.Context(), []string{sender, other, "unknown"})
		require.NoError(t, err)
		require.Equal(t, map[string]string{sender: "named"}, pools)
	})
}
