package main_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// in is a time from now on, as a job writes it.
func in(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339Nano) }

// TestExpiry: a job that cannot go in time ends, wherever it is.
func TestExpiry(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t).with("SLUICE_WINDOW", "1h"))
	h.api.must(http.MethodPut, "/v1/senders/"+alpha, fields{"limit": 0, "pool": "east"}, nil)
	h.provider.faults(fields{"too_many": 1})
	for stage, job := range map[string]fields{
		"parked":    notice("parked", alpha, 1).with("expires_at", in(6*time.Second)),
		"scheduled": notice("scheduled", beta, 2).with("expires_at", in(10*time.Second)), // between two attempts
		"accepted":  notice("accepted", beta, 3).with("expires_at", in(-time.Second)),    // still on the queue
	} {
		require.Equal(t, http.StatusAccepted, h.api.post(job).status)
		if stage != "accepted" {
			h.api.await(stage, stage, "expired")
		}
	}
	for _, stage := range []string{"parked", "scheduled", "accepted"} {
		job := h.api.await(stage, "expired")
		require.Contains(t, job.types(), stage)
	}
	h.provider.faults(fields{})
	require.Equal(t, http.StatusAccepted, h.api.post(notice("afterwards", beta, 4)).status)
	h.api.await("afterwards", "delivered", "read")
	h.provider.requireOnce([]string{"afterwards"})
}

// TestACanceledJobLeavesTheRoom: behind a limit that is used up for a day, it
// would be counted among those that wait until then.
func TestACanceledJobLeavesTheRoom(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t).with("SLUICE_DEFAULT_LIMIT", "1", "SLUICE_WINDOW", "24h"))
	require.Equal(t, http.StatusAccepted, h.api.post(notice("first", alpha, 1)).status)
	h.api.await("first", "delivered", "read")
	for i, id := range []string{"stays", "goes"} {
		require.Equal(t, http.StatusAccepted, h.api.post(notice(id, alpha, 2+i)).status)
		h.api.await(id, "parked")
	}
	h.api.must(http.MethodPost, "/v1/jobs/goes/cancel", nil, nil)
	var info *jetstream.StreamInfo
	eventually(t, func() bool {
		room, err := h.nats.js.Stream(t.Context(), "SLUICE_WAIT")
		require.NoError(t, err)
		info, err = room.Info(t.Context())
		require.NoError(t, err)
		return info.State.Msgs == 1
	}, func() string { return fmt.Sprintf("%+v", info.State) })
	goes := h.api.job("goes")
	require.Equal(t, "canceled", goes.Status)
	require.NotContains(t, goes.types(), "released", "nothing happens to it after its end")
	require.Equal(t, "parked", h.api.job("stays").Status)
}

// TestSendAt: a job goes at its time and not before.
func TestSendAt(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t))
	at := time.Now().Add(6 * time.Second)
	require.Equal(t, http.StatusAccepted, h.api.post(notice("later", alpha, 1).with("send_at", at.UTC().Format(time.RFC3339Nano))).status)
	require.Contains(t, h.api.await("later", "scheduled", "delivered", "read").types(), "scheduled")
	h.api.awaitScheduled(1)
	h.api.await("later", "delivered", "read")
	h.api.awaitScheduled(0)
	require.False(t, h.provider.ledger()["later"][0].AcceptedAt.Before(at.Truncate(time.Millisecond)))
}

// TestNothingComesAfterAnEndThatIsForgotten: what was to come for a job later is
// longer in coming than its end is kept.
func TestNothingComesAfterAnEndThatIsForgotten(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t).with("SLUICE_RETENTION", "1s", "SLUICE_WINDOW", "1s"))
	at := in(20 * time.Second)
	h.api.must(http.MethodPut, "/v1/senders/"+alpha, fields{"limit": 0, "pool": "east"}, nil)
	require.Equal(t, http.StatusAccepted, h.api.post(notice("expiring", alpha, 1).with("expires_at", at)).status)
	require.Equal(t, http.StatusAccepted, h.api.post(notice("canceled", beta, 2).with("send_at", at)).status)
	require.Equal(t, http.StatusAccepted, h.api.post(notice("last", beta, 3).with("send_at", at)).status)
	h.api.await("expiring", "parked")
	h.api.await("canceled", "scheduled")

	h.api.must(http.MethodPut, "/v1/senders/"+alpha, fields{"limit": 10}, nil)
	require.Equal(t, http.StatusOK, h.api.do(http.MethodPost, "/v1/jobs/canceled/cancel", nil).status)
	for _, id := range []string{"expiring", "canceled"} {
		eventually(t, func() bool { return h.api.do(http.MethodGet, "/v1/jobs/"+id, nil).status == http.StatusNotFound }, func() string { return id })
	}
	again := h.api.post(notice("canceled", beta, 2).with("send_at", at))
	require.Contains(t, string(again.body), `"status":"canceled"`, "as long as it was to be sent")
	h.api.await("last", "delivered", "read")
	ledger := h.provider.ledger()
	require.Len(t, ledger["expiring"], 1)
	require.Empty(t, ledger["canceled"])
	for _, id := range []string{"expiring", "canceled"} {
		require.Equal(t, http.StatusNotFound, h.api.do(http.MethodGet, "/v1/jobs/"+id, nil).status, id)
	}
}

// TestCancelAtEveryStage: 200 as long as no attempt has begun, 409 from then on.
func TestCancelAtEveryStage(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t).with("SLUICE_WINDOW", "1h", "SLUICE_SEND_TIMEOUT", "3s", "SLUICE_ACK_WAIT", "5s", "SLUICE_DRAIN_TIMEOUT", "3s",
		"SLUICE_UNKNOWN_GRACE", "5s"))
	cancel := func(id string) int {
		return h.api.do(http.MethodPost, "/v1/jobs/"+id+"/cancel", nil).status
	}
	h.api.must(http.MethodPut, "/v1/senders/"+alpha, fields{"limit": 0, "pool": "east"}, nil)
	require.Equal(t, http.StatusAccepted, h.api.post(notice("parked", alpha, 1)).status)
	require.Equal(t, http.StatusAccepted, h.api.post(notice("scheduled", beta, 2).with("send_at", in(time.Hour))).status)
	h.api.awaitScheduled(1)
	for _, stage := range []string{"parked", "scheduled"} {
		h.api.await(stage, stage)
		require.Equal(t, http.StatusOK, cancel(stage), stage)
		require.Equal(t, "canceled", h.api.job(stage).Status, "read at once")
		require.Equal(t, http.StatusOK, cancel(stage), "again")
	}
	h.api.awaitScheduled(0)                                                    // nothing waits for an hour to come
	h.api.must(http.MethodPut, "/v1/senders/"+alpha, fields{"limit": 10}, nil) // the canceled one stays

	require.Equal(t, http.StatusAccepted, h.api.post(notice("delivered", beta, 5)).status)
	h.api.await("delivered", "delivered", "read")
	require.Equal(t, http.StatusConflict, cancel("delivered"))

	// Without callbacks nothing is known of the message until the answer comes.
	h.provider.faults(fields{"latency": "2s", "callback_lost": 1})
	require.Equal(t, http.StatusAccepted, h.api.post(notice("sending", beta, 3)).status)
	h.api.await("sending", "sending")
	require.Equal(t, http.StatusConflict, cancel("sending"))
	h.api.await("sending", "queued")
	require.Equal(t, http.StatusConflict, cancel("sending"), "queued")

	// A job in doubt is held when nobody finds evidence, and a person ends it.
	h.provider.faults(fields{"reset": 1})
	require.Equal(t, http.StatusAccepted, h.api.post(notice("held", beta, 4).with("on_unknown", "hold")).status)
	h.api.await("held", "unknown")
	require.Equal(t, http.StatusConflict, cancel("held"), "in doubt")
	h.api.await("held", "held")
	require.Equal(t, http.StatusOK, cancel("held"))
	h.provider.requireOnce([]string{"delivered", "sending"})
}

// TestStopAndStart: what a customer writes binds, at once and until taken back.
func TestStopAndStart(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t))
	says := func(word string) {
		h.provider.must(http.MethodPost, "/sandbox/inbound", fields{"from": customer(1), "to": whatsapp(alpha), "body": word}, nil)
	}
	try := func(id string, want ...string) record {
		require.Equal(t, http.StatusAccepted, h.api.post(notice(id, alpha, 1)).status)
		return h.api.await(id, want...)
	}
	var consents struct{ Consents []struct{ State string } }
	awaitConsent := func(state string) {
		eventually(t, func() bool {
			h.api.must(http.MethodGet, "/v1/consents/whatsapp%3A%2B"+customer(1)[len("whatsapp:+"):], nil, &consents)
			return len(consents.Consents) == 1 && consents.Consents[0].State == state
		}, func() string { return fmt.Sprintf("%+v", consents) })
	}
	try("before", "delivered", "read")
	says(" Stop ")
	awaitConsent("out")
	require.Equal(t, "opted_out", try("between", "suppressed").Reason)
	says("START")
	awaitConsent("in")
	try("after", "delivered", "read")
	h.provider.requireOnce([]string{"before", "after"})
}

// TestPriorities: who waits is let out by priority, then by age.
func TestPriorities(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t))
	h.api.must(http.MethodPut, "/v1/senders/"+alpha, fields{"mps": 10}, nil)
	h.api.must(http.MethodPost, "/v1/senders/"+alpha+"/pause", nil, nil)
	var want []string
	for i, priority := range []string{"low", "normal", "high"} {
		for j := range 3 {
			id := fmt.Sprintf("%s-%d", priority, j)
			require.Equal(t, http.StatusAccepted, h.api.post(notice(id, alpha, 3*i+j).with("priority", priority)).status)
			h.api.await(id, "parked")
		}
	}
	for _, priority := range []string{"high", "normal", "low"} {
		for j := range 3 {
			want = append(want, fmt.Sprintf("%s-%d", priority, j))
		}
	}
	h.api.must(http.MethodPost, "/v1/senders/"+alpha+"/resume", nil, nil)
	released := map[string]time.Time{} // when they arrive is the machine's doing
	for id, done := range h.api.awaitEnd(want) {
		first := slices.IndexFunc(done.Timeline, func(e event) bool { return e.Type == "released" })
		require.GreaterOrEqual(t, first, 0, id)
		released[id] = done.Timeline[first].At
	}
	order := slices.Clone(want)
	slices.SortStableFunc(order, func(a, b string) int { return released[a].Compare(released[b]) })
	// A look at the room that was under way as the sender went on may have passed
	// the urgent ones already, so that a few of the others come first.
	at := func(priority string, j int) int { return slices.Index(order, fmt.Sprintf("%s-%d", priority, j)) }
	for _, priority := range []string{"high", "normal", "low"} {
		require.Less(t, at(priority, 0), at(priority, 1), "%v", order)
		require.Less(t, at(priority, 1), at(priority, 2), "%v", order)
	}
	require.Less(t, at("high", 2), at("normal", 2), "%v", order)
	require.Less(t, at("normal", 2), at("low", 2), "%v", order)
	h.provider.requireOnce(want)
}

// TestRetention: what has ended is forgotten in time, in the state, in the gate
// and in the log, and nothing else is.
func TestRetention(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t).with("SLUICE_RETENTION", "2s", "SLUICE_WINDOW", "1s", "SLUICE_SERVICE_WINDOW", "1s"))
	h.api.must(http.MethodPut, "/v1/senders/"+beta, fields{"limit": 0, "pool": "west"}, nil)
	require.Equal(t, http.StatusAccepted, h.api.post(notice("goes", alpha, 1)).status)
	h.api.await("goes", "delivered", "read")
	require.Equal(t, http.StatusAccepted, h.api.post(notice("waits", beta, 2)).status)
	h.api.await("waits", "parked")

	eventually(t, func() bool { return h.api.job("goes").Status == "" }, func() string { return "the delivered job is kept" })
	require.Equal(t, "parked", h.api.job("waits").Status)
	// Its id is free again, for other content too.
	eventually(t, func() bool { return h.api.post(notice("goes", alpha, 3)).status == http.StatusAccepted },
		func() string { return "the id is still taken" })
	h.api.await("goes", "delivered", "read")

	// Of a message that nothing more is told of, the last news counts.
	h.provider.faults(fields{"callback_lost": 1})
	require.Equal(t, http.StatusAccepted, h.api.post(notice("silent", alpha, 4)).status)
	h.api.await("silent", "queued", "sent")

	require.Equal(t, http.StatusOK, h.api.do(http.MethodPost, "/v1/jobs/waits/cancel", nil).status)
	eventually(t, func() bool {
		return h.api.job("waits").Status == "" && h.api.job("silent").Status == "" && h.nats.logLength() <= 1
	},
		func() string { return fmt.Sprintf("the log still holds %d entries", h.nats.logLength()) })
}

// TestAFullDiskRefuses: jobs are refused before the engine itself has no room
// for the events of those under way.
func TestAFullDiskRefuses(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t).with("SLUICE_DISK_RESERVE", "1000000000000000000"))
	var a answer
	eventually(t, func() bool {
		a = h.api.post(notice("order-17", alpha, 1))
		return a.status == http.StatusServiceUnavailable || a.status == http.StatusTooManyRequests
	}, func() string { return fmt.Sprintf("%d %s", a.status, a.body) })
	_, err := h.nats.try(subject("normal", alpha), notice("order-18", alpha, 2).json(), "")
	require.Error(t, err)
}
