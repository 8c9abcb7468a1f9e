package main_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRedrive sends jobs again that ended without ever having been sent, that
// the provider failed, and that were held, by the API and by the command.
func TestRedrive(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t))
	shell := env{"SLUICE_API_URL": h.API}

	// Free form outside the window never had an intent, yet its text is kept.
	hello := fields{"id": "hello", "from": whatsapp(alpha), "to": customer(1), "body": "Hello"}
	require.Equal(t, http.StatusAccepted, h.api.post(hello).status)
	require.Equal(t, 63016, h.api.await("hello", "failed").Error.Code)
	h.provider.must(http.MethodPost, "/sandbox/inbound", fields{"from": customer(1), "to": whatsapp(alpha), "body": "hi"}, nil)
	eventually(t, func() bool {
		a := h.api.do(http.MethodPost, "/v1/jobs/hello/redrive", nil)
		return a.status == http.StatusOK && h.api.await("hello", "delivered", "read", "failed").Status != "failed"
	}, func() string { return "the job stays failed" })
	sent := h.api.job("hello")
	require.GreaterOrEqual(t, sent.Attempt, 2)
	require.Contains(t, sent.types(), "redriven")
	require.Equal(t, http.StatusConflict, h.api.do(http.MethodPost, "/v1/jobs/hello/redrive", nil).status)
	require.Equal(t, http.StatusNotFound, h.api.do(http.MethodPost, "/v1/jobs/nobody/redrive", nil).status)

	// A connection that breaks before the message is taken looks like a lost
	// answer. Without evidence the jobs are held for a person.
	h.provider.faults(fields{"reset": 1})
	held := []string{"held-1", "held-2", "held-3"}
	for i, id := range held {
		require.Equal(t, http.StatusAccepted, h.api.post(notice(id, alpha, 10+i).with("on_unknown", "hold")).status)
	}
	for _, id := range held {
		require.Equal(t, "no evidence of the message", h.api.await(id, "held").Reason)
	}
	h.provider.faults(fields{})
	requireComplaint(t, run(t, shell, "jobs", "redrive"), 2, "--status")
	refused := run(t, shell, "jobs", "redrive", "hello", "held-1")
	require.Equal(t, 1, refused.code)
	require.Contains(t, refused.stdout, "hello refused: the job is ")
	require.Contains(t, refused.stdout, "1 redriven, 1 refused")

	require.Equal(t, http.StatusOK, h.api.do(http.MethodPost, "/v1/jobs/held-2/cancel", nil).status)
	many := run(t, shell, "jobs", "redrive", "--status", "held", "--json")
	require.Zero(t, many.code, many.stderr)
	var told struct{ Redriven, Refused int }
	require.NoError(t, json.Unmarshal([]byte(many.stdout), &told))
	require.Equal(t, 1, told.Redriven, "one was redriven by name, and one canceled")
	for _, id := range []string{"held-1", "held-3"} {
		require.Equal(t, 2, h.api.await(id, "delivered", "read").Attempt)
	}
	require.Equal(t, "canceled", h.api.job("held-2").Status)
	h.provider.requireOnce([]string{"hello", "held-1", "held-3"})
}
