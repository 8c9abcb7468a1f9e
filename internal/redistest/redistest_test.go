package redistest_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/internal/redistest"
)

var engines redistest.Engines

func TestMain(m *testing.M) { goleak.VerifyTestMain(engines.Beside(m, "redistest")) }

func TestDatabasesAreApart(t *testing.T) {
	t.Parallel()
	one, other := engines.Single(t), engines.Single(t)
	require.NoError(t, one.Set(t.Context(), "key", "1", 0).Err())
	keys, err := redistest.Keys(t.Context(), other)
	require.NoError(t, err)
	require.Empty(t, keys)
}

// The keys lie on different masters: all are seen, and all are flushed.
func TestClusterIsSeenAsAWhole(t *testing.T) {
	t.Parallel()
	cluster, rdb := engines.Cluster(t)
	require.Len(t, cluster.Masters, 3)
	names := []string{"a", "b", "c", "d", "e", "f"}
	for _, name := range names {
		require.NoError(t, rdb.Set(t.Context(), name, 1, 0).Err())
	}
	keys, err := redistest.Keys(t.Context(), rdb)
	require.NoError(t, err)
	require.ElementsMatch(t, names, keys)
	require.NoError(t, redistest.Flush(t.Context(), rdb))
	keys, err = redistest.Keys(t.Context(), rdb)
	require.NoError(t, err)
	require.Empty(t, keys)
}

// What the primary took after it was cut off is lost with it.
func TestSentinelReplacesAPrimary(t *testing.T) {
	t.Parallel()
	w, rdb := engines.Watched(t)
	ctx := t.Context()
	require.NoError(t, rdb.Set(ctx, "kept", 1, 0).Err())
	require.NoError(t, rdb.Wait(ctx, 1, 0).Err())
	w.CutOff(t)
	require.NoError(t, rdb.Set(ctx, "lost", 1, 0).Err())
	w.Primary.Kill()
	redistest.Until(t, func() bool { return rdb.Set(ctx, "after", 1, 0).Err() == nil })
	keys, err := redistest.Keys(ctx, rdb)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"kept", "after"}, keys)
}

func TestPlannedFailover(t *testing.T) {
	t.Parallel()
	rdb := engines.FailedOver(t)
	require.NoError(t, rdb.Set(t.Context(), "key", 1, 0).Err())
	require.Contains(t, rdb.Info(t.Context(), "replication").Val(), "role:master")
}
