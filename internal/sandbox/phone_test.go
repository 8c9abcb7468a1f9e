package sandbox_test

import (
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/sandbox"
)

// page loads a page of the phone, or posts a form to it, and follows where
// that leads.
func (r *rig) page(path string, fields ...string) (status int, text string) {
	r.t.Helper()
	method, body := http.MethodGet, ""
	if len(fields) > 0 {
		f := url.Values{}
		for i := 0; i+1 < len(fields); i += 2 {
			f.Set(fields[i], fields[i+1])
		}
		method, body = http.MethodPost, f.Encode()
	}
	req, err := http.NewRequest(method, r.url+"/phone/"+path, strings.NewReader(body))
	require.NoError(r.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := r.client.Do(req)
	require.NoError(r.t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(r.t, err)
	return resp.StatusCode, string(raw)
}

func chatOf(customer, sender string) string {
	return "?" + url.Values{"customer": {customer}, "sender": {sender}}.Encode()
}

func TestAPhoneShowsWhatArrived(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Config{ReadShare: -1, CallbackDelay: time.Millisecond})
	_, text := r.page("")
	require.Contains(t, text, "No message has arrived yet")
	r.entry(r.sent(`ContentVariables={"1":"the lamp"}`), "delivered")
	_, text = r.page("")
	require.Contains(t, text, "Thank you for your order, the lamp.", "a template as its customer sees it")
	require.Contains(t, text, `class="unread"`)
	_, text = r.page(chatOf(to, sender))
	require.Contains(t, text, "window shut")

	r.entry(r.sent("ContentSid=", "Body=too early"), "undelivered")
	_, text = r.page(chatOf(to, sender))
	require.NotContains(t, text, "too early", "what was not delivered is on no phone")
}

func TestACustomerReadsWritesAndOptsOut(t *testing.T) {
	t.Parallel()
	told := listen(t, nil)
	r := start(t, sandbox.Config{ReadShare: -1, CallbackDelay: time.Millisecond})
	sid := r.sent("StatusCallback=" + told.url)
	require.ElementsMatch(t, []string{"sent", "delivered"}, told.statuses(t, 2), "in either order: each is a request of its own")
	status, _ := r.page("read", "customer", to, "sender", sender)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, []string{"read"}, told.statuses(t, 1))
	r.entry(sid, "read")
	require.NoError(t, r.box.Read(to, sender), "nothing is left to read")
	_, text := r.page(chatOf(to, sender))
	require.NotContains(t, text, `class="unread"`)

	before := r.box.Changes()
	status, text = r.page("say", "customer", " +4915112345678 ", "sender", "+"+sender, "body", "Hello <b>")
	require.Equal(t, http.StatusOK, status, text)
	require.Contains(t, text, "Hello &lt;b&gt;")
	require.Contains(t, text, "window open")
	require.Greater(t, r.box.Changes(), before)
	r.entry(r.sent("ContentSid=", "Body=Here I am"), "delivered")
	_, text = r.page("say", "customer", to, "sender", sender, "body", "STOP")
	require.Contains(t, text, "opted out")
	require.Contains(t, text, "Here I am")
	requireProblem(t, r.send(), http.StatusBadRequest, 21610)
}

func TestAPhoneSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Config{})
	for _, c := range [][3]string{{"12", sender, "Hi"}, {to, "x", "Hi"}, {to, sender, " "}} {
		status, text := r.page("say", "customer", c[0], "sender", c[1], "body", c[2])
		require.Equal(t, http.StatusBadRequest, status, c)
		require.Contains(t, text, `role="alert"`)
	}
	req, err := http.NewRequest(http.MethodPost, r.url+"/phone/say", nil)
	require.NoError(t, err)
	req.Header.Set("Origin", "https://elsewhere.example")
	resp, err := r.client.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusForbidden, resp.StatusCode, "a form of another site")
}

// TestAPhoneComesBackAsItWas: what was said and read outlives the process.
func TestAPhoneComesBackAsItWas(t *testing.T) {
	t.Parallel()
	cfg := sandbox.Config{File: filepath.Join(t.TempDir(), "sandbox.ndjson"), ReadShare: -1, CallbackDelay: time.Millisecond}
	box, err := sandbox.Open(cfg)
	require.NoError(t, err)
	t.Run("before", func(t *testing.T) {
		r := run(t, box)
		r.entry(r.sent(`ContentVariables={"1":"the lamp"}`), "delivered")
		r.page("say", "customer", to, "sender", sender, "body", "Hello")
		r.page("read", "customer", to, "sender", sender)
	})
	require.NoError(t, box.Close())
	box, err = sandbox.Open(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, box.Close()) })
	_, text := run(t, box).page(chatOf(to, sender))
	require.Contains(t, text, "the lamp")
	require.Contains(t, text, "Hello")
	require.Contains(t, text, "· read")
	require.Contains(t, text, "window open")
}
