package dashboard_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/dashboard"
	"github.com/sluicehq/sluice/internal/senders"
)

func TestASenderIsPutReadPausedAndResumed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	path := "/v1/senders/" + sender
	w.refused(w.do("GET", path, ""), 404, "not_found", "")
	require.JSONEq(t, `{"senders":[]}`, w.do("GET", "/v1/senders", "").text)

	put := w.do("PUT", path, `{"limit":1000,"mps":0.5}`)
	require.Equal(t, http.StatusOK, put.status, put.text)
	want := `{"sender":"15550001111","address":"whatsapp:+15550001111","account":"default","pool":"default",
		"limit":1000,"limit_from":"hand","mps":0.5,"require_opt_in":false,"state":"active","quality":"unknown","reasons":[],
		"registered":true,"status":"","sid":"","waba_id":"","webhook":""}`
	require.JSONEq(t, want, put.text)
	require.JSONEq(t, want, w.do("GET", path, "").text)
	require.JSONEq(t, want, w.do("GET", "/v1/senders/whatsapp%3A%2B15550001111", "").text)
	require.JSONEq(t, `{"senders":[`+want+`]}`, w.do("GET", "/v1/senders", "").text)
	require.InDelta(t, 0.5, w.gate.sender.MPS, 0)

	require.Contains(t, w.do("PUT", path, `{"limit":"unlimited"}`).text, `"limit":"unlimited"`)
	require.Contains(t, w.do("PUT", path, `{"limit":"provider"}`).text, `"limit":250,"limit_from":"default","mps":0.5`)

	paused := w.do("POST", path+"/pause", `{"reason":"complaints"}`)
	require.Contains(t, paused.text, `"state":"paused","quality":"unknown","reasons":["complaints"]`)
	require.True(t, w.gate.sender.Paused)
	require.Contains(t, w.do("POST", path+"/resume", "").text, `"state":"active"`)
	require.False(t, w.gate.sender.Paused)
}

func TestPoolsArePutAndRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	require.JSONEq(t, `{"pools":[]}`, w.do("GET", "/v1/pools", "").text)
	w.refused(w.do("GET", "/v1/pools/brand", ""), 404, "not_found", "")
	require.Equal(t, http.StatusOK, w.do("PUT", "/v1/senders/"+sender, `{"pool":"brand","limit":2000}`).status)
	require.JSONEq(t, `{"pool":"brand","limit":2000,"limit_from":"senders","reserve":0,"senders":["15550001111"]}`,
		w.do("GET", "/v1/pools/brand", "").text)

	want := `{"pool":"brand","limit":500,"limit_from":"hand","reserve":0.1,"senders":["15550001111"]}`
	require.JSONEq(t, want, w.do("PUT", "/v1/pools/brand", `{"limit":500,"reserve":0.1}`).text)
	require.JSONEq(t, `{"pools":[`+want+`]}`, w.do("GET", "/v1/pools", "").text)
	require.Equal(t, 500, *w.gate.pool.Limit)

	w.refused(w.do("PUT", "/v1/pools/a.b", `{}`), 400, "invalid_field", "pool")
	w.refused(w.do("PUT", "/v1/pools/"+strings.Repeat("a", 65), `{}`), 400, "invalid_field", "pool")
	w.refused(w.do("PUT", "/v1/pools/a", `{"reserve":2}`), 400, "invalid_field", "reserve")
}

func TestConsentsArePutAndRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	const path = "/v1/consents/whatsapp%3A%2B491700000001"
	require.JSONEq(t, `{"address":"whatsapp:+491700000001","consents":[]}`, w.do("GET", path, "").text)
	require.JSONEq(t, `{"from":"all","state":"out","source":"call","at":"2026-01-31T12:00:00Z"}`,
		w.do("PUT", path, `{"state":"out","source":"call"}`).text)
	require.EqualValues(t, "out", w.gate.choice)
	require.JSONEq(t, `{"from":"whatsapp:+15550001111","state":"in","source":"","at":"2026-01-30T12:00:00Z"}`,
		w.do("PUT", "/v1/consents/+491700000001", `{"from":"whatsapp:+15550001111","state":"in","at":"2026-01-30T12:00:00Z"}`).text)
	require.JSONEq(t, `{"address":"whatsapp:+491700000001","consents":[
		{"from":"whatsapp:+15550001111","state":"in","source":"","at":"2026-01-30T12:00:00Z"},
		{"from":"all","state":"out","source":"call","at":"2026-01-31T12:00:00Z"}]}`, w.do("GET", path, "").text)

	w.refused(w.do("PUT", path, `{"state":"in","at":"2026-01-01T00:00:00Z"}`), 409, "older", "at")
	w.refused(w.do("PUT", path, `{"source":"call"}`), 400, "invalid_field", "state")
	w.refused(w.do("PUT", path, `{"state":"in","from":"x"}`), 400, "invalid_field", "from")
	w.refused(w.do("GET", "/v1/consents/nobody", ""), 400, "invalid_field", "address")
	w.refused(w.do("PUT", "/v1/consents/nobody", `{"state":"in"}`), 400, "invalid_field", "address")
}

func TestEverythingIsPausedAndResumed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	require.JSONEq(t, `{"paused":true,"reason":"incident"}`, w.do("POST", "/v1/pause", `{"reason":"incident"}`).text)
	require.True(t, w.gate.paused)
	require.JSONEq(t, `{"paused":false}`, w.do("POST", "/v1/resume", "").text)
	require.False(t, w.gate.paused)
	w.refused(w.do("POST", "/v1/pause", `{"why":"incident"}`), 400, "invalid_field", "why")
}

func TestBadBodiesChangeNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	path := "/v1/senders/" + sender
	for body, field := range map[string]string{
		`{"limit":-1}`: "limit", `{"mps":0}`: "mps", `{"mps":1000.5}`: "mps", `{"pool":"a b"}`: "pool",
		`{"account":""}`: "account", `{"require_opt_in":"yes"}`: "require_opt_in", `{"tier":1}`: "tier",
	} {
		w.refused(w.do("PUT", path, body), 400, "invalid_field", field)
	}
	w.refused(w.do("PUT", path, `[]`), 400, "invalid_body", "")
	w.refused(w.do("PUT", path, ``), 400, "invalid_body", "")
	w.refused(w.do("PUT", "/v1/senders/nobody", `{}`), 400, "invalid_field", "sender")
	w.refused(w.do("POST", "/v1/senders/nobody/pause", ``), 400, "invalid_field", "sender")
	w.refused(w.do("GET", "/v1/senders/nobody", ``), 400, "invalid_field", "sender")
	w.refused(w.do("PUT", path, strings.Repeat(" ", 64*1024)+`{}`), 413, "too_large", "")
	w.refused(w.do("PUT", path, `{}`, "Content-Type", "text/plain"), 415, "unsupported_media_type", "")
	require.Empty(t, w.facts.stored)
	require.Equal(t, http.StatusOK, w.do("PUT", path, `{}`, "Content-Type", "application/x-www-form-urlencoded").status,
		"what curl says by default")
}

func TestAChangeTheGateDoesNotKnowYetIsSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.gate.down = true
	w.refused(w.do("POST", "/v1/pause", ""), 503, "not_applied_yet", "")
	require.Contains(t, w.facts.stored, "pause")
}

// FuzzPut hands arbitrary bodies to every PUT: none may fail inside, and what
// is refused must leave no trace.
func FuzzPut(f *testing.F) {
	for _, seed := range []string{
		`{"limit":0,"mps":0.2,"pool":"a","account":"AC1","require_opt_in":false}`,
		`{"limit":"provider","reserve":1}`, `{"state":"out","from":"all","at":"2026-01-31T09:00:00+01:00"}`, `{"reason":"x"}`, `nul`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		for _, path := range []string{"/v1/senders/" + sender, "/v1/pools/a", "/v1/consents/" + customer, "/v1/pause"} {
			store := &facts{stored: map[string]senders.Fact{}}
			api := dashboard.New(dashboard.Config{Registry: senders.New(store, &gate{}, senders.Config{})})
			method := http.MethodPut
			if path == "/v1/pause" {
				method = http.MethodPost
			}
			w := httptest.NewRecorder()
			api.Handler().ServeHTTP(w, httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(body)))
			switch w.Code {
			case http.StatusOK:
				require.Len(t, store.stored, 1)
			case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
				require.Empty(t, store.stored)
			default:
				t.Fatalf("%s: %d %s", path, w.Code, w.Body)
			}
		}
	})
}
