package sandbox_test

import (
	"context"
	"io"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/sandbox"
)

func TestFaultsOfTheAnswer(t *testing.T) {
	t.Parallel()
	for fault, c := range map[string]struct {
		accepted int
		check    func(*testing.T, reply, error)
	}{
		"drop_response": {1, func(t *testing.T, _ reply, err error) { require.ErrorIs(t, err, io.EOF) }},
		"server_error": {1, func(t *testing.T, got reply, err error) {
			require.NoError(t, err)
			requireProblem(t, got, http.StatusInternalServerError, 20500)
		}},
		"too_many": {0, func(t *testing.T, got reply, err error) {
			require.NoError(t, err)
			requireProblem(t, got, http.StatusTooManyRequests, 20429)
			require.Equal(t, "1", got.header.Get("Retry-After"))
		}},
		"reset": {0, func(t *testing.T, _ reply, err error) { require.ErrorIs(t, err, syscall.ECONNRESET) }},
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			r := start(t, sandbox.Config{})
			r.ok("PUT", "/sandbox/faults", `{"`+fault+`":1}`)
			got, err := r.do(r.api("POST", "Messages.json", form()))
			c.check(t, got, err)
			require.Len(t, r.box.Ledger(), c.accepted)

			bad, err := r.do(r.api("POST", "Messages.json", form("To=")))
			if c.accepted == 1 {
				require.NoError(t, err, "what is refused meets no fault of the accepted")
				requireProblem(t, bad, http.StatusBadRequest, 21604)
			}
		})
	}
}

func TestLatencyComesAfterAcceptance(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Config{})
	r.ok("PUT", "/sandbox/faults", `{"latency":"1h"}`)
	ctx, leave := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := r.client.Do(r.api("POST", "Messages.json", form()).WithContext(ctx))
		ended <- err
	}()
	require.Eventually(t, func() bool { return r.size() == 1 }, patience, time.Millisecond)
	leave() // it is taken, and nothing was answered
	require.ErrorIs(t, <-ended, context.Canceled)
	require.Len(t, r.box.Ledger(), 1)

	r.ok("PUT", "/sandbox/faults", `{"latency":"50ms"}`)
	began := time.Now()
	sid := r.sent()
	require.GreaterOrEqual(t, time.Since(began), 50*time.Millisecond)
	began = time.Now()
	r.get("Messages/" + sid + ".json")
	require.GreaterOrEqual(t, time.Since(began), 50*time.Millisecond)
}

// fates returns the statuses of 64 requests under a fault that hits half.
func fates(t *testing.T, seed uint64, f sandbox.Faults) (got []int) {
	t.Helper()
	box := sandbox.New(sandbox.Config{Seed: seed})
	require.NoError(t, box.SetFaults(f))
	handler := box.Handler()
	for range 64 {
		got = append(got, post(handler, form().Encode()).Code)
	}
	return got
}

func TestFaultsFollowTheSeed(t *testing.T) {
	t.Parallel()
	half := sandbox.Faults{TooMany: 0.5}
	first := fates(t, 1, half)
	require.Contains(t, first, 429)
	require.Contains(t, first, 201)
	require.Equal(t, first, fates(t, 1, half))
	require.NotEqual(t, first, fates(t, 2, half))
	half.ServerError, half.CallbackLost = 0.5, 0.5
	for i, status := range fates(t, 1, half) {
		require.Equal(t, first[i] == 429, status == 429, "other faults leave this one's victims be")
	}
}

func TestSetFaultsRefuses(t *testing.T) {
	t.Parallel()
	box := sandbox.New(sandbox.Config{})
	for _, f := range []sandbox.Faults{
		{Reset: -0.1}, {Reset: 1.1}, {CallbackDoubled: 2},
		{Latency: -1}, {CallbackDelay: sandbox.Duration(2 * time.Hour)},
	} {
		require.Error(t, box.SetFaults(f), "%+v", f)
	}
	require.Zero(t, box.Faults())
}
