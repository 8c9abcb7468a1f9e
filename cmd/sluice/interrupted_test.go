package main_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// requireInterrupted ends a command that has something to finish: that is no
// success, and one line says what to do next.
func requireInterrupted(t *testing.T, p *process, next string) {
	t.Helper()
	code, _ := p.terminate()
	require.Equal(t, 1, code, p.stderr.String())
	require.Empty(t, p.stdout.String())
	said := lines(p.stderr.String())
	require.True(t, strings.HasPrefix(said[len(said)-1], "sluice: interrupted: "), p.stderr.String())
	require.Contains(t, said[len(said)-1], next)
}

// TestInterruptedCommandsFail while the API takes its time.
func TestInterruptedCommandsFail(t *testing.T) {
	t.Parallel()
	asked, over := make(chan struct{}, 8), make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.URL.Path == "/v1/plan" && r.Header.Get("Authorization") != "" {
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"error":{"code":"forbidden","message":"the key lacks the scope read"}}`))
			return
		}
		asked <- struct{}{}
		<-over
	}))
	defer slow.Close()
	defer close(over)
	rows := filepath.Join(t.TempDir(), "rows.csv")
	require.NoError(t, os.WriteFile(rows, []byte("to,from,content_sid\n+15552000001,+"+alpha+","+template+"\n"), 0o600))
	shell := env{"SLUICE_API_URL": slow.URL}
	for name, tc := range map[string]struct {
		shell env
		args  []string
		next  string
	}{
		"send": {shell, []string{"send", "--from", "+" + alpha, "--to", "+15552000001", "--body", "Hi"}, "--id"},
		"send a file": {shell.with("SLUICE_API_KEY", "may only publish"),
			[]string{"send", "--csv", rows, "--campaign", "spring", "--yes"}, "--campaign"},
		"plan": {shell, []string{"plan", "--csv", rows}, "nothing was sent"},
		"jobs": {shell, []string{"jobs", "cancel", "order-17"}, "run it again"},
	} {
		p := start(t, tc.shell, tc.args...)
		select {
		case <-asked:
		case <-p.ended:
			require.Fail(t, "it has ended", "%s: %s", name, p.stderr.String())
		}
		requireInterrupted(t, p, tc.next)
	}
}

// TestInterruptedWaits: the job of a sender that is paused never ends.
func TestInterruptedWaits(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t))
	h.api.must(http.MethodPost, "/v1/senders/"+alpha+"/pause", nil, nil)
	p := start(t, env{"SLUICE_API_URL": h.API}, "send", "--id", "order-17", "--from", "+"+alpha, "--to", "+15552000001", "--content-sid", template, "--wait")
	eventually(t, func() bool { return h.api.do(http.MethodGet, "/v1/jobs/order-17", nil).status == http.StatusOK },
		func() string { return p.stderr.String() })
	requireInterrupted(t, p, "--id")
}

// TestInterruptedRebuild: without a tracker nobody fills what it has emptied.
func TestInterruptedRebuild(t *testing.T) {
	t.Parallel()
	lookRedis(t)
	addr := fixedAddr(t)
	startRedis(t, addr)
	p := start(t, quick(t).quietly().with("SLUICE_NATS_URL", startNATS(t), "SLUICE_REDIS_URL", "redis://"+addr), "rebuild", "--yes", "--wait", "1h")
	eventually(t, func() bool { return strings.Contains(p.stderr.String(), "dropped") }, func() string { return p.stderr.String() })
	requireInterrupted(t, p, "the trackers go on")
}

// TestInterruptedMeasurements say nothing of what was not measured.
func TestInterruptedMeasurements(t *testing.T) {
	t.Parallel()
	demo := start(t, env{}, "demo", "--jobs", "2000", "--json")
	eventually(t, func() bool { return strings.Contains(demo.stderr.String(), "2000 jobs") }, func() string { return demo.stderr.String() })
	requireInterrupted(t, demo, "the demo was not over")
	dir := t.TempDir()
	bench := start(t, env{"TMPDIR": dir}, "bench", "--jobs", "100000")
	eventually(t, func() bool {
		found, _ := filepath.Glob(filepath.Join(dir, "sluice-*", "*"))
		return len(found) > 0
	}, func() string { return bench.stderr.String() })
	requireInterrupted(t, bench, "nothing was measured")
}

// TestServingEndsWell by a signal, also while it has not found its engines yet.
func TestServingEndsWell(t *testing.T) {
	t.Parallel()
	engines := quick(t).quietly().with("SLUICE_NATS_URL", startNATS(t), "SLUICE_REDIS_URL", "redis://"+fixedAddr(t))
	for _, role := range []string{"up", "dispatcher", "callbacks", "api", "tracker"} {
		admin := fixedAddr(t)
		p := start(t, engines.with("SLUICE_ADMIN_ADDR", admin), role)
		eventually(t, func() bool { // the address is opened first
			c, err := net.Dial("tcp", admin)
			if err == nil {
				c.Close()
			}
			return err == nil
		}, func() string { return p.stderr.String() })
		code, _ := p.terminate()
		require.Zero(t, code, "%s: %s", role, p.stderr.String())
	}
}

// TestAKeptDemoEndsWell by the signal that it waits for.
func TestAKeptDemoEndsWell(t *testing.T) {
	t.Parallel()
	demo := start(t, env{}, "demo", "--jobs", "20", "--keep", "--json")
	eventually(t, func() bool { return strings.Contains(demo.stderr.String(), "still up") }, func() string { return demo.stderr.String() })
	code, _ := demo.terminate()
	require.Zero(t, code, demo.stderr.String())
	require.Contains(t, demo.stdout.String(), `"jobs":20`)
}
