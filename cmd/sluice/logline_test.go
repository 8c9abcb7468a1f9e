package main_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// attemptLine is the line that the log has of one attempt.
type attemptLine struct {
	Msg, Job, Sender, To, Settlement, Event, Reason, SID string
	Attempt, Code                                        int
	Took                                                 float64
}

// attemptLines are those of a job that tell of an event, in order.
func (p *process) attemptLines(job string) (found []attemptLine) {
	p.t.Helper()
	for _, line := range lines(p.stderr.String()) {
		var l attemptLine
		if json.Unmarshal([]byte(line), &l) == nil && l.Msg == "delivery handled" && l.Job == job && l.Event != "" {
			found = append(found, l)
		}
	}
	return found
}

// TestOneLogLineForEachAttempt says all of it that somebody would look for.
func TestOneLogLineForEachAttempt(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t).with("SLUICE_LOG_FORMAT", "json", "SLUICE_LOG_LEVEL", "info", "SLUICE_WINDOW", "1h", "SLUICE_DEFAULT_LIMIT", "1"))
	h.api.post(notice("goes", alpha, 1))
	sent := h.api.await("goes", "delivered", "read")
	h.api.post(notice("waits", alpha, 2))
	h.api.await("waits", "parked")
	h.api.post(fields{"id": "chat", "from": whatsapp(alpha), "to": customer(3), "body": "Hi there"})
	h.api.await("chat", "failed")
	h.api.must(http.MethodPost, "/v1/jobs/chat/redrive", nil, nil)
	eventually(t, func() bool { r := h.api.job("chat"); return r.Attempt == 2 && r.Status == "failed" }, func() string { return "it is not tried again" })
	code, _ := h.terminate()
	require.Zero(t, code)

	goes := h.attemptLines("goes")
	require.Len(t, goes, 1)
	require.Positive(t, goes[0].Took)
	goes[0].Took, goes[0].Msg = 0, ""
	require.Equal(t, attemptLine{Job: "goes", Sender: alpha, To: "+15…01", Settlement: "ack", Event: "queued", SID: sent.SID, Attempt: 1}, goes[0])

	waits := h.attemptLines("waits")
	require.Len(t, waits, 1)
	require.Equal(t, []any{"parked", "park", 1}, []any{waits[0].Event, waits[0].Settlement, waits[0].Attempt})
	require.NotEmpty(t, waits[0].Reason)

	chat := h.attemptLines("chat")
	require.Len(t, chat, 2)
	for i, line := range chat {
		require.Equal(t, []any{i + 1, "failed", 63016}, []any{line.Attempt, line.Event, line.Code})
	}
}
