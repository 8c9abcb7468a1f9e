package sandbox_test

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/sandbox"
)

func FuzzCreate(f *testing.F) {
	f.Add(form().Encode())
	f.Add(form(`ContentVariables={"1":"x"}`, "StatusCallback=http://h/x#rc=5&rp=all").Encode())
	f.Add(form("ContentSid=", "Body=hello", "MediaUrl=https://example.com/a", "ValidityPeriod=60").Encode())
	f.Add(form("From=", "MessagingServiceSid="+service, "To=whatsapp:DE.abc").Encode())
	f.Add("%zz;&=&To")
	f.Fuzz(func(t *testing.T, body string) {
		box := sandbox.New(sandbox.Config{})
		w := post(box.Handler(), body)
		var answer map[string]any
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
		switch w.Code {
		case 201:
			require.Len(t, box.Ledger(), 1)
			require.Equal(t, box.Ledger()[0].SID, answer["sid"])
		case 400:
			require.Empty(t, box.Ledger())
			require.Contains(t, answer, "code")
		default:
			require.Fail(t, "unexpected status", "%d %s", w.Code, w.Body)
		}
	})
}

func FuzzControl(f *testing.F) {
	for _, body := range []string{
		`{"drop_response":0.5,"latency":"50ms"}`, `{"limit":"unlimited","status":"ONLINE","pool":"p"}`,
		`{"limit":10}`, `{"mps":0.5}`, `{"mps":"unlimited"}`, `{"read":1,"reply":0.1,"stop":0}`, `{"from":"` + to + `","to":"` + from + `","body":"hi"}`, `null`, `{"limit":1e9}`, `{} x`,
	} {
		f.Add(body)
	}
	// In one order: coverage that changes from run to run misleads the fuzzer.
	endpoints := []struct{ method, path string }{
		{"PUT", "/sandbox/faults"}, {"PUT", "/sandbox/senders/" + sender},
		{"PUT", "/sandbox/pools/p"}, {"POST", "/sandbox/inbound"}, {"PUT", "/sandbox/customers"},
	}
	f.Fuzz(func(t *testing.T, body string) {
		box := sandbox.New(sandbox.Config{InboundURL: "http://127.0.0.1:1", InboundToken: "x"})
		handler := box.Handler()
		for _, e := range endpoints {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest(e.method, e.path, strings.NewReader(body)))
			require.Contains(t, []int{200, 400}, w.Code, "%s %s", e.path, w.Body)
			require.True(t, json.Valid(w.Body.Bytes()))
		}
		require.NoError(t, box.SetFaults(box.Faults()), "what was put is within bounds")
		require.NoError(t, box.SetCustomers(box.Customers()))
		for _, u := range append(box.Limits().Senders, box.Limits().Pools...) {
			require.GreaterOrEqual(t, u.Limit, sandbox.Unlimited)
			require.True(t, u.Queue == nil || u.MPS == sandbox.Unpaced || u.MPS >= 0.0001)
		}
	})
}
