package main_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/redistest"
)

// TestSentinelFailover kills the Redis primary under a running `up` after it was
// parted from its replica, so that grants and windows are lost with it. The
// Sentinel promotes the replica, the gate is refilled from the log, and the
// provider's ledger judges.
func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	lookRedis(t)
	w, err := redistest.StartWatched(2500)
	require.NoError(t, err)
	t.Cleanup(w.Stop)
	h := startHouse(t, quick(t).with(
		"SLUICE_REDIS_URL", "redis+sentinel://"+w.Sentinel.Address+"/"+redistest.MasterName, "SLUICE_WINDOW", "1h"))
	h.provider.must(http.MethodPut, "/sandbox/senders/"+alpha, fields{"limit": alphaLimit}, nil)
	h.provider.must(http.MethodPut, "/sandbox/senders/"+beta, fields{"limit": 1000}, nil)
	h.api.must(http.MethodPut, "/v1/senders/"+alpha, fields{"limit": alphaLimit, "mps": 1000}, nil)
	h.api.must(http.MethodPut, "/v1/senders/"+beta, fields{"limit": 1000}, nil)

	jobs, ids := campaign(400)
	publishing := publishAll(t, h.nats, h.api, jobs)
	reached := func(n int) {
		eventually(t, func() bool { return h.provider.accepted() >= n },
			func() string { return fmt.Sprintf("%d of %d messages", h.provider.accepted(), n) })
	}
	reached(50)
	w.CutOff(t)
	reached(100)
	w.Primary.Kill()
	require.NoError(t, publishing.Wait())

	// Alpha's limit is met and its other jobs wait. Raised, they go too.
	waiting := -alphaLimit
	for _, job := range jobs {
		if job["from"] == whatsapp(alpha) {
			waiting++
		}
	}
	require.Positive(t, waiting)
	var backlog struct{ Parked int }
	eventually(t, func() bool {
		h.api.must(http.MethodGet, "/v1/backlog", nil, &backlog)
		return h.provider.accepted() == len(ids)-waiting && backlog.Parked == waiting
	}, func() string {
		return fmt.Sprintf("%d sent, %d of %d parked", h.provider.accepted(), backlog.Parked, waiting)
	})
	require.LessOrEqual(t, h.provider.busiest(alpha, time.Hour), alphaLimit)
	h.provider.must(http.MethodPut, "/sandbox/senders/"+alpha, fields{"limit": 1000}, nil)
	h.api.must(http.MethodPut, "/v1/senders/"+alpha, fields{"limit": 1000}, nil)
	for id, r := range h.api.awaitEnd(ids) {
		require.Contains(t, []string{"delivered", "read"}, r.Status, id)
	}
	h.provider.requireOnce(ids)
}
