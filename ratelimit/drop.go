package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// dropLease bounds how long nobody may apply the log when a Drop dies halfway.
const dropLease = time.Minute

// Drop deletes everything the gate has in Redis, so that it is refilled from
// the log, the facts and the waiting room; nothing is admitted meanwhile. also
// runs before the log may be applied again. The leases named are taken away
// from whoever holds them, because a tracker must not refill what is still
// being deleted.
//
// A crash halfway leaves the gate closed and its position at the beginning: the
// trackers refill it when the leases have run out, over what is left, which
// changes nothing; dropping again is harmless.
func (g *Gate) Drop(ctx context.Context, holder string, leases []string, also func(context.Context) error) error {
	if holder == "" {
		return errors.New("drop: holder must be set")
	}
	for _, name := range leases {
		if err := g.rdb.Set(ctx, leaseKey(name), holder, dropLease).Err(); err != nil {
			return fmt.Errorf("gate drop: %w", err)
		}
	}
	// From here on the gate is closed, and a tracker that was applying finds the
	// position moved.
	if err := g.rdb.Del(ctx, keyGate, keyPosition).Err(); err != nil {
		return fmt.Errorf("gate drop: %w", err)
	}
	if err := DropKeys(ctx, g.rdb, "{sluice}:", prefixLease); err != nil {
		return fmt.Errorf("gate drop: %w", err)
	}
	if err := also(ctx); err != nil {
		return err
	}
	for _, name := range leases {
		if err := g.Unlease(ctx, name, holder); err != nil {
			return err
		}
	}
	return nil
}

// DropKeys deletes every key with the prefix, but for those with a prefix in
// keep, from all masters of a cluster.
func DropKeys(ctx context.Context, rdb redis.UniversalClient, prefix string, keep ...string) error {
	cluster, ok := rdb.(*redis.ClusterClient)
	if !ok {
		return dropFrom(ctx, rdb, prefix, keep)
	}
	return cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		return dropFrom(ctx, node, prefix, keep)
	})
}

func dropFrom(ctx context.Context, rdb redis.Cmdable, prefix string, keep []string) error {
	var cursor uint64
	for {
		found, next, err := rdb.Scan(ctx, cursor, prefix+"*", 1000).Result()
		if err != nil {
			return err
		}
		var drop []string
		for _, key := range found {
			if !hasAny(key, keep) {
				drop = append(drop, key)
			}
		}
		if len(drop) > 0 {
			if err := rdb.Unlink(ctx, drop...).Err(); err != nil {
				return err
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

func hasAny(key string, prefixes []string) bool {
	for _, prefix := range prefixes {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}
