package ratelimit_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/ratelimit"
)

// watched is a primary with one replica and a sentinel that watches them.
type watched struct {
	primary, replica *server
	client           *redis.Client
}

func startWatched(t *testing.T) *watched {
	t.Helper()
	w := &watched{}
	start := func(args ...string) *server {
		s, err := launchTCP(t.TempDir(), args...)
		require.NoError(t, err)
		t.Cleanup(s.kill)
		return s
	}
	w.primary = start()
	host, port, err := net.SplitHostPort(w.primary.address)
	require.NoError(t, err)
	w.replica = start("--replicaof", host+" "+port, "--repl-diskless-sync-delay", "0")

	// A sentinel rewrites its file, and takes its rules from nowhere else.
	file := filepath.Join(t.TempDir(), "sentinel.conf")
	rules := fmt.Sprintf("sentinel monitor gate %s %s 1\nsentinel down-after-milliseconds gate 300\n"+
		"sentinel failover-timeout gate 2000\n", host, port)
	require.NoError(t, os.WriteFile(file, []byte(rules), 0o600))
	sentinel := start(file, "--sentinel")
	w.client = redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName: "gate", SentinelAddrs: []string{sentinel.address}, MaxRetries: -1, ContextTimeoutEnabled: true,
	})
	t.Cleanup(func() { _ = w.client.Close() })
	watcher := redis.NewSentinelClient(&redis.Options{Addr: sentinel.address})
	defer watcher.Close()
	require.NoError(t, until(func() bool {
		replicas, err := watcher.Replicas(context.Background(), "gate").Result()
		return err == nil && len(replicas) == 1 && replicas[0]["master-link-status"] == "ok"
	}))
	return w
}

// A failover closes the gate, whatever the new primary has or has not; refilled
// from the log, it opens and no limit is exceeded.
func TestFailoverClosesTheGateUntilItIsRefilled(t *testing.T) {
	t.Parallel()
	if shared == nil {
		t.Skip("needs redis-server")
	}
	w := startWatched(t)
	ctx := t.Context()
	b := newBenchOn(t, w.client, redis.NewClient(&redis.Options{Addr: w.replica.address}), ratelimit.Options{DefaultLimit: 5}, true)
	var log []ratelimit.Change
	sends := func(i int) {
		r := job(fmt.Sprint("job", i), sender, customer(i))
		v := b.goes(t, r)
		log = append(log, intent(r, v.At, true))
	}
	for i := range 3 {
		sends(i)
	}
	require.NoError(t, b.Apply(ctx, 0, 2, log[:2]))
	require.NoError(t, w.client.Wait(ctx, 1, 0).Err())
	for i := 3; i < 5; i++ {
		sends(i) // these may never reach the replica
	}
	w.primary.kill()

	fresh := job("fresh", sender, "+fresh")
	require.NoError(t, until(func() bool {
		v, err := b.Admit(ctx, fresh)
		require.False(t, err == nil && v.Outcome != ratelimit.OutcomeClosed, "%+v", v)
		return err == nil
	}))
	current, opened, err := b.Epoch(ctx)
	require.NoError(t, err)
	require.NotEqual(t, current, opened)

	position, err := b.Position(ctx)
	require.NoError(t, err)
	require.Equal(t, uint64(2), position)
	require.NoError(t, b.Apply(ctx, position, uint64(len(log)), log[position:]))
	require.NoError(t, b.Gate.Open(ctx, current))
	require.Equal(t, 5, b.used(t))
	b.parks(t, fresh, ratelimit.ReasonSenderLimit)
	for i := range 5 {
		late := job(fmt.Sprint("job", i), sender, customer(i))
		late.Token = "the redelivery"
		require.Equal(t, ratelimit.OutcomePrior, b.admit(t, late).Outcome)
	}
}
