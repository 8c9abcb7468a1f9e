package sandbox_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/sandbox"
)

func TestTemplateIsApprovedByItself(t *testing.T) {
	t.Parallel()
	now := newClock()
	r := start(t, sandbox.Config{Now: now.Now, OnboardingStep: step})
	made := r.json("POST", "/v1/Content", `{"friendly_name":"order","language":"en","variables":{"1":"Ana"},"types":{"twilio/text":{"body":"Hi {{1}}"}}}`)
	require.Equal(t, http.StatusCreated, made.status)
	sid := made.body["sid"].(string)
	require.Regexp(t, `^HX[0-9a-f]{32}$`, sid)
	status := func() any {
		return r.json("GET", "/v1/Content/"+sid+"/ApprovalRequests", "").body["whatsapp"].(map[string]any)["status"]
	}
	require.Equal(t, "unsubmitted", status())
	asked := r.json("POST", "/v1/Content/"+sid+"/ApprovalRequests/whatsapp", `{"name":"order","category":"MARKETING"}`)
	require.Equal(t, http.StatusCreated, asked.status)
	require.Equal(t, "MARKETING", asked.body["category"])
	for _, want := range []string{"received", "pending", "approved"} {
		require.Equal(t, want, status())
		now.Add(step)
	}
	require.Equal(t, map[string]any{"1": "Ana"}, r.json("GET", "/v1/Content/"+sid, "").body["variables"])
	require.Equal(t, http.StatusNotFound, r.as("AC00000000000000000000000000000002", "GET", "/v1/Content/"+sid, "").status, "of one account")
	require.Equal(t, http.StatusNoContent, r.json("DELETE", "/v1/Content/"+sid, "").status)
	require.Equal(t, http.StatusNotFound, r.json("GET", "/v1/Content/"+sid, "").status)
}

func TestContentRefusals(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Config{})
	hx := "/v1/Content/" + template + "/ApprovalRequests/whatsapp"
	for name, c := range map[string]struct{ path, body string }{
		"no language":   {"/v1/Content", `{"types":{"twilio/text":{"body":"x"}}}`},
		"no types":      {"/v1/Content", `{"language":"en"}`},
		"variables":     {"/v1/Content", `{"language":"en","types":{"twilio/text":{}},"variables":{"1":2}}`},
		"name":          {hx, `{"name":"Order!","category":"UTILITY"}`},
		"category":      {hx, `{"name":"order","category":"SERVICE"}`},
		"unknown field": {hx, `{"name":"order","category":"UTILITY","x":1}`},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, http.StatusBadRequest, r.json("POST", c.path, c.body).status)
		})
	}
	for name, body := range map[string]string{"status": `{"status":"fine"}`, "category": `{"category":"utility"}`} {
		require.Equal(t, name, r.control("PUT", "/sandbox/templates/"+template, body).body["error"].(map[string]any)["field"])
	}
	require.Equal(t, http.StatusBadRequest, r.control("PUT", "/sandbox/templates/HX1", `{}`).status)
}

func TestTemplateIsJudgedOutsideTheWindowAlone(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Config{})
	sid := "HX0000000000000000000000000000000a"
	for name, c := range map[string]struct {
		put, variables string
		code           int
	}{
		"approved":     {`{"status":"approved","variables":{}}`, "", 0},
		"unsubmitted":  {`{"status":"unsubmitted"}`, "", 63016},
		"rejected":     {`{"status":"rejected"}`, "", 63040},
		"paused":       {`{"status":"paused"}`, "", 63041},
		"disabled":     {`{"status":"disabled"}`, "", 63042},
		"sample":       {`{"status":"approved","variables":{"1":"Ana"}}`, "", 0},
		"unknown name": {`{"status":"approved","variables":{"1":"Ana"}}`, `{"9":"x"}`, 0},
		"unfilled":     {`{"status":"approved","variables":{"1":""}}`, "", 63028},
		"empty value":  {`{"status":"approved","variables":{"1":"Ana"}}`, `{"1":" "}`, 63013},
		"line break":   {`{"status":"approved","variables":{"1":"Ana"}}`, `{"1":"a\nb"}`, 63013},
	} {
		t.Run(name, func(t *testing.T) {
			r.ok("PUT", "/sandbox/templates/"+sid, c.put)
			status := map[bool]string{true: "delivered", false: "failed"}[c.code == 0]
			msg := r.sent("ContentSid="+sid, "ContentVariables="+c.variables)
			require.Eventually(t, func() bool {
				for _, e := range r.box.Ledger() {
					if e.SID == msg && (e.ErrorCode == c.code && (e.Counted == (c.code == 0))) {
						return c.code == 0 || e.Status == status || e.Status == "undelivered"
					}
				}
				return false
			}, patience, time.Millisecond)
		})
	}
	r.ok("POST", "/sandbox/inbound", `{"from":"`+to+`","to":"`+from+`","body":"hi"}`)
	r.ok("PUT", "/sandbox/templates/"+sid, `{"status":"unsubmitted"}`)
	r.entry(r.sent("ContentSid="+sid), "delivered")
}

func TestStrictKnowsOnlyTemplatesThatExist(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Config{Strict: true})
	r.ok("PUT", "/sandbox/senders/"+sender, `{}`)
	unknown := "ContentSid=HX0000000000000000000000000000000b"
	require.Equal(t, 21655.0, r.send(unknown).body["code"])
	r.ok("PUT", "/sandbox/templates/HX0000000000000000000000000000000b", `{}`)
	r.sent(unknown)

	lax := start(t, sandbox.Config{})
	lax.sent(unknown)
}

const shared = "whatsapp:+14155238886"

func TestSharedNumberHasItsOwnRules(t *testing.T) {
	t.Parallel()
	now := newClock()
	r := start(t, sandbox.Config{Now: now.Now, MPS: -1})
	appointment := "ContentSid=HXb5b62575e6e4ff6129ad7c8efe1f983e"
	code := func(changes ...string) int {
		t.Helper()
		sid := r.sent(append([]string{"From=" + shared}, changes...)...)
		var got int
		require.Eventually(t, func() bool {
			for _, e := range r.box.Ledger() {
				if e.SID == sid {
					got = e.ErrorCode
					return e.Status == "delivered" || e.Status == "read" || got != 0
				}
			}
			return false
		}, patience, time.Millisecond)
		now.Add(3 * time.Second)
		return got
	}
	require.Equal(t, 63015, code(appointment), "nobody has joined")
	r.ok("POST", "/sandbox/inbound", `{"from":"`+to+`","to":"`+shared+`","body":"Join steady-river"}`)
	require.Zero(t, code("ContentSid=", "Body=hi"), "joining opens the window")
	now.Add(25 * time.Hour)
	require.Zero(t, code(appointment))
	require.Equal(t, 63016, code("ContentSid=", "Body=hi"))
	require.Equal(t, 21655.0, r.send("From=" + shared).body["code"], "its own templates only")

	require.Zero(t, code(appointment))
	now.Add(-time.Second)
	require.Equal(t, 63018, code(appointment), "one in three seconds")

	now.Add(48 * time.Hour)
	require.Equal(t, 63015, code(appointment), "joined for three days")
	r.ok("POST", "/sandbox/inbound", `{"from":"`+to+`","to":"`+shared+`","body":"join steady-river"}`)
	require.Zero(t, code(appointment))
	r.ok("POST", "/sandbox/inbound", `{"from":"`+to+`","to":"`+shared+`","body":"stop"}`)
	require.Equal(t, 21610.0, r.send("From="+shared, appointment).body["code"])
	require.Zero(t, r.box.Limits().Senders[0].Exceeded, "a broken rule is no limit exceeded")
}
