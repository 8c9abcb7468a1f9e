package main_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheProvidersWordBeatsOurCount: the provider has room for one customer
// where we think there is room for ten, as if somebody else used the portfolio.
// The second job waits again, is never seen to have ended, and goes once there
// is room.
func TestTheProvidersWordBeatsOurCount(t *testing.T) {
	t.Parallel()
	settings := quick(t).with("SLUICE_WINDOW", "40s")
	h := startHouse(t, settings)
	sender := "/v1/senders/" + alpha
	h.api.must(http.MethodPut, sender, fields{"limit": 10}, nil)
	h.provider.must(http.MethodPut, "/sandbox/senders/"+alpha, fields{"limit": 1}, nil)
	for i, id := range []string{"first", "second"} {
		h.api.must(http.MethodPost, "/v1/jobs", notice(id, alpha, i), nil)
		if i == 0 {
			h.api.await(id, "delivered", "read")
		}
	}
	parked := h.api.await("second", "parked")
	require.Equal(t, 2, parked.Attempt)

	h.provider.must(http.MethodPut, "/sandbox/senders/"+alpha, fields{"limit": 10}, nil)
	done := h.api.await("second", "delivered", "read")
	require.Equal(t, 2, done.Attempt)
	require.NotContains(t, done.types(), "undelivered")
	require.NotContains(t, done.types(), "failed")
	a := h.api.do(http.MethodGet, "/metrics", nil)
	require.Contains(t, string(a.body), "sluice_pool_foreign_total 1\n")
}
