package main_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLostAnswers takes away the provider's answers and its callbacks, so that
// its list is the only evidence left of a message.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t))
	h.provider.faults(fields{"drop_response": 1, "callback_lost": 1})
	ids := []string{"order-17", "order-18", "order-19"}
	for i, id := range ids {
		require.Equal(t, http.StatusAccepted, h.api.post(notice(id, alpha, i)).status)
	}
	for _, id := range ids {
		h.api.await(id, "unknown", "queued")
	}
	for _, id := range ids {
		found := h.api.await(id, "queued")
		require.Equal(t, 1, found.Attempt)
		require.True(t, slices.Contains(found.types(), "unknown"))
		require.Equal(t, h.provider.ledger()[id][0].SID, found.SID)
	}
	h.provider.requireOnce(ids)
}

// TestLostCallbacks takes away the callbacks alone: the provider is asked what
// became of its messages.
func TestLostCallbacks(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t).with("SLUICE_STALE_AFTER", "1s"))
	h.provider.faults(fields{"callback_lost": 1})
	require.Equal(t, http.StatusAccepted, h.api.post(notice("order-20", alpha, 1)).status)
	found := h.api.await("order-20", "delivered", "read")
	require.Equal(t, h.provider.ledger()["order-20"][0].SID, found.SID)
}

// TestAnUnclearJobOutlivesItsQueue: the message that would have come back for it
// is gone, as after streams were restored from backups of different times.
func TestAnUnclearJobOutlivesItsQueue(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t).with("SLUICE_STALE_AFTER", "1s", "SLUICE_UNKNOWN_GRACE", "6s"))
	h.provider.faults(fields{"drop_response": 1, "callback_lost": 1})
	require.Equal(t, http.StatusAccepted, h.api.post(notice("order-21", alpha, 1)).status)
	h.api.await("order-21", "unknown")
	h.provider.faults(fields{})
	for _, name := range []string{"SLUICE_JOBS", "SLUICE_WAIT"} {
		stream, err := h.nats.js.Stream(t.Context(), name)
		require.NoError(t, err)
		require.NoError(t, stream.Purge(t.Context()))
	}
	found := h.api.await("order-21", "queued", "sent", "delivered", "read")
	require.Equal(t, 1, found.Attempt)
	h.provider.requireOnce([]string{"order-21"})
}
