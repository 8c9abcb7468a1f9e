package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"time"
)

// PoolLimits is the state of one pool.
type PoolLimits struct {
	Pool string
	// Limit is the effective limit, Unlimited for none; Used how many customers
	// count now; Free what is left of the limit (Unlimited for none); Reserved
	// how many places of the limit are kept for high priority.
	Limit, Used, Free, Reserved int
	// NextFreeAt is when the oldest place comes back; zero if none is used.
	NextFreeAt time.Time
	// Waiting counts parked jobs by priority.
	Waiting      [3]int64
	Paused       bool
	PausedReason string
	Closed       bool
	// Now is the gate's clock.
	Now     time.Time
	Senders []SenderLimits
}

// SenderLimits is the state of one sender of a pool.
type SenderLimits struct {
	Sender            string
	Limit, Used, Free int
	// MPS is the sender's rate, messages a second; EffectiveMPS what is left of it
	// now, see [Gate.CutRate].
	MPS, EffectiveMPS float64
	NextFreeAt        time.Time
	// Paused is set by a policy, and by a trip until TrippedUntil.
	Paused       bool
	PausedReason string
	TrippedUntil time.Time
	RequireOptIn bool
}

// Limits reads the state of a pool and of every sender that counts in it, in
// one step. A pool that nobody has named is empty, not an error.
func (g *Gate) Limits(ctx context.Context, pool string) (PoolLimits, error) {
	if pool == "" {
		return PoolLimits{}, errors.New("limits: pool must be set")
	}
	keys := []string{poolKey(pool), poolWindowKey(pool), membersKey(pool), waitingKey(pool)}
	reply, err := g.ask(ctx, g.scripts.limits, keys, pool)
	if err != nil {
		return PoolLimits{}, err
	}
	return decodeLimits(pool, reply)
}

// Pools names every pool that a policy or a request has named, sorted.
func (g *Gate) Pools(ctx context.Context) ([]string, error) {
	pools, err := g.rdb.SMembers(ctx, keyPools).Result()
	if err != nil {
		return nil, fmt.Errorf("gate pools: %w", err)
	}
	sort.Strings(pools)
	return pools, nil
}

// Waiting reads how many jobs are marked as waiting for the pool, by priority,
// and the version to give to SetWaiting.
func (g *Gate) Waiting(ctx context.Context, pool string) (counts [3]int64, version int64, err error) {
	if pool == "" {
		return counts, 0, errors.New("waiting: pool must be set")
	}
	row, err := g.rdb.HMGet(ctx, waitingKey(pool), waitingFields...).Result()
	if err != nil {
		return counts, 0, fmt.Errorf("gate waiting: %w", err)
	}
	return decodeWaiting(row)
}

// SetWaiting replaces the counters, which a crash between a park and its
// verdict lets drift, by counts of the waiting room itself. It applies only if
// nothing was marked or unmarked since version was read: read the version,
// count, set; on false, later again.
func (g *Gate) SetWaiting(ctx context.Context, pool string, counts [3]int64, version int64) (applied bool, err error) {
	if pool == "" {
		return false, errors.New("set waiting: pool must be set")
	}
	reply, err := g.ask(ctx, g.scripts.waiting, []string{waitingKey(pool)},
		version, counts[High], counts[Normal], counts[Low], pool)
	if err != nil {
		return false, err
	}
	return decodeBool(reply)
}
