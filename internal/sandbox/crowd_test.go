package sandbox_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/sandbox"
)

// hold starts n requests that are accepted and then wait for their answers, and
// returns how to break them off.
func (r *rig) hold(n int) (release func()) {
	r.t.Helper()
	r.ok("PUT", "/sandbox/faults", `{"latency":"1h"}`)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, n)
	for range n {
		req := r.api("POST", "Messages.json", form()).WithContext(ctx)
		go func() {
			_, err := r.do(req)
			ended <- err
		}()
	}
	require.Eventually(r.t, func() bool { return r.size() == n }, patience, time.Millisecond)
	r.ok("PUT", "/sandbox/faults", `{}`) // for the requests that follow
	return func() {
		cancel()
		for range n {
			require.ErrorIs(r.t, <-ended, context.Canceled)
		}
		r.alone()
	}
}

// alone waits until the server has seen every other client go.
func (r *rig) alone() {
	r.t.Helper()
	require.Eventually(r.t, func() bool {
		got := r.get("Messages.json")
		return got.status == http.StatusOK && got.header.Get("Twilio-Concurrent-Requests") == "1"
	}, patience, time.Millisecond)
}

func TestTooManyRequestsAtOnce(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Config{Concurrency: 3})
	release := r.hold(2)
	got := r.send()
	require.Equal(t, http.StatusCreated, got.status)
	require.Equal(t, "3", got.header.Get("Twilio-Concurrent-Requests"))
	release()

	require.NoError(t, r.box.Reset())
	release = r.hold(3)
	refused := r.send()
	requireProblem(t, refused, http.StatusTooManyRequests, 20429)
	require.Equal(t, "4", refused.header.Get("Twilio-Concurrent-Requests"))
	requireProblem(t, r.get("Messages.json"), http.StatusTooManyRequests, 20429)
	require.Equal(t, 3, r.size(), "not processed")
	other := r.api("GET", "/2010-04-01/Accounts/AC2/Messages.json", nil)
	other.SetBasicAuth("AC2", "x")
	got, err := r.do(other)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.status, "another account")
	require.Equal(t, "1", got.header.Get("Twilio-Concurrent-Requests"))

	release()
	r.sent()
}

func TestConcurrencyByDefault(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Config{MPS: -1})
	release := r.hold(100)
	requireProblem(t, r.send(), http.StatusTooManyRequests, 20429)
	release()

	r = start(t, sandbox.Config{MPS: -1, Concurrency: -1})
	release = r.hold(101)
	r.sent()
	release()
}

// TestBrokenRequestsAreCountedOut ends requests in every way a fault can.
func TestBrokenRequestsAreCountedOut(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Config{Concurrency: 1})
	for _, fault := range []string{"drop_response", "reset", "server_error", "too_many"} {
		r.ok("PUT", "/sandbox/faults", `{"`+fault+`":1}`)
		_, _ = r.do(r.api("POST", "Messages.json", form()))
		r.ok("PUT", "/sandbox/faults", `{}`)
		r.alone()
	}
}
