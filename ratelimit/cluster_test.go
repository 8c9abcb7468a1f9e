package ratelimit_test

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/redistest"
	"github.com/sluicehq/sluice/ratelimit"
)

// onCluster is a gate on the cluster, which the test has to itself.
func onCluster(t *testing.T, opts ratelimit.Options) (*bench, *redistest.Cluster) {
	t.Helper()
	cluster, all := engines.Cluster(t)
	// Every key of the gate lies on one node; the test looks there.
	node, err := all.MasterForKey(t.Context(), "{sluice}:")
	require.NoError(t, err)
	own := redis.NewClient(&redis.Options{Addr: node.Options().Addr, MaxRetries: -1})
	return newBenchOn(t, all, own, opts, true), cluster
}

// One master holds everything, and the other two nothing.
func TestGateIsOneSlotOfACluster(t *testing.T) {
	t.Parallel()
	b, cluster := onCluster(t, ratelimit.Options{})
	b.goes(t, job("j", sender, "+1"))
	b.aliases(t, opaque, phone)
	require.NoError(t, b.Drop(t.Context(), "me", nil, func(context.Context) error { return nil }))
	require.Empty(t, b.dump(t))
	b.open(t)
	b.goes(t, job("j", sender, "+1"))
	var keys int64
	for _, s := range cluster.Masters {
		node := s.Client(0)
		n := node.DBSize(t.Context()).Val()
		require.NoError(t, node.Close())
		require.True(t, n == 0 || keys == 0, "two masters hold keys")
		keys += n
	}
	require.Positive(t, keys)
}
