package callbacks_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/callbacks"
)

var routes = []string{"/twilio/status/order-1/1", "/twilio/status", "/twilio/inbound", "/twilio/fallback"}

func formFor(route string) url.Values {
	if strings.Contains(route, "status") {
		return statusForm("delivered")
	}
	return inboundForm()
}

func TestForgeriesLeaveNoTrace(t *testing.T) {
	t.Parallel()
	for _, route := range routes {
		form := formFor(route)
		right := sign(token, publicURL+route, form)
		foreign := with(formFor(route), "AccountSid", stranger)
		for name, try := range map[string]struct {
			path      string
			form      url.Values
			signature string
		}{
			"missing":         {route, form, ""},
			"wrong":           {route, form, "95+Bu0JVPi0r/SsESZCVf0dWAjw="},
			"other token":     {route, form, sign("54321", publicURL+route, form)},
			"other host":      {route, form, sign(token, "https://evil.example.com"+route, form)},
			"changed form":    {route, with(formFor(route), "To", "whatsapp:+4915100000000"), right},
			"changed query":   {route + "?x=1", form, right},
			"foreign account": {route, foreign, sign("54321", publicURL+route, foreign)},
			"claims foreign":  {route, foreign, sign(token, publicURL+route, foreign)},
			"no account":      {route, with(formFor(route), "AccountSid", ""), sign(token, publicURL+route, with(formFor(route), "AccountSid", ""))},
		} {
			t.Run(route+" "+name, func(t *testing.T) {
				t.Parallel()
				s := newSite(t, func(cfg *callbacks.Config) {
					cfg.Resolver = resolver(func(string) (string, int, bool, error) {
						t.Error("resolved before it was verified")
						return "", 0, false, nil
					})
				})
				code, text := s.send(t, try.path, try.form, try.signature)
				require.Equal(t, http.StatusForbidden, code)
				require.Empty(t, text)
				require.Empty(t, s.journal.all())
				require.Len(t, s.observed(), 1)
				require.True(t, strings.HasSuffix(s.observed()[0], " forbidden"))
			})
		}
	}
}

func TestOnlyPost(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	for _, route := range routes {
		for _, method := range []string{http.MethodGet, http.MethodPut} {
			r, err := http.NewRequest(method, s.address+route, nil)
			require.NoError(t, err)
			code, _ := s.do(t, r)
			require.Equal(t, http.StatusMethodNotAllowed, code)
		}
	}
	require.Empty(t, s.journal.all())
}

func TestPublicURLIsWhatCounts(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ public, reaches string }{
		"plain":                 {"https://hooks.example.com", ""},
		"slash at its end":      {"https://hooks.example.com/", ""},
		"port":                  {"https://hooks.example.com:8443", ""},
		"path kept by proxy":    {"https://example.com/sluice", "/sluice"},
		"path cut off by proxy": {"https://example.com/sluice/", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(cfg *callbacks.Config) { cfg.PublicURL = tc.public })
			form := statusForm("sent")
			path := "/twilio/status/order:1/2?tenant=a%20b&x="
			code, _ := s.send(t, tc.reaches+path, form, sign(token, strings.TrimRight(tc.public, "/")+path, form))
			require.Equal(t, http.StatusNoContent, code)
			require.Equal(t, "order:1", s.journal.all()[0].Job)
			require.Equal(t, 2, s.journal.all()[0].Attempt)
		})
	}
}

func TestRepeatedFieldsAreSigned(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	form := statusForm("sent")
	form["Extra"] = []string{"b", "a", "b", ""}
	code, _ := s.call(t, "/twilio/status/order-1/1", form)
	require.Equal(t, http.StatusNoContent, code)
}

func TestBodiesThatAreNoForm(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		contentType, body string
		verified          bool
		want              int
	}{
		"broken escape":   {"application/x-www-form-urlencoded", "MessageSid=%zz", true, 400},
		"too large":       {"application/x-www-form-urlencoded", "Body=" + strings.Repeat("x", 64<<10), true, 413},
		"JSON, genuine":   {"application/json", `{"MessageSid":"SM1"}`, true, 400},
		"JSON, forged":    {"application/json", `{"MessageSid":"SM1"}`, false, 403},
		"no content type": {"", "AccountSid=" + account, false, 403},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(cfg *callbacks.Config) {
				cfg.Verifier = verdict(func(account string, form url.Values, body []byte) bool {
					require.Empty(t, account)
					require.Nil(t, form)
					require.Equal(t, tc.body, string(body))
					return tc.verified
				})
			})
			r, err := http.NewRequest(http.MethodPost, s.address+"/twilio/status", strings.NewReader(tc.body))
			require.NoError(t, err)
			r.Header.Set("Content-Type", tc.contentType)
			r.Header.Set("X-Twilio-Signature", "x")
			code, _ := s.do(t, r)
			require.Equal(t, tc.want, code)
			require.Empty(t, s.journal.all())
		})
	}
}

type verdict func(account string, form url.Values, body []byte) bool

func (f verdict) Verify(account, _ string, form url.Values, body []byte, _ string) bool {
	return f(account, form, body)
}
