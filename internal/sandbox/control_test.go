package sandbox_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/sandbox"
)

func TestMessagesAreNDJSON(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Config{Now: newClock().Now, ReadShare: -1})
	first := r.sent("StatusCallback=http://127.0.0.1:1/s#rc=0")
	second := r.sent("From=", "MessagingServiceSid="+service, "ContentSid=", "Body=secret text")
	r.entry(first, "delivered")
	r.entry(second, "undelivered")
	resp, err := r.client.Get(r.url + "/sandbox/messages")
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, "application/x-ndjson", resp.Header.Get("Content-Type"))
	var lines []map[string]any
	for scan := bufio.NewScanner(resp.Body); scan.Scan(); {
		var line map[string]any
		require.NoError(t, json.Unmarshal(scan.Bytes(), &line))
		lines = append(lines, line)
	}
	require.Equal(t, []map[string]any{{
		"sid": first, "account": account, "from": from, "to": to,
		"accepted_at": "2026-03-01T12:00:00Z", "status": "delivered",
		"status_callback": "http://127.0.0.1:1/s#rc=0", "counted": true, "in_window": false,
	}, {
		"sid": second, "account": account, "from": service, "to": to,
		"accepted_at": "2026-03-01T12:00:00Z", "status": "undelivered",
		"status_callback": "", "counted": false, "in_window": false, "error_code": 63016.0,
	}}, lines)
}

func TestControlBodies(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Config{})
	const faults, one, pool, inbound = "/sandbox/faults", "/sandbox/senders/" + sender, "/sandbox/pools/p", "/sandbox/inbound"
	const customers = "/sandbox/customers"
	cases := []struct{ method, path, body, field string }{
		{"PUT", faults, ``, ""},
		{"PUT", faults, `[]`, ""},
		{"PUT", faults, `{} {}`, ""},
		{"PUT", faults, `{"drop":1}`, "drop"},
		{"PUT", faults, `{"reset":1.5}`, "reset"},
		{"PUT", faults, `{"reset":"1"}`, "reset"},
		{"PUT", faults, `{"latency":50}`, ""},
		{"PUT", faults, `{"latency":"-1s"}`, "latency"},
		{"PUT", faults, `{"callback_delay":"soon"}`, ""},
		{"PUT", one, `{"limit":-1}`, "limit"},
		{"PUT", one, `{"limit":2.5}`, "limit"},
		{"PUT", one, `{"limit":"many"}`, "limit"},
		{"PUT", one, `{"quality":"GREAT"}`, "quality"},
		{"PUT", one, `{"status":"online"}`, "status"},
		{"PUT", one, `{"pool":""}`, "pool"},
		{"PUT", one, `{"tier":250}`, "tier"},
		{"PUT", one, `{"mps":0}`, "mps"},
		{"PUT", one, `{"mps":-1}`, "mps"},
		{"PUT", one, `{"mps":0.00001}`, "mps"},
		{"PUT", one, `{"mps":"80"}`, "mps"},
		{"PUT", customers, `{"read":1.5}`, "read"},
		{"PUT", customers, `{"reply":-0.5}`, "reply"},
		{"PUT", customers, `{"stop":"1"}`, "stop"},
		{"PUT", customers, `{"block":1}`, "block"},
		{"PUT", "/sandbox/senders/whatsapp:+1555", `{}`, "sender"},
		{"PUT", pool, `{}`, "limit"},
		{"PUT", "/sandbox/pools/-", `{"limit":1}`, "pool"},
		{"POST", inbound, `{"from":"+49151","to":"` + from + `","body":"x"}`, "from"},
		{"POST", inbound, `{"from":"` + to + `","to":"+1555","body":"x"}`, "to"},
		{"POST", inbound, `{"from":"` + to + `","to":"` + from + `","body":""}`, "body"},
	}
	for _, c := range cases {
		got := r.control(c.method, c.path, c.body)
		require.Equal(t, http.StatusBadRequest, got.status, "%s %s", c.path, c.body)
		problem := got.body["error"].(map[string]any)
		require.Equal(t, "invalid_field", problem["code"])
		require.Equal(t, c.field, problem["field"], "%s %s: %s", c.path, c.body, problem["message"])
		require.NotEmpty(t, problem["message"])
	}
	require.Zero(t, r.box.Faults())
	require.Equal(t, sandbox.Customers{Read: 0.3}, r.box.Customers())
	require.Empty(t, r.box.Limits().Senders)
}

func TestFaultsAreShownAndReplaced(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Config{})
	r.ok("PUT", "/sandbox/faults", `{"callback_lost":0.25,"latency":"50ms","callback_delay":"1m"}`)
	got := r.ok("GET", "/sandbox/faults", "").body
	require.Equal(t, map[string]any{
		"drop_response": 0.0, "server_error": 0.0, "too_many": 0.0, "reset": 0.0,
		"callback_lost": 0.25, "callback_doubled": 0.0, "callback_shuffled": 0.0,
		"latency": "50ms", "callback_delay": "1m0s",
	}, got)
	r.ok("PUT", "/sandbox/faults", `{}`)
	require.Zero(t, r.box.Faults())
}

func TestSenderKeepsWhatIsNotPut(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Config{DefaultLimit: 7})
	require.Equal(t, map[string]any{
		"sender": sender, "pool": "", "limit": 7.0, "mps": 80.0, "status": "ONLINE", "quality": "HIGH",
		"sid": "XE6615b85dd672462463c77d4fd71e0996", "limit_text": "7 Customers/24hr",
	}, r.ok("PUT", "/sandbox/senders/"+sender, `{}`).body)
	r.ok("PUT", "/sandbox/senders/"+sender, `{"limit":"unlimited","mps":0.5,"pool":"p"}`)
	require.Equal(t, map[string]any{
		"sender": sender, "pool": "p", "limit": "unlimited", "mps": 0.5, "status": "OFFLINE", "quality": "LOW",
		"sid": "XE6615b85dd672462463c77d4fd71e0996", "limit_text": "Unlimited Customers/24hr",
	}, r.ok("PUT", "/sandbox/senders/"+sender, `{"status":"OFFLINE","quality":"LOW","limit":null}`).body)
}

func TestLimitsAndHealth(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Config{Now: newClock().Now})
	require.Equal(t, true, r.ok("GET", "/healthz", "").body["ok"])
	require.Equal(t, map[string]any{
		"window": 86400.0, "over_limit": 0.0, "pools": []any{}, "senders": []any{},
	}, r.ok("GET", "/sandbox/limits", "").body)
	r.sent()
	got := r.ok("GET", "/sandbox/limits", "").body
	require.Equal(t, []any{map[string]any{
		"pool": account, "limit": 250.0, "used": 1.0, "exceeded": 0.0, "over_limit": 0.0,
	}}, got["pools"])
	require.Equal(t, []any{map[string]any{
		"sender": sender, "pool": account, "limit": 250.0, "used": 1.0, "exceeded": 0.0, "over_limit": 0.0,
		"mps": 80.0, "backlog": 0.0125,
	}}, got["senders"])
	require.Equal(t, http.StatusBadRequest,
		r.control("PUT", "/sandbox/faults", `{"latency":"`+strings.Repeat("1", 100<<10)+`s"}`).status, "too long")
}
