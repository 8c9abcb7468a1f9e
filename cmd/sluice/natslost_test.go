package main_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// engined is `sluice up` on a NATS and a Redis of its own, with a provider that
// outlives all of them.
type engined struct {
	house
	settings          env
	natsAddr, natsDir string
	server            *process
}

func startEngined(t *testing.T, more ...string) *engined {
	t.Helper()
	return startBounded(t, 1<<40, more...)
}

// startBounded is startEngined on a NATS with room for so many bytes.
func startBounded(t *testing.T, most int64, more ...string) *engined {
	t.Helper()
	lookRedis(t)
	e := &engined{natsAddr: fixedAddr(t), natsDir: t.TempDir()}
	redisAddr := fixedAddr(t)
	startRedis(t, redisAddr)
	e.server = boundedNATS(t, e.natsAddr, e.natsDir, most)
	settings := quick(t).with("SLUICE_NATS_URL", "nats://"+e.natsAddr, "SLUICE_REDIS_URL", "redis://"+redisAddr,
		"SLUICE_API_ADDR", fixedAddr(t), "SLUICE_CALLBACKS_ADDR", fixedAddr(t), "SLUICE_WINDOW", "1h",
		"SLUICE_JOBS_MAX_BYTES", "1000000").with(more...)
	settings["SLUICE_PUBLIC_URL"] = "http://" + settings["SLUICE_CALLBACKS_ADDR"]
	judge := startProvider(t, settings)
	settings["SLUICE_MESSAGES_URL"] = judge.base
	up := start(t, settings, "up")
	told := up.ready()
	e.settings = settings
	e.house = house{process: up, addresses: told, api: newSite(t, told.API), provider: judge, nats: connect(t, "nats://"+e.natsAddr)}
	return e
}

// TestNATSLost: nothing is promised while it cannot be kept, and everything goes
// on once NATS is back.
func TestNATSLost(t *testing.T) {
	t.Parallel()
	e := startEngined(t)
	require.Equal(t, http.StatusAccepted, e.api.post(notice("before", alpha, 1)).status)
	e.api.await("before", "delivered", "read")
	e.server.kill()

	e.requireUnavailable(t)

	e.server = childNATS(t, e.natsAddr, e.natsDir)
	eventually(t, func() bool { return e.api.post(notice("meanwhile", alpha, 2)).status == http.StatusAccepted },
		func() string { return "not taken" })
	e.api.await("meanwhile", "delivered", "read")
	e.provider.requireOnce([]string{"before", "meanwhile"})
}

// requireUnavailable asks API and callbacks side by side for what has to be
// stored, each of which says 503, the API also when to try again.
func (e *engined) requireUnavailable(t *testing.T) {
	t.Helper()
	patient := &http.Client{Timeout: patience}
	defer patient.CloseIdleConnections()
	type reply struct {
		status int
		after  string
	}
	answered := make(chan reply, 2)
	ask := func(target, kind, body string, headers ...string) {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, target, strings.NewReader(body))
		if err == nil {
			req.Header.Set("Content-Type", kind)
			for i := 0; i < len(headers); i += 2 {
				req.Header.Set(headers[i], headers[i+1])
			}
			var resp *http.Response
			if resp, err = patient.Do(req); err == nil {
				resp.Body.Close()
				answered <- reply{resp.StatusCode, resp.Header.Get("Retry-After")}
				return
			}
		}
		answered <- reply{after: err.Error()}
	}
	go ask(e.API+"/v1/jobs", "application/json", string(notice("meanwhile", alpha, 2).json()))
	ours := caller{newSite(t, e.Callbacks), e.settings["SLUICE_PUBLIC_URL"], sandboxAccount, "sandbox"}
	const path = "/twilio/status/before/1"
	form := url.Values{"MessageSid": {"SM" + strings.Repeat("1", 32)}, "MessageStatus": {"read"}, "AccountSid": {sandboxAccount}}
	go ask(ours.base+path, "application/x-www-form-urlencoded", form.Encode(), "X-Twilio-Signature", ours.sign(path, form))
	told := 0
	for range 2 {
		r := <-answered
		require.Equal(t, http.StatusServiceUnavailable, r.status, r.after)
		if r.after != "" {
			told++
		}
	}
	require.Equal(t, 1, told, "the API says when to try again")
}

// TestNATSFull: a server without room refuses everybody clearly, and everything
// goes on once it has some.
func TestNATSFull(t *testing.T) {
	t.Parallel()
	e := startBounded(t, 4<<20)
	require.Equal(t, http.StatusAccepted, e.api.post(notice("before", alpha, 1)).status)
	e.api.await("before", "delivered", "read")
	e.fill(t)
	e.requireUnavailable(t)
	_, err := e.nats.try(subject("normal", alpha), notice("bare", alpha, 3).json(), "bare")
	var refused *jetstream.APIError
	require.ErrorAs(t, err, &refused)
	require.EqualValues(t, 10023, refused.ErrorCode)

	require.NoError(t, e.nats.js.DeleteStream(t.Context(), "OTHER"))
	for n, id := range []string{"meanwhile", "bare"} {
		eventually(t, func() bool { return e.api.post(notice(id, alpha, n+2)).status == http.StatusAccepted },
			func() string { return "not taken" })
		e.api.await(id, "delivered", "read")
	}
	e.provider.requireOnce([]string{"before", "meanwhile", "bare"})
}

// fill uses up what NATS may store, by somebody else's stream.
func (e *engined) fill(t *testing.T) {
	t.Helper()
	_, err := e.nats.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"other"}})
	require.NoError(t, err)
	for size := 256 << 10; size > 0; size /= 2 {
		for err = nil; err == nil; {
			_, err = e.nats.js.Publish(t.Context(), "other", make([]byte, size))
		}
	}
}

// sandboxAccount is who signs in to the sandbox where nobody is configured.
const sandboxAccount = "AC00000000000000000000000000005a9d"

// TestNATSRestoredFromABackup: what was sent since is not in the log any more,
// and so is not sent again before a person has looked. A rebuild begins paused.
func TestNATSRestoredFromABackup(t *testing.T) {
	t.Parallel()
	e := startEngined(t, "SLUICE_UNKNOWN_GRACE", "5s") // one is in doubt until the backup is made
	for i := range 3 {
		id := fmt.Sprintf("old-%d", i)
		require.Equal(t, http.StatusAccepted, e.api.post(notice(id, alpha, i)).status)
		e.api.await(id, "delivered", "read")
	}
	// One message is under way when the backup is made: its answer is lost, and
	// so are its callbacks.
	e.provider.faults(fields{"drop_response": 1, "callback_lost": 1})
	require.Equal(t, http.StatusAccepted, e.api.post(notice("open", alpha, 4)).status)
	e.api.await("open", "sending", "unknown")
	e.provider.faults(fields{})
	e.restartNATS(t, func() { e.backUp(t) })
	for i := range 5 {
		id := fmt.Sprintf("since-%d", i)
		require.Equal(t, http.StatusAccepted, e.api.post(notice(id, alpha, 10+i)).status)
		e.api.await(id, "delivered", "read")
	}
	e.restartNATS(t, func() { e.restore(t) })
	awaitReadyz(e.api, http.StatusServiceUnavailable, "gate is closed")
	eventually(t, func() bool { return strings.Contains(e.stderr.tail(1<<20), "sluice rebuild --yes --paused") },
		func() string { return e.stderr.tail(2000) })

	rebuilt := run(t, e.settings, "rebuild", "--yes", "--paused")
	require.Zero(t, rebuilt.code, rebuilt.stderr)
	require.Equal(t, http.StatusAccepted, e.api.post(notice("new", alpha, 20)).status)
	require.Equal(t, "paused", e.api.await("new", "parked").Reason)
	open := e.api.await("open", "queued")
	require.Contains(t, open.types(), "unknown")
	require.Equal(t, 1, open.Attempt, "it was looked for, and found")
	e.api.must(http.MethodPost, "/v1/resume", nil, nil)
	e.api.await("new", "delivered", "read")
	for i := range 3 {
		require.Contains(t, []string{"delivered", "read"}, e.api.job(fmt.Sprintf("old-%d", i)).Status)
	}
	e.provider.requireOnce([]string{"old-0", "old-1", "old-2", "open", "since-0", "since-1", "since-2", "since-3", "since-4", "new"})
}

func (e *engined) restartNATS(t *testing.T, between func()) {
	t.Helper()
	e.server.kill()
	between()
	e.server = childNATS(t, e.natsAddr, e.natsDir)
	eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := e.nats.js.Stream(ctx, "SLUICE_LOG")
		return err == nil
	}, func() string { return "NATS does not come back" })
}

func (e *engined) backUp(t *testing.T) {
	t.Helper()
	require.NoError(t, os.CopyFS(e.natsDir+".backup", os.DirFS(e.natsDir)))
	t.Cleanup(func() { os.RemoveAll(e.natsDir + ".backup") })
}

func (e *engined) restore(t *testing.T) {
	t.Helper()
	require.NoError(t, os.RemoveAll(e.natsDir))
	require.NoError(t, os.CopyFS(e.natsDir, os.DirFS(e.natsDir+".backup")))
}
