package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/ratelimit"
)

// cluster is a Redis Cluster of three masters, started for the first test that
// wants one. It has one database, so that its tests take turns.
var cluster struct {
	turn    sync.Mutex
	start   sync.Once
	err     error
	masters []*server
}

// slots of a Redis Cluster.
const slots = 16384

func startCluster() {
	cluster.err = func() error {
		dir, err := os.MkdirTemp("", "cluster")
		if err != nil {
			return err
		}
		var nodes []*redis.Client
		for i := range 3 {
			home := fmt.Sprint(dir, "/", i)
			if err := os.Mkdir(home, 0o700); err != nil {
				return err
			}
			s, err := launchTCP(home, "--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
			if err != nil {
				return err
			}
			cluster.masters = append(cluster.masters, s)
			node := redis.NewClient(&redis.Options{Addr: s.address})
			defer node.Close()
			nodes = append(nodes, node)
		}
		return join(nodes)
	}()
}

// join makes one cluster of the nodes, each with a third of the slots.
func join(nodes []*redis.Client) error {
	ctx := context.Background()
	for i, node := range nodes {
		err := node.ClusterAddSlotsRange(ctx, i*slots/3, (i+1)*slots/3-1).Err()
		host, port, _ := strings.Cut(node.Options().Addr, ":")
		if err = errors.Join(err, nodes[0].ClusterMeet(ctx, host, port).Err()); err != nil {
			return err
		}
	}
	return until(func() bool {
		for _, node := range nodes {
			info := node.ClusterInfo(ctx).Val()
			if !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_known_nodes:3") {
				return false
			}
		}
		return true
	})
}

func stopCluster() {
	for _, s := range cluster.masters {
		s.kill()
		_ = os.RemoveAll(s.dir)
	}
}

// onCluster is a gate on the cluster, which the test has to itself.
func onCluster(t *testing.T, opts ratelimit.Options) *bench {
	t.Helper()
	cluster.turn.Lock()
	t.Cleanup(cluster.turn.Unlock)
	cluster.start.Do(startCluster)
	require.NoError(t, cluster.err)
	addresses := make([]string, len(cluster.masters))
	for i, s := range cluster.masters {
		addresses[i] = s.address
	}
	all := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addresses, MaxRetries: -1, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = all.Close() })
	ctx := context.Background()
	require.NoError(t, all.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		return node.FlushDB(ctx).Err()
	}))
	// Every key of the gate lies on one node; the test looks there.
	node, err := all.MasterForKey(ctx, "{sluice}:")
	require.NoError(t, err)
	own := redis.NewClient(&redis.Options{Addr: node.Options().Addr, MaxRetries: -1})
	return newBenchOn(t, all, own, opts, true)
}

// One master holds everything, and the other two nothing.
func TestGateIsOneSlotOfACluster(t *testing.T) {
	t.Parallel()
	if shared == nil {
		t.Skip("needs redis-server")
	}
	b := onCluster(t, ratelimit.Options{})
	b.goes(t, job("j", sender, "+1"))
	b.aliases(t, opaque, phone)
	require.NoError(t, b.Drop(t.Context(), "me", nil, func(context.Context) error { return nil }))
	require.Empty(t, b.dump(t))
	b.open(t)
	b.goes(t, job("j", sender, "+1"))
	var keys int64
	for _, s := range cluster.masters {
		node := redis.NewClient(&redis.Options{Addr: s.address})
		n := node.DBSize(t.Context()).Val()
		require.NoError(t, node.Close())
		require.True(t, n == 0 || keys == 0, "two masters hold keys")
		keys += n
	}
	require.Positive(t, keys)
}
