package redistest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// slots of a Redis Cluster.
const slots = 16384

// Cluster is a Redis Cluster of three masters.
type Cluster struct {
	Masters []*Server
	dir     string
}

// StartCluster returns once every master knows that the cluster is complete.
func StartCluster() (*Cluster, error) {
	dir, err := os.MkdirTemp("", "cluster")
	if err != nil {
		return nil, err
	}
	c := &Cluster{dir: dir}
	if err := c.start(); err != nil {
		c.Stop()
		return nil, err
	}
	return c, nil
}

func (c *Cluster) start() error {
	var nodes []*redis.Client
	for i := range 3 {
		home := fmt.Sprint(c.dir, "/", i)
		if err := os.Mkdir(home, 0o700); err != nil {
			return err
		}
		s, err := StartTCP(home, "--cluster-enabled", "yes", "--cluster-node-timeout", "15000")
		if err != nil {
			return err
		}
		c.Masters = append(c.Masters, s)
		node := s.Client(0)
		defer node.Close()
		nodes = append(nodes, node)
	}
	return join(nodes)
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

// Addresses are those of the masters.
func (c *Cluster) Addresses() []string {
	var all []string
	for _, s := range c.Masters {
		all = append(all, s.Address)
	}
	return all
}

// Client connects to all masters. It repeats nothing but what a master sends
// elsewhere.
func (c *Cluster) Client() *redis.ClusterClient {
	return redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addresses(), MaxRetries: -1, ContextTimeoutEnabled: true})
}

// Stop ends the masters that run.
func (c *Cluster) Stop() {
	for _, s := range c.Masters {
		s.Kill()
	}
	_ = os.RemoveAll(c.dir)
}

// Flush empties every master behind a client.
func Flush(ctx context.Context, rdb redis.UniversalClient) error {
	return each(ctx, rdb, func(ctx context.Context, node redis.Cmdable) error { return node.FlushDB(ctx).Err() })
}

// Keys are those of every master behind a client.
func Keys(ctx context.Context, rdb redis.UniversalClient) ([]string, error) {
	var mu sync.Mutex
	var all []string
	err := each(ctx, rdb, func(ctx context.Context, node redis.Cmdable) error {
		keys, err := node.Keys(ctx, "*").Result()
		mu.Lock()
		defer mu.Unlock()
		all = append(all, keys...)
		return err
	})
	return all, err
}

func each(ctx context.Context, rdb redis.UniversalClient, do func(context.Context, redis.Cmdable) error) error {
	if cluster, ok := rdb.(*redis.ClusterClient); ok {
		return cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error { return do(ctx, node) })
	}
	return do(ctx, rdb)
}
