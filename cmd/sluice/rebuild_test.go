package main_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/redistest"
)

// TestRebuild empties Redis by hand, with jobs in every state, and finds
// everything as it was: states, ids, opt-outs, policies, places.
func TestRebuild(t *testing.T) {
	t.Parallel()
	lookRedis(t)
	t.Run("one server", func(t *testing.T) {
		t.Parallel()
		addr := fixedAddr(t)
		startRedis(t, addr)
		rebuild(t, "redis://"+addr, redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1}))
	})
	t.Run("cluster", func(t *testing.T) {
		t.Parallel()
		cluster, err := redistest.StartCluster()
		require.NoError(t, err)
		t.Cleanup(cluster.Stop)
		rebuild(t, "redis+cluster://"+strings.Join(cluster.Addresses(), ","), cluster.Client())
	})
}

func rebuild(t *testing.T, redisURL string, client redis.UniversalClient) {
	defer client.Close()
	settings := quick(t).with("SLUICE_NATS_URL", startNATS(t), "SLUICE_REDIS_URL", redisURL, "SLUICE_WINDOW", "1h")
	h := startHouse(t, settings)
	h.api.must(http.MethodPut, "/v1/senders/"+alpha, fields{"limit": 2}, nil)
	h.api.must(http.MethodPut, "/v1/consents/whatsapp%3A%2B15552000009", fields{"state": "out"}, nil)
	require.Equal(t, http.StatusAccepted, h.api.post(notice("out", alpha, 9)).status)
	h.api.await("out", "suppressed")
	for i, id := range []string{"a", "b"} {
		h.api.post(notice(id, alpha, i))
		h.api.await(id, "delivered", "read")
	}
	h.api.post(notice("waits", alpha, 3))
	h.api.await("waits", "parked")

	requireComplaint(t, run(t, settings, "rebuild"), 2, "--yes")
	rebuilt := run(t, settings, "rebuild", "--yes")
	require.Zero(t, rebuilt.code, rebuilt.stderr)
	require.Contains(t, rebuilt.stderr, "refilled and open")

	require.NotZero(t, client.Exists(t.Context(), "{sluice}:pos").Val())
	require.Contains(t, []string{"delivered", "read"}, h.api.job("a").Status)
	require.Equal(t, "parked", h.api.job("waits").Status)
	for id, n := range map[string]int{"a": 8, "waits": 8} {
		require.Equal(t, http.StatusConflict, h.api.post(notice(id, alpha, n)).status, "the id of %s is taken", id)
	}
	h.api.post(notice("out-again", alpha, 9))
	h.api.await("out-again", "suppressed")
	h.api.post(notice("more", alpha, 10))
	h.api.await("more", "parked")
	h.api.must(http.MethodPut, "/v1/senders/"+alpha, fields{"limit": 10}, nil)
	for _, id := range []string{"waits", "more"} {
		h.api.await(id, "delivered", "read")
	}
	h.provider.requireOnce([]string{"a", "b", "waits", "more"})
	requireComplaint(t, run(t, quick(t), "rebuild", "--yes"), 1, "sluice up")
}
