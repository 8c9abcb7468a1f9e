package sandbox_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/sandbox"
)

// oneByOne posts callbacks in the order in which they are due: a worker takes
// the next one only when the last one has been answered.
const oneByOne = 1

func TestCallbacks(t *testing.T) {
	t.Parallel()
	e := listen(t, nil)
	r := start(t, sandbox.Config{ReadShare: 1, Workers: oneByOne})
	callback := e.url + "/status/job-1/1?x=a%20b"
	sid := r.sent("StatusCallback=" + callback + "#rc=5&rp=all")
	require.Equal(t, callback+"#rc=5&rp=all", r.box.Ledger()[0].StatusCallback)

	for i, want := range []struct{ status, event string }{{"sent", ""}, {"delivered", "DELIVERED"}, {"read", "READ"}} {
		h := e.next(t)
		require.Equal(t, callback, h.url, "without the fragment")
		require.Equal(t, sandbox.Sign(token, callback, h.form), h.header.Get("X-Twilio-Signature"))
		for field, value := range map[string]string{
			"MessageSid": sid, "SmsSid": sid, "AccountSid": account, "From": from, "To": to,
			"ApiVersion": "2010-04-01", "MessageStatus": want.status, "SmsStatus": want.status,
			"ChannelPrefix": "whatsapp", "EventType": want.event, "ErrorCode": "",
			"ChannelToAddress": "+491511234XXXX",
		} {
			require.Equal(t, value, h.form.Get(field), "%s of callback %d", field, i)
		}
		require.Equal(t, want.event != "", h.form.Has("EventType"))
		require.False(t, h.form.Has("MessagingServiceSid"))
	}
	require.Equal(t, "read", r.entry(sid, "read").Status)
}

func TestCallbackOfAFailure(t *testing.T) {
	t.Parallel()
	e := listen(t, nil)
	r := start(t, sandbox.Config{})
	r.ok("PUT", "/sandbox/senders/"+service, `{"limit":0}`)
	sid := r.sent("From=", "MessagingServiceSid="+service, "StatusCallback="+e.url)
	h := e.next(t)
	require.Equal(t, "undelivered", h.form.Get("MessageStatus"))
	require.Equal(t, "UNDELIVERED", h.form.Get("EventType"))
	require.Equal(t, "63018", h.form.Get("ErrorCode"))
	require.Equal(t, service, h.form.Get("MessagingServiceSid"))
	require.NotEmpty(t, h.form.Get("ChannelStatusMessage"))
	got := r.get("Messages/" + sid + ".json").body
	require.EqualValues(t, 63018, got["error_code"])
	require.NotEmpty(t, got["error_message"])
	require.Equal(t, h.form.Get("From"), got["from"])
}

func TestCallbacksLost(t *testing.T) {
	t.Parallel()
	e := listen(t, nil)
	r := start(t, sandbox.Config{ReadShare: -1})
	require.NoError(t, r.box.SetFaults(sandbox.Faults{CallbackLost: 1}))
	r.entry(r.sent("StatusCallback="+e.url), "delivered")
	require.NoError(t, r.box.SetFaults(sandbox.Faults{}))
	second := r.sent("StatusCallback=" + e.url)
	require.Equal(t, second, e.next(t).form.Get("MessageSid"), "nothing of the first message came")
}

func TestCallbacksDoubled(t *testing.T) {
	t.Parallel()
	e := listen(t, nil)
	r := start(t, sandbox.Config{ReadShare: -1, Workers: oneByOne})
	require.NoError(t, r.box.SetFaults(sandbox.Faults{CallbackDoubled: 1}))
	r.sent("StatusCallback=" + e.url)
	first, again := e.next(t), e.next(t)
	require.Equal(t, "sent", first.form.Get("MessageStatus"))
	require.Equal(t, first.form, again.form, "an exact repetition")
	for _, header := range []string{"X-Twilio-Signature", "I-Twilio-Idempotency-Token"} {
		require.NotEmpty(t, first.header.Get(header))
		require.Equal(t, first.header.Get(header), again.header.Get(header))
	}
	require.Equal(t, []string{"delivered", "delivered"}, e.statuses(t, 2))
}

func TestCallbacksShuffled(t *testing.T) {
	t.Parallel()
	e := listen(t, nil)
	r := start(t, sandbox.Config{ReadShare: 1, Workers: oneByOne})
	require.NoError(t, r.box.SetFaults(sandbox.Faults{CallbackShuffled: 1}))
	sid := r.sent("StatusCallback=" + e.url)
	require.Equal(t, []string{"read", "delivered", "sent"}, e.statuses(t, 3))
	require.Equal(t, "read", r.entry(sid, "read").Status, "a late callback takes nothing back")
}

// TestCallbacksRetried refuses the first two tries of each callback. Tries of
// different callbacks may come in any order, so it waits until the journal says
// that both callbacks are done with, and looks at all the tries there were.
func TestCallbacksRetried(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fragment string
		tries    int
	}{
		"by default a 5xx is final": {"", 1},
		"as the fragment asks":      {"#rc=5&rp=4xx,5xx", 3},
		"as often as it asks":       {"#rc=1&rp=all", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tries := map[string]*atomic.Int32{"sent": {}, "delivered": {}}
			e := listen(t, func(w http.ResponseWriter, form url.Values) {
				if tries[form.Get("MessageStatus")].Add(1) <= 2 {
					w.WriteHeader(http.StatusServiceUnavailable)
				}
			})
			cfg := sandbox.Config{File: journal(t), ReadShare: -1}
			r := run(t, open(t, cfg))
			r.sent("StatusCallback=" + e.url + c.fragment)
			require.Eventually(t, func() bool {
				return strings.Count(read(t, cfg.File), `"told"`) == 2
			}, patience, time.Millisecond)
			require.EqualValues(t, c.tries, tries["sent"].Load())
			require.EqualValues(t, c.tries, tries["delivered"].Load(), "whatever became of the one before")
		})
	}
}

func TestResetDropsCallbacks(t *testing.T) {
	t.Parallel()
	e := listen(t, nil)
	r := start(t, sandbox.Config{ReadShare: -1})
	require.NoError(t, r.box.SetFaults(sandbox.Faults{CallbackDelay: sandbox.Duration(time.Hour)}))
	r.sent("StatusCallback=" + e.url)
	require.Len(t, sandbox.Look(r.box).Open, 2)
	r.ok("POST", "/sandbox/reset", "")
	require.Empty(t, sandbox.Look(r.box).Open)
	require.Zero(t, r.box.Faults())
	require.Empty(t, r.box.Ledger())
	require.Empty(t, r.box.Limits().Senders)
	second := r.sent("StatusCallback=" + e.url)
	require.Equal(t, second, e.next(t).form.Get("MessageSid"))
}

func TestRunEndsWhileACallbackHangs(t *testing.T) {
	t.Parallel()
	hanging := make(chan struct{})
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm() // the server sees the client go only after the body is read
		close(hanging)
		<-r.Context().Done()
	}))
	t.Cleanup(receiver.Close)
	box := sandbox.New(sandbox.Config{CallbackDelay: time.Millisecond, Workers: 1})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- box.Run(ctx) }()
	create(t, box.Handler(), form("StatusCallback="+receiver.URL).Encode())
	<-hanging
	require.Eventually(t, func() bool { return box.Ledger()[0].Status != "sent" }, patience, time.Millisecond,
		"statuses advance although no worker is free")
	cancel()
	require.NoError(t, <-done)
}

func TestInbound(t *testing.T) {
	t.Parallel()
	e := listen(t, nil)
	address := e.url + "/twilio/inbound"
	r := start(t, sandbox.Config{InboundURL: address})
	write := `{"from":"` + to + `","to":"` + from + `","body":"hello & more"}`
	refused := r.control("POST", "/sandbox/inbound", write)
	require.Equal(t, http.StatusBadRequest, refused.status, "nothing to sign with yet")
	require.Equal(t, "to", refused.body["error"].(map[string]any)["field"])

	r.sent()
	sid := r.ok("POST", "/sandbox/inbound", write).body["sid"]
	h := e.next(t)
	require.Equal(t, address, h.url)
	require.Equal(t, sandbox.Sign(token, address, h.form), h.header.Get("X-Twilio-Signature"))
	for field, value := range map[string]string{
		"MessageSid": sid.(string), "SmsMessageSid": sid.(string), "SmsStatus": "received",
		"AccountSid": account, "From": to, "To": from, "Body": "hello & more",
		"WaId": strings.TrimPrefix(to, "whatsapp:+"), "NumMedia": "0",
	} {
		require.Equal(t, value, h.form.Get(field), field)
	}
	require.NotEmpty(t, h.form.Get("ProfileName"))
	require.True(t, h.form.Has("NumSegments"))
}

func TestInboundWithTheConfiguredAccount(t *testing.T) {
	t.Parallel()
	e := listen(t, nil)
	r := start(t, sandbox.Config{InboundURL: e.url, InboundAccount: "AC7", InboundToken: "secret"})
	sid, err := r.box.Receive(sandbox.Inbound{From: "whatsapp:DE.abc", To: service, Body: "hi"})
	require.NoError(t, err)
	h := e.next(t)
	require.Equal(t, sid, h.form.Get("MessageSid"))
	require.Equal(t, "AC7", h.form.Get("AccountSid"))
	require.Equal(t, service, h.form.Get("MessagingServiceSid"))
	require.Equal(t, "whatsapp:DE.abc", h.form.Get("ExternalUserId"))
	require.False(t, h.form.Has("WaId"))
	require.Equal(t, sandbox.Sign("secret", e.url, h.form), h.header.Get("X-Twilio-Signature"))
}
