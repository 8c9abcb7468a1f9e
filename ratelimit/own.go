package ratelimit

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Own binds a provider's message id to a job unless another job has it, and
// reports whether it is the job's. Two jobs that look for the same lost
// message can so not both take one for theirs. The bond is kept for
// Options.Retention.
func (g *Gate) Own(ctx context.Context, sid, job string) (bool, error) {
	if sid == "" || job == "" {
		return false, errors.New("gate own: sid and job must be set")
	}
	taken, err := g.rdb.SetNX(ctx, sidKey(sid), job, g.opts.Retention).Result()
	if err != nil {
		return false, fmt.Errorf("gate own: %w", err)
	}
	if taken {
		return true, nil
	}
	owner, err := g.rdb.Get(ctx, sidKey(sid)).Result()
	if errors.Is(err, redis.Nil) {
		return false, fmt.Errorf("gate own: %s has just been let go of, ask again", sid)
	}
	if err != nil {
		return false, fmt.Errorf("gate own: %w", err)
	}
	return owner == job, nil
}

// PoolsOf names the pool that each sender counts in by its policy. Senders
// without one are left out: they count where their requests say.
func (g *Gate) PoolsOf(ctx context.Context, senders []string) (map[string]string, error) {
	pipe := g.rdb.Pipeline()
	asked := make([]*redis.StringCmd, len(senders))
	for i, sender := range senders {
		asked[i] = pipe.HGet(ctx, senderKey(sender), "pool")
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("pools of senders: %w", err)
	}
	pools := map[string]string{}
	for i, sender := range senders {
		if pool := asked[i].Val(); pool != "" {
			pools[sender] = pool
		}
	}
	return pools, nil
}
