package main_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSenderThatIsNotOnline: what the sender cannot send waits, nothing ends
// for it, and once it is resumed all go.
func TestSenderThatIsNotOnline(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t))
	events := h.nats.events()
	h.provider.must(http.MethodPut, "/sandbox/senders/"+alpha, fields{"status": "OFFLINE"}, nil)
	ids := []string{"a", "b", "c", "d", "e"}
	for i, id := range ids {
		require.Equal(t, http.StatusAccepted, h.api.post(notice(id, alpha, i)).status)
	}
	for _, id := range ids {
		h.api.await(id, "parked")
	}
	require.Equal(t, "rests: the provider refuses this sender", events.await("sender", 1)[0].Reason)
	require.Equal(t, http.StatusAccepted, h.api.post(notice("other", beta, 9)).status)
	h.api.await("other", "delivered", "read")

	h.provider.must(http.MethodPut, "/sandbox/senders/"+alpha, fields{"status": "ONLINE"}, nil)
	h.api.must(http.MethodPut, "/v1/senders/"+alpha, fields{"mps": 80}, nil)
	h.api.must(http.MethodPost, "/v1/senders/"+alpha+"/resume", nil, nil)
	for _, id := range ids {
		h.api.await(id, "delivered", "read")
	}
	eventually(t, func() bool {
		told := events.of("sender")
		return told[len(told)-1].Reason == "sends again" || hasReason(told, "sends again")
	}, func() string { return fmt.Sprintf("%+v", events.of("sender")) })
	h.provider.requireOnce(append(ids, "other"))
}

// TestAccountThatIsRefused: all its senders rest, and after the credentials were
// corrected everything goes.
func TestAccountThatIsRefused(t *testing.T) {
	t.Parallel()
	settings := quick(t).with("SLUICE_CALLBACKS_ADDR", fixedAddr(t))
	judge := startProvider(t, settings)
	settings = settings.with("SLUICE_MESSAGES_URL", judge.base, "SLUICE_PUBLIC_URL", "http://"+settings["SLUICE_CALLBACKS_ADDR"],
		"TWILIO_ACCOUNT_SID", "AC"+strings.Repeat("1", 32), "TWILIO_AUTH_TOKEN", "invalid")
	up := start(t, settings, "up")
	told := up.ready()
	api, events := newSite(t, told.API), connect(t, told.NATS).events()
	ids := []string{"a", "b", "c", "d"}
	for i, id := range ids {
		require.Equal(t, http.StatusAccepted, api.post(notice(id, []string{alpha, beta}[i%2], i)).status)
	}
	for _, id := range ids {
		api.await(id, "parked")
	}
	require.Contains(t, events.await("sender", 1)[0].Reason, "refuses the account")
	require.Equal(t, 20003, events.await("sender", 1)[0].Error.Code)
	code, _ := up.terminate()
	require.Zero(t, code)

	api = newSite(t, start(t, settings.with("TWILIO_AUTH_TOKEN", "right"), "up").ready().API)
	for _, id := range ids {
		api.await(id, "delivered", "read")
	}
	judge.requireOnce(ids)
}
