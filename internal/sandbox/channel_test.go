package sandbox_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/sandbox"
)

const (
	ownNumber = "4915112345678" // not the provider's
	step      = time.Second
)

// json calls an API that takes JSON, with the credentials of the account.
func (r *rig) json(method, path, body string) reply {
	r.t.Helper()
	return r.as(account, method, path, body)
}

func (r *rig) as(user, method, path, body string) reply {
	r.t.Helper()
	req, err := http.NewRequest(method, r.url+path, strings.NewReader(body))
	require.NoError(r.t, err)
	req.Header.Set("Content-Type", "application/json")
	req.SetBasicAuth(user, token)
	got, err := r.do(req)
	require.NoError(r.t, err)
	return got
}

// registered registers a number and returns its sid.
func (r *rig) registered(number, rest string) string {
	r.t.Helper()
	got := r.json("POST", "/v2/Channels/Senders", `{"sender_id":"whatsapp:+`+number+`"`+rest+`}`)
	require.Equal(r.t, http.StatusAccepted, got.status, "%v", got.body)
	return got.body["sid"].(string)
}

// status is a sender's, and the code of the reason why it is offline.
func (r *rig) status(sid string) (status, reason string) {
	r.t.Helper()
	got := r.json("GET", "/v2/Channels/Senders/"+sid, "")
	require.Equal(r.t, http.StatusOK, got.status)
	if all, _ := got.body["offline_reasons"].([]any); len(all) > 0 {
		reason = all[0].(map[string]any)["code"].(string)
	}
	return got.body["status"].(string), reason
}

func TestProvidersNumberComesOnlineByItself(t *testing.T) {
	t.Parallel()
	now := newClock()
	r := start(t, sandbox.Config{Now: now.Now, OnboardingStep: step, Strict: true})
	sid := r.registered(sender, `,"profile":{"name":"Shop","about":"Hi"},"configuration":{"waba_id":"12"},"webhook":{"callback_url":"https://x/in","callback_method":"POST"}`)
	for _, want := range [][2]string{{"CREATING", ""}, {"VERIFYING", ""}, {"OFFLINE", "63112"}, {"ONLINE", ""}} {
		status, reason := r.status(sid)
		require.Equal(t, want, [2]string{status, reason})
		require.Equal(t, want[0] == "ONLINE", r.send().status == http.StatusCreated, "only ONLINE sends")
		now.Add(step)
	}
	got := r.json("GET", "/v2/Channels/Senders/"+sid, "").body
	require.Equal(t, map[string]any{"quality_rating": "HIGH", "messaging_limit": "250 Customers/24hr"}, got["properties"])
	require.Equal(t, map[string]any{"name": "Shop", "about": "Hi"}, got["profile"])
	require.Equal(t, "https://x/in", got["webhook"].(map[string]any)["callback_url"])

	got = r.json("POST", "/v2/Channels/Senders/"+sid, `{"profile":{"about":"Bye"}}`).body
	require.Equal(t, "ONLINE:UPDATING", got["status"])
	require.Equal(t, map[string]any{"name": "Shop", "about": "Bye"}, got["profile"], "an update keeps the rest")
	require.Equal(t, http.StatusCreated, r.send().status, "an update stops nobody")
	require.Equal(t, http.StatusConflict, r.json("POST", "/v2/Channels/Senders", `{"sender_id":"`+from+`"}`).status)

	require.Equal(t, http.StatusNoContent, r.json("DELETE", "/v2/Channels/Senders/"+sid, "").status)
	require.Equal(t, http.StatusNotFound, r.json("GET", "/v2/Channels/Senders/"+sid, "").status)
	require.Equal(t, http.StatusBadRequest, r.send().status)
	require.Equal(t, sid, r.registered(sender, ""), "a deleted number can come back")
}

func TestOwnNumberNeedsItsCode(t *testing.T) {
	t.Parallel()
	now := newClock()
	r := start(t, sandbox.Config{Now: now.Now, OnboardingStep: step})
	sid := r.registered(ownNumber, `,"configuration":{"verification_method":"voice"}`)
	now.Add(time.Hour)
	state := r.ok("GET", "/sandbox/senders/"+ownNumber, "").body
	require.Equal(t, "PENDING_VERIFICATION", state["status"])
	require.Equal(t, "voice", state["verification_method"])
	code := state["verification_code"].(string)
	require.Regexp(t, `^\d{6}$`, code)

	verify := func(code string) int {
		return r.json("POST", "/v2/Channels/Senders/"+sid, `{"configuration":{"verification_code":"`+code+`"}}`).status
	}
	require.Equal(t, http.StatusBadRequest, verify("x"+code))
	require.Equal(t, http.StatusAccepted, r.json("POST", "/v2/Channels/Senders/"+sid, `{"configuration":{"verification_method":"sms"}}`).status)
	state = r.ok("GET", "/sandbox/senders/"+ownNumber, "").body
	require.Equal(t, "sms", state["verification_method"], "a code can be asked for again")
	require.Equal(t, http.StatusAccepted, verify(state["verification_code"].(string)))
	status, _ := r.status(sid)
	require.Equal(t, "VERIFYING", status)
	now.Add(2 * step)
	status, _ = r.status(sid)
	require.Equal(t, "ONLINE", status)
	require.Equal(t, http.StatusBadRequest, verify(code), "nothing is awaited any more")
}

func TestRejectedDisplayNameTakesTheSenderOffline(t *testing.T) {
	t.Parallel()
	now := newClock()
	r := start(t, sandbox.Config{Now: now.Now, OnboardingStep: step})
	sid := r.registered(sender, `,"profile":{"name":"WhatsApp Shop"}`)
	now.Add(3 * step)
	status, _ := r.status(sid)
	require.Equal(t, "ONLINE", status)
	now.Add(step)
	status, reason := r.status(sid)
	require.Equal(t, []string{"OFFLINE", "63124"}, []string{status, reason})
}

func TestSendersAPIRefusals(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Config{})
	for name, c := range map[string]struct{ method, path, body string }{
		"no sender":      {"POST", "/v2/Channels/Senders", `{}`},
		"no channel":     {"POST", "/v2/Channels/Senders", `{"sender_id":"+15550001111"}`},
		"not E.164":      {"POST", "/v2/Channels/Senders", `{"sender_id":"whatsapp:+0155"}`},
		"no json":        {"POST", "/v2/Channels/Senders", `sender_id=1`},
		"unknown field":  {"POST", "/v2/Channels/Senders", `{"sender_id":"` + from + `","SenderId":1}`},
		"method":         {"POST", "/v2/Channels/Senders", `{"sender_id":"` + from + `","configuration":{"verification_method":"fax"}}`},
		"webhook URL":    {"POST", "/v2/Channels/Senders", `{"sender_id":"` + from + `","webhook":{"callback_url":"x"}}`},
		"webhook method": {"POST", "/v2/Channels/Senders", `{"sender_id":"` + from + `","webhook":{"callback_method":"GET"}}`},
		"profile":        {"POST", "/v2/Channels/Senders", `{"sender_id":"` + from + `","profile":"x"}`},
		"list: channel":  {"GET", "/v2/Channels/Senders", ""},
		"list: size":     {"GET", "/v2/Channels/Senders?Channel=whatsapp&PageSize=1001", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := r.json(c.method, c.path, c.body)
			require.Equal(t, http.StatusBadRequest, got.status)
			require.Equal(t, 20001.0, got.body["code"])
		})
	}
	require.Empty(t, r.box.Senders())
	require.Equal(t, http.StatusUnauthorized, r.as("me", "GET", "/v2/Channels/Senders?Channel=whatsapp", "").status)
}

func TestSendersAreListedPageByPageAndPerAccount(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Config{PublicURL: "https://sandbox.example/x/"})
	other := "AC00000000000000000000000000000002"
	for _, number := range []string{"15550000001", "15550000002", "15550000003"} {
		r.registered(number, "")
	}
	r.ok("PUT", "/sandbox/senders/15550000004", `{"account":"`+other+`"}`)
	r.ok("PUT", "/sandbox/senders/"+service, `{}`)

	page := func(user, query string) ([]any, map[string]any) {
		got := r.as(user, "GET", "/v2/Channels/Senders?Channel=whatsapp"+query, "").body
		return got["senders"].([]any), got["meta"].(map[string]any)
	}
	first, meta := page(account, "&PageSize=2")
	require.Len(t, first, 2)
	require.Equal(t, "https://sandbox.example/x/v2/Channels/Senders?Channel=whatsapp&Page=1&PageSize=2", meta["next_page_url"])
	second, meta := page(account, "&PageSize=2&Page=1")
	require.Len(t, second, 1)
	require.Nil(t, meta["next_page_url"])
	theirs, _ := page(other, "")
	require.Len(t, theirs, 1)
	all, _ := page("SK00000000000000000000000000000001", "")
	require.Len(t, all, 4, "a key names no account")
}

func TestRegistrationSurvivesARestart(t *testing.T) {
	t.Parallel()
	now := newClock()
	cfg := sandbox.Config{Now: now.Now, OnboardingStep: step, File: journal(t)}
	box := open(t, cfg)
	r := run(t, box)
	sid := r.registered(ownNumber, `,"profile":{"name":"Shop"}`)
	now.Add(step)
	code := r.ok("GET", "/sandbox/senders/"+ownNumber, "").body["verification_code"].(string)
	hx := r.json("POST", "/v1/Content", `{"language":"en","types":{"twilio/text":{"body":"Hi"}}}`).body["sid"].(string)
	r.json("POST", "/v1/Content/"+hx+"/ApprovalRequests/whatsapp", `{"name":"hi","category":"MARKETING"}`)

	cfg.File = killed(t, cfg.File)
	again := run(t, open(t, cfg))
	require.Equal(t, http.StatusAccepted,
		again.json("POST", "/v2/Channels/Senders/"+sid, `{"configuration":{"verification_code":"`+code+`"}}`).status)
	now.Add(2 * step)
	status, _ := again.status(sid)
	require.Equal(t, "ONLINE", status)
	require.Equal(t, "approved", again.json("GET", "/v1/Content/"+hx+"/ApprovalRequests", "").body["whatsapp"].(map[string]any)["status"])
}

func TestLimitsFollowUseAndQuality(t *testing.T) {
	t.Parallel()
	now := newClock()
	r := start(t, sandbox.Config{Now: now.Now, Tiers: true, Window: 24 * time.Hour, MPS: -1})
	limit := func() any { return r.ok("GET", "/sandbox/senders/"+sender, "").body["limit"] }
	r.sent()
	for i := range 124 {
		r.sent("To=whatsapp:+4915200" + string(rune('0'+i/100)) + string(rune('0'+i/10%10)) + string(rune('0'+i%10)))
	}
	require.Equal(t, 250.0, limit(), "half is used, and nobody has looked yet")
	now.Add(6 * time.Hour)
	r.sent()
	require.Equal(t, 2000.0, limit())
	now.Add(6 * time.Hour)
	r.sent()
	require.Equal(t, 2000.0, limit(), "less than half is used")
	r.ok("PUT", "/sandbox/senders/"+sender, `{"quality":"LOW"}`)
	require.Equal(t, 250.0, limit())
	r.ok("PUT", "/sandbox/senders/"+sender, `{"quality":"LOW","limit":"unlimited"}`)
	require.Equal(t, "unlimited", limit(), "what is put holds")
	now.Add(6 * time.Hour)
	r.sent()
	require.Equal(t, 100_000.0, limit())
}

func TestLimitTexts(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Config{})
	for _, c := range [][2]string{
		{`{"limit":250}`, "250 Customers/24hr"}, {`{"limit":1000}`, "1K Customers/24hr"}, {`{"limit":100000}`, "100K Customers/24hr"},
		{`{"limit":"unlimited"}`, "Unlimited Customers/24hr"}, {`{"limit":0}`, "0 Customers/24hr"},
		{`{"limit_text":"Unavailable"}`, "Unavailable"}, {`{"limit":7}`, "7 Customers/24hr"},
	} {
		require.Equal(t, c[1], r.ok("PUT", "/sandbox/senders/"+sender, c[0]).body["limit_text"])
	}
}
