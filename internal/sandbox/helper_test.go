package sandbox_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/sandbox"
)

const (
	account  = "AC00000000000000000000000000000001"
	token    = "12345"
	from     = "whatsapp:+15550001111"
	sender   = "15550001111"
	to       = "whatsapp:+4915112345678"
	template = "HX00000000000000000000000000000001"
	service  = "MG00000000000000000000000000000001"
	patience = 10 * time.Second
)

// clock is a clock that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock {
	return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// rig is a running sandbox behind real HTTP.
type rig struct {
	t      *testing.T
	box    *sandbox.Sandbox
	url    string
	client *http.Client
}

func start(t *testing.T, cfg sandbox.Config) *rig {
	t.Helper()
	return run(t, sandbox.New(cfg))
}

func run(t *testing.T, box *sandbox.Sandbox) *rig {
	t.Helper()
	server := httptest.NewServer(box.Handler())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- box.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
		server.Close()
	})
	return &rig{t: t, box: box, url: server.URL, client: server.Client()}
}

// form is a create form of a template message with changes: "Name=value" sets a
// field, "Name=" removes it.
func form(changes ...string) url.Values {
	f := url.Values{"From": {from}, "To": {to}, "ContentSid": {template}}
	for _, change := range changes {
		name, value, _ := strings.Cut(change, "=")
		f.Del(name)
		if value != "" {
			f.Set(name, value)
		}
	}
	return f
}

type reply struct {
	status int
	header http.Header
	body   map[string]any
}

func (r *rig) do(req *http.Request) (reply, error) {
	resp, err := r.client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(r.t, err)
	got := reply{status: resp.StatusCode, header: resp.Header}
	if len(raw) > 0 {
		require.NoError(r.t, json.Unmarshal(raw, &got.body), "%s", raw)
	}
	return got, nil
}

func (r *rig) api(method, path string, f url.Values) *http.Request {
	r.t.Helper()
	if !strings.HasPrefix(path, "/2010") {
		path = "/2010-04-01/Accounts/" + account + "/" + path
	}
	req, err := http.NewRequest(method, r.url+path, strings.NewReader(f.Encode()))
	require.NoError(r.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(account, token)
	return req
}

// send creates a message and returns the answer, whatever it is.
func (r *rig) send(changes ...string) reply {
	r.t.Helper()
	got, err := r.do(r.api("POST", "Messages.json", form(changes...)))
	require.NoError(r.t, err)
	return got
}

// sent creates a message that must be accepted and returns its sid.
func (r *rig) sent(changes ...string) string {
	r.t.Helper()
	got := r.send(changes...)
	require.Equal(r.t, http.StatusCreated, got.status, "%v", got.body)
	return got.body["sid"].(string)
}

func (r *rig) get(path string) reply {
	r.t.Helper()
	got, err := r.do(r.api("GET", path, nil))
	require.NoError(r.t, err)
	return got
}

// control calls a /sandbox/ endpoint.
func (r *rig) control(method, path, body string) reply {
	r.t.Helper()
	req, err := http.NewRequest(method, r.url+path, strings.NewReader(body))
	require.NoError(r.t, err)
	got, err := r.do(req)
	require.NoError(r.t, err)
	return got
}

func (r *rig) ok(method, path, body string) reply {
	r.t.Helper()
	got := r.control(method, path, body)
	require.Less(r.t, got.status, 300, "%v", got.body)
	return got
}

// entry waits until the ledger's entry of sid has the status.
func (r *rig) entry(sid, status string) sandbox.Entry {
	r.t.Helper()
	var found sandbox.Entry
	require.Eventually(r.t, func() bool {
		for _, e := range r.box.Ledger() {
			if e.SID == sid {
				found = e
			}
		}
		return found.Status == status
	}, patience, time.Millisecond, "waiting for %s", status)
	return found
}

// hook is a webhook that arrived.
type hook struct {
	url    string
	form   url.Values
	header http.Header
}

// ears listens for webhooks.
type ears struct {
	url   string
	heard chan hook
}

// listen starts a receiver that answers each webhook as answer says; nil is
// 204 always.
func listen(t *testing.T, answer func(w http.ResponseWriter, form url.Values)) ears {
	t.Helper()
	e := ears{heard: make(chan hook, 1000)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		e.heard <- hook{"http://" + r.Host + r.URL.RequestURI(), r.PostForm, r.Header}
		if answer == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		answer(w, r.PostForm)
	}))
	t.Cleanup(server.Close)
	e.url = server.URL
	return e
}

func (e ears) next(t *testing.T) hook {
	t.Helper()
	select {
	case h := <-e.heard:
		return h
	case <-time.After(patience):
		require.FailNow(t, "no webhook came")
		return hook{}
	}
}

// statuses collects n callbacks' statuses in the order they came.
func (e ears) statuses(t *testing.T, n int) []string {
	t.Helper()
	var got []string
	for range n {
		got = append(got, e.next(t).form.Get("MessageStatus"))
	}
	return got
}
