package main_test

import (
	"fmt"
	"net/http"
	"net/url"
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

// TestTheProvidersWordOnTheRate: the provider takes no more of a sender that goes
// as fast as it may. Its rate is halved on all replicas, its refused jobs wait
// again and go once the provider takes them.
func TestTheProvidersWordOnTheRate(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t).with("SLUICE_WINDOW", "1h"))
	h.api.must(http.MethodPut, "/v1/senders/"+alpha, fields{"limit": 1000, "mps": 1}, nil)
	h.provider.must(http.MethodPut, "/sandbox/senders/"+alpha, fields{"limit": 9}, nil)
	events := h.nats.events()
	var ids []string
	for i := range 12 {
		ids = append(ids, fmt.Sprint("job-", i))
		h.api.must(http.MethodPost, "/v1/jobs", notice(ids[i], alpha, i), nil)
	}
	cut := events.await("sender", 2)[1] // after the one of the policy
	require.Contains(t, cut.Reason, "rate cut to 0.5 a second")
	require.Equal(t, 63018, cut.Error.Code)
	var limits struct {
		Limits []struct {
			Senders []struct {
				MPS          float64 `json:"mps"`
				EffectiveMPS float64 `json:"effective_mps"`
			}
		}
	}
	h.api.must(http.MethodGet, "/v1/limits", nil, &limits)
	require.InDelta(t, 1, limits.Limits[0].Senders[0].MPS, 0.001)
	require.Positive(t, limits.Limits[0].Senders[0].EffectiveMPS)
	require.LessOrEqual(t, limits.Limits[0].Senders[0].EffectiveMPS, 0.6) // another refusal may have come since

	h.provider.must(http.MethodPut, "/sandbox/senders/"+alpha, fields{"limit": 1000}, nil)
	for id, r := range h.api.awaitEnd(ids) {
		require.Contains(t, []string{"delivered", "read"}, r.Status, id)
	}
	a := h.api.do(http.MethodGet, "/metrics", nil)
	require.Contains(t, string(a.body), "sluice_pool_foreign_total 0\n")
	require.Contains(t, string(a.body), `sluice_sender_mps{sender="`+alpha+`"} 0.`)
}

// TestAServicesRefusedJobComesBack: its reports name the number that the service
// chose, and not the service.
func TestAServicesRefusedJobComesBack(t *testing.T) {
	t.Parallel()
	const service = "MG00000000000000000000000000000001"
	h := startHouse(t, quick(t).with("SLUICE_WINDOW", "40s"))
	h.api.must(http.MethodPut, "/v1/senders/"+service, fields{"limit": 10}, nil)
	h.provider.must(http.MethodPut, "/sandbox/senders/"+service, fields{"limit": 0}, nil)
	job := fields{"id": "a", "messaging_service_sid": service, "to": customer(1), "content_sid": template}
	require.Equal(t, http.StatusAccepted, h.api.post(job).status)
	h.api.await("a", "parked")
	h.provider.must(http.MethodPut, "/sandbox/senders/"+service, fields{"limit": 10}, nil)
	done := h.api.await("a", "delivered", "read")
	require.Equal(t, 2, done.Attempt)
}

// unshared is `up` with a provider that never heard of what customers wrote to
// us, as if its window were shorter than ours.
func unshared(t *testing.T) (h house, settings env, customerWrites func(n int)) {
	t.Helper()
	settings = quick(t).with("SLUICE_API_ADDR", fixedAddr(t), "SLUICE_CALLBACKS_ADDR", fixedAddr(t), "SLUICE_WINDOW", "1h")
	settings["SLUICE_PUBLIC_URL"] = "http://" + settings["SLUICE_CALLBACKS_ADDR"]
	judge := startProvider(t, settings)
	settings["SLUICE_MESSAGES_URL"] = judge.base
	up := start(t, settings, "up")
	told := up.ready()
	h = house{process: up, addresses: told, api: newSite(t, told.API), provider: judge, nats: connect(t, told.NATS)}
	ours := caller{newSite(t, told.Callbacks), settings["SLUICE_PUBLIC_URL"], sandboxAccount, "sandbox"}
	wrote := 0
	return h, settings, func(n int) {
		t.Helper()
		wrote++
		const path = "/twilio/inbound"
		form := url.Values{
			"AccountSid": {sandboxAccount}, "MessageSid": {fmt.Sprintf("SM%032d", wrote)},
			"From": {customer(n)}, "To": {whatsapp(alpha)}, "Body": {"Hello"},
		}
		require.Equal(t, http.StatusOK, ours.signed(path, form))
		h.api.awaitWindow(alpha, n)
	}
}

// awaitWindow waits until the gate has heard that the n-th customer wrote.
func (s *site) awaitWindow(sender string, n int) {
	s.t.Helper()
	eventually(s.t, func() bool {
		var plan struct {
			InWindow int `json:"in_window"`
		}
		s.must(http.MethodPost, "/v1/plan", fields{"from": whatsapp(sender), "to": []string{customer(n)}}, &plan)
		return plan.InWindow == 1
	}, func() string { return "the window does not open" })
}

// TestTheProvidersWordOnTheWindow: a message that went free form is refused
// after it was taken (63016). Where its job has a template that goes, counted,
// and no end is ever seen; where it has none the job ends.
func TestTheProvidersWordOnTheWindow(t *testing.T) {
	t.Parallel()
	h, _, customerWrites := unshared(t)
	customerWrites(1)
	require.Equal(t, http.StatusAccepted, h.api.post(freeForm("alone")).status)
	alone := h.api.await("alone", "undelivered")
	require.Equal(t, 63016, alone.Error.Code)
	require.Equal(t, 1, alone.Attempt)

	require.Equal(t, http.StatusAccepted, h.api.post(freeForm("both").with("content_sid", template)).status)
	done := h.api.await("both", "delivered", "read")
	require.Equal(t, 2, done.Attempt)
	require.Contains(t, done.types(), "parked")
	require.NotContains(t, done.types(), "undelivered")
	sent := h.provider.ledger()["both"]
	require.Len(t, sent, 2)
	require.Equal(t, []any{"undelivered", false, true}, []any{sent[0].Status, sent[0].Counted, sent[1].Counted})
	require.Equal(t, sent[1].SID, done.SID)

	// What the customer writes later opens the window again.
	customerWrites(1)
	require.Equal(t, http.StatusAccepted, h.api.post(freeForm("later")).status)
	require.Equal(t, 63016, h.api.await("later", "undelivered").Error.Code, "it went free form")
}

// TestAShutWindowSurvivesKill: `up` dies when the provider's word has come, and
// the template goes once all the same.
func TestAShutWindowSurvivesKill(t *testing.T) {
	t.Parallel()
	h, settings, customerWrites := unshared(t)
	var ids []string
	for n := range 8 {
		customerWrites(n)
		ids = append(ids, string(rune('a'+n)))
	}
	// All are refused at about the same time, long after the last of them went; the
	// pause leaves some of them in the waiting room when the process dies.
	h.provider.faults(fields{"callback_delay": "3s"})
	for n, id := range ids {
		require.Equal(t, http.StatusAccepted, h.api.post(notice(id, alpha, n).with("body", "hello")).status)
	}
	eventually(t, func() bool { return h.provider.accepted() == len(ids) }, func() string { return "not all went" })
	h.api.must(http.MethodPost, "/v1/pause", nil, nil)
	h.api.await(ids[0], "parked")
	h.kill()
	up := start(t, settings, "up")
	up.ready()
	h.api.must(http.MethodPost, "/v1/resume", nil, nil)
	for id, r := range h.api.awaitEnd(ids) {
		require.Contains(t, []string{"delivered", "read"}, r.Status, id)
		require.NotContains(t, r.types(), "undelivered", id)
		// The refill opened the windows once more, so the provider may have said
		// it again. One message arrives, and all before it were refused.
		sent := h.provider.ledger()[id]
		require.GreaterOrEqual(t, len(sent), 2, id)
		for _, m := range sent[:len(sent)-1] {
			require.Equal(t, "undelivered", m.Status, id)
		}
		require.Equal(t, sent[len(sent)-1].SID, r.SID, id)
	}
}
