package embedded_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/embedded"
)

func startRedis(t *testing.T, cfg embedded.RedisConfig) *embedded.Redis {
	t.Helper()
	srv, err := embedded.StartRedis(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, srv.Close()) })
	return srv
}

func TestRedisRunsScripts(t *testing.T) {
	t.Parallel()
	client := startRedis(t, embedded.RedisConfig{}).Client()
	got, err := redis.NewScript(`return redis.call('INCRBY', KEYS[1], ARGV[1])`).
		Run(t.Context(), client, []string{"k"}, 3).Int()
	require.NoError(t, err)
	require.Equal(t, 3, got)
}

func TestRedisFollowsTheClock(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 31, 9, 0, 0, 0, time.UTC)
	client := startRedis(t, embedded.RedisConfig{Now: func() time.Time { return now }}).Client()
	ctx := t.Context()
	require.NoError(t, client.Set(ctx, "k", 1, time.Minute).Err())

	for _, step := range []struct {
		by    time.Duration
		there int64
	}{{59 * time.Second, 1}, {2 * time.Second, 0}} {
		now = now.Add(step.by)
		told, err := client.Time(ctx).Result()
		require.NoError(t, err)
		require.True(t, now.Equal(told), "%s, not %s", told, now)
		there, err := client.Exists(ctx, "k").Result()
		require.NoError(t, err)
		require.Equal(t, step.there, there)
	}
	now = now.Add(time.Hour)
	cmds, err := client.Pipelined(ctx, func(p redis.Pipeliner) error { p.Time(ctx); return nil })
	require.NoError(t, err)
	require.True(t, now.Equal(cmds[0].(*redis.TimeCmd).Val()))
}

func TestRedisHasAnEpochPerLife(t *testing.T) {
	t.Parallel()
	a, b := startRedis(t, embedded.RedisConfig{}), startRedis(t, embedded.RedisConfig{})
	require.Len(t, a.Epoch(), 32)
	require.Equal(t, a.Epoch(), a.Epoch())
	require.NotEqual(t, a.Epoch(), b.Epoch())
}

func TestRedisClientNeitherRepeatsNorOutlivesItsContext(t *testing.T) {
	t.Parallel()
	client := startRedis(t, embedded.RedisConfig{}).Client().(*redis.Client)
	require.Zero(t, client.Options().MaxRetries) // -1, as the client stores it

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	start := time.Now()
	require.Error(t, client.BLPop(ctx, 0, "never").Err())
	require.Less(t, time.Since(start), 2*time.Second)
}
