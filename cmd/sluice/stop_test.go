package main_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestStopsInOrder sends SIGTERM while a message is under way. The process
// waits for the answer, writes it down, and ends within the drain time.
func TestStopsInOrder(t *testing.T) {
	t.Parallel()
	settings := quick(t).quietly().with("SLUICE_SEND_TIMEOUT", "4s", "SLUICE_ACK_WAIT", "8s", "SLUICE_DRAIN_TIMEOUT", "20s",
		"SLUICE_API_ADDR", fixedAddr(t), "SLUICE_CALLBACKS_ADDR", fixedAddr(t))
	slow := startProvider(t, settings)
	slow.faults(fields{"latency": "1s", "callback_lost": 1})
	settings["SLUICE_MESSAGES_URL"] = slow.base
	up := start(t, settings, "up")
	api := newSite(t, up.ready().API)
	require.Equal(t, http.StatusAccepted, api.post(notice("order-17", alpha, 1)).status)
	eventually(t, func() bool { return slow.accepted() == 1 }, func() string { return "nothing was sent" })

	code, took := up.terminate()
	require.Zero(t, code, up.stderr.String())
	require.Less(t, took, 20*time.Second)
	require.Len(t, lines(up.stderr.String()), 1, "an orderly end is nothing to warn of: %s", up.stderr.tail(2000))

	// Nobody has to look for evidence afterwards.
	start(t, settings, "up").ready()
	job := api.job("order-17")
	require.Equal(t, "queued", job.Status)
	require.Equal(t, []string{"accepted", "sending", "queued"}, job.types())
	slow.requireOnce([]string{"order-17"})
}

// TestStopsIdle ends at once what has nothing to do.
func TestStopsIdle(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"up"}, {"sandbox"}} {
		p := start(t, quick(t).with("SLUICE_DRAIN_TIMEOUT", "30s"), args...)
		p.ready()
		code, took := p.terminate()
		require.Zero(t, code, p.stderr.String())
		require.Less(t, took, 15*time.Second, "%v", args)
	}
}

// TestStopsInTimeWhateverClientsDo: one that sends half of a request, one that
// sends nothing and one that follows the events.
func TestStopsInTimeWhateverClientsDo(t *testing.T) {
	t.Parallel()
	const drain = 2 * time.Second
	up := start(t, quick(t).with("SLUICE_DRAIN_TIMEOUT", drain.String()), "up")
	addr := strings.TrimPrefix(up.ready().API, "http://")
	for _, said := range []string{
		"", "GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
		"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-ndjson\r\nContent-Length: 1000\r\n\r\n{",
	} {
		client, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		defer client.Close()
		_, err = io.WriteString(client, said)
		require.NoError(t, err)
	}
	require.Equal(t, http.StatusOK, newSite(t, "http://"+addr).do(http.MethodGet, "/healthz", nil).status) // they are served
	code, took := up.terminate()
	require.Zero(t, code, up.stderr.String())
	require.Less(t, took, drain+15*time.Second)
}
