package main_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	account  = "AC00000000000000000000000000000001"
	stranger = "AC00000000000000000000000000000002"
	token    = "a token of the account"
)

// liveHouse runs `up` with credentials, as against the real provider, whose
// place a sandbox takes that makes no callbacks: the test makes them.
func liveHouse(t *testing.T) (h house, public string) {
	settings := quick(t).with("TWILIO_ACCOUNT_SID", account, "TWILIO_AUTH_TOKEN", token,
		"SLUICE_CALLBACKS_ADDR", fixedAddr(t), "SLUICE_PUBLIC_URL", "https://hooks.example.com/some/path")
	silent := startProvider(t, settings)
	silent.faults(fields{"callback_lost": 1})
	up := start(t, settings.with("SLUICE_MESSAGES_URL", silent.base), "up")
	told := up.ready()
	require.Empty(t, told.Sandbox)
	require.Contains(t, up.stderr.String(), "LIVE")
	return house{
		process: up, addresses: told, api: newSite(t, told.API), provider: silent, nats: connect(t, told.NATS),
	}, settings["SLUICE_PUBLIC_URL"]
}

// caller makes callbacks.
type caller struct {
	*site
	public, account, token string
}

// sign is the provider's signature: HMAC-SHA1 over the URL and the sorted
// fields, written here a second time so that the two can disagree.
func (c caller) sign(path string, form url.Values) string {
	mac := hmac.New(sha1.New, []byte(c.token))
	io.WriteString(mac, c.public+path)
	for _, name := range slices.Sorted(maps.Keys(form)) {
		io.WriteString(mac, name+form.Get(name))
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// call posts a form under a signature and returns the status of the answer.
func (c caller) call(path string, form url.Values, signature string) int {
	c.t.Helper()
	req, err := http.NewRequest(http.MethodPost, c.base+path, strings.NewReader(form.Encode()))
	require.NoError(c.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if signature != "" {
		req.Header.Set("X-Twilio-Signature", signature)
	}
	a, err := c.send(req)
	require.NoError(c.t, err)
	return a.status
}

func (c caller) signed(path string, form url.Values) int {
	c.t.Helper()
	return c.call(path, form, c.sign(path, form))
}

// status is the form of a status callback of a job's message.
func (c caller) status(r record, word string) url.Values {
	return url.Values{
		"AccountSid": {c.account}, "MessageSid": {r.SID}, "SmsSid": {r.SID}, "MessageStatus": {word},
		"From": {whatsapp(alpha)}, "To": {customer(1)}, "ChannelPrefix": {"whatsapp"},
	}
}

func TestStatusCallbacks(t *testing.T) {
	t.Parallel()
	h, public := liveHouse(t)
	ours := caller{newSite(t, h.Callbacks), public, account, token}
	require.Equal(t, http.StatusAccepted, h.api.post(notice("order-17", alpha, 1)).status)
	job := h.api.await("order-17", "queued")
	const path = "/twilio/status/order-17/1"

	t.Run("forgeries leave no trace", func(t *testing.T) {
		before := h.nats.logEnd()
		form := ours.status(job, "delivered")
		require.Equal(t, http.StatusForbidden, ours.call(path, form, ""))
		require.Equal(t, http.StatusForbidden, ours.call(path, form, "bm8gc2lnbmF0dXJl"))
		require.Equal(t, http.StatusForbidden, ours.call(path, form, ours.sign("/twilio/status/order-18/1", form)))
		require.Equal(t, http.StatusForbidden, caller{ours.site, public, account, "wrong"}.signed(path, form))
		require.Equal(t, http.StatusForbidden, caller{ours.site, ours.base, account, token}.signed(path, form), "signed for the address it came in on")
		theirs := caller{ours.site, public, stranger, token}
		require.Equal(t, http.StatusForbidden, theirs.signed(path, theirs.status(job, "delivered")))
		require.Equal(t, before, h.nats.logEnd())
		require.Equal(t, job, h.api.job("order-17"))
	})
	t.Run("a repetition changes nothing", func(t *testing.T) {
		require.Equal(t, http.StatusNoContent, ours.signed(path, ours.status(job, "sent")))
		sent, before := h.api.await("order-17", "sent"), h.nats.logEnd()
		for range 3 {
			require.Equal(t, http.StatusNoContent, ours.signed(path, ours.status(job, "sent")))
		}
		require.Equal(t, before, h.nats.logEnd())
		require.Equal(t, sent, h.api.job("order-17"))
	})
	t.Run("without a job in the path", func(t *testing.T) {
		require.Equal(t, http.StatusNoContent, ours.signed("/twilio/status", ours.status(job, "delivered")))
		require.Equal(t, 1, h.api.await("order-17", "delivered").Attempt)
	})
	t.Run("nothing moves backwards", func(t *testing.T) {
		require.Equal(t, http.StatusAccepted, h.api.post(notice("order-18", alpha, 2)).status)
		job := h.api.await("order-18", "queued")
		const path = "/twilio/status/order-18/1"
		require.Equal(t, http.StatusNoContent, ours.signed(path, ours.status(job, "delivered")))
		h.api.await("order-18", "delivered")
		require.Equal(t, http.StatusNoContent, ours.signed(path, ours.status(job, "sent")))
		eventually(t, func() bool { return slices.Contains(h.api.job("order-18").types(), "sent") },
			func() string { return "the late callback is not told" })
		require.Equal(t, "delivered", h.api.job("order-18").Status)
	})
	t.Run("its error is counted", func(t *testing.T) {
		require.Equal(t, http.StatusAccepted, h.api.post(notice("order-19", alpha, 3)).status)
		job := h.api.await("order-19", "queued")
		form := ours.status(job, "undelivered")
		form.Set("ErrorCode", "63024")
		for range 3 {
			require.Equal(t, http.StatusNoContent, ours.signed("/twilio/status/order-19/1", form))
		}
		h.api.await("order-19", "undelivered")
		figures := newSite(t, h.Admin).do(http.MethodGet, "/metrics", nil)
		require.Contains(t, string(figures.body), `sluice_provider_errors_total{code="63024"} 1`+"\n")
	})
	h.provider.requireOnce([]string{"order-17", "order-18", "order-19"})
}

// TestPoolsAndLimitsAgree from the first job of a sender that nobody registered.
func TestPoolsAndLimitsAgree(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t))
	require.Equal(t, http.StatusAccepted, h.api.post(notice("order-17", alpha, 1)).status)
	h.api.await("order-17", "sent", "delivered", "read")
	type pool struct {
		Pool    string
		Limit   int
		Senders []any
	}
	var limits struct{ Limits []pool }
	h.api.must(http.MethodGet, "/v1/limits", nil, &limits)
	var pools struct{ Pools []pool }
	h.api.must(http.MethodGet, "/v1/pools", nil, &pools)
	require.Len(t, limits.Limits, 1)
	require.Len(t, pools.Pools, 1)
	require.Equal(t, limits.Limits[0].Pool, pools.Pools[0].Pool)
	require.Equal(t, limits.Limits[0].Limit, pools.Pools[0].Limit)
	require.Equal(t, []any{alpha}, pools.Pools[0].Senders)
	h.api.must(http.MethodGet, "/v1/pools/"+limits.Limits[0].Pool, nil, &pool{})
}

// freeForm is a job that may go only while its customer's window is open.
func freeForm(id string) fields {
	return fields{"id": id, "from": whatsapp(alpha), "to": customer(1), "body": "On its way"}
}

// TestServiceWindow lets a customer write. Until then free form is refused.
func TestServiceWindow(t *testing.T) {
	t.Parallel()
	h, public := liveHouse(t)
	ours := caller{newSite(t, h.Callbacks), public, account, token}
	inbound := url.Values{
		"AccountSid": {account}, "MessageSid": {"SM00000000000000000000000000000001"}, "From": {customer(1)}, "To": {whatsapp(alpha)}, "Body": {"Hello"},
	}
	const path = "/twilio/inbound"
	require.Equal(t, http.StatusForbidden, ours.call(path, inbound, ""))
	require.Equal(t, http.StatusForbidden, caller{ours.site, public, account, "wrong"}.signed(path, inbound))

	require.Equal(t, http.StatusAccepted, h.api.post(freeForm("early")).status)
	early := h.api.await("early", "failed")
	require.Equal(t, "no_window", early.Reason)
	require.Equal(t, 63016, early.Error.Code)

	require.Equal(t, http.StatusOK, ours.signed(path, inbound))
	awaitWindow(h, "queued")
	require.Equal(t, 1, h.provider.accepted(), "nothing went while the window was closed")
}

// awaitWindow sends free form until it goes: the gate hears of a customer's
// message from the log, a moment after the provider was answered.
func awaitWindow(h house, good ...string) {
	h.t.Helper()
	id := "late"
	eventually(h.t, func() bool {
		id += "-again"
		require.Equal(h.t, http.StatusAccepted, h.api.post(freeForm(id)).status)
		return h.api.await(id, append(good, "failed")...).Status != "failed"
	}, func() string { return "the window does not open" })
}

// TestInboundThroughTheSandbox is the same from end to end: the sandbox's
// customer writes, its provider signs, and the answer arrives.
func TestInboundThroughTheSandbox(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t))
	events := h.nats.events()
	h.provider.must(http.MethodPost, "/sandbox/inbound", fields{"from": customer(1), "to": whatsapp(alpha), "body": "Hello"}, nil)
	in := events.await("inbound", 1)[0]
	require.Equal(t, "sluice.events."+alpha+".inbound", in.subject)
	awaitWindow(h, "delivered", "read")
}
