package main_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// startRedis runs an empty Redis that keeps nothing.
func startRedis(t testing.TB, addr string) *process {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	server := startProgram(t, env{}, lookRedis(t), "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", t.TempDir())
	client := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
	defer client.Close()
	eventually(t, func() bool { return client.Ping(t.Context()).Err() == nil }, func() string { return server.stdout.tail(2000) })
	return server
}

// TestRolesApart runs each role as a process of its own, two dispatchers among
// them, and takes Redis with all it knows away in between.
func TestRolesApart(t *testing.T) {
	t.Parallel()
	lookRedis(t)
	redisAddr := fixedAddr(t)
	redisServer := startRedis(t, redisAddr)
	settings := quick(t).with("SLUICE_NATS_URL", startNATS(t), "SLUICE_REDIS_URL", "redis://"+redisAddr)
	delete(settings, "SLUICE_DATA")
	judge := startProvider(t, settings)
	settings["SLUICE_MESSAGES_URL"] = judge.base

	received := start(t, settings, "callbacks").ready()
	require.Equal(t, "callbacks", received.Role)
	settings["SLUICE_PUBLIC_URL"] = received.Callbacks
	api := newSite(t, start(t, settings, "api").ready().API)
	tracker := start(t, settings, "tracker")
	metrics := newSite(t, tracker.ready().Admin)
	require.Equal(t, http.StatusAccepted, api.post(notice("early", alpha, 1000)).status)
	eventually(t, func() bool {
		return sample(scrape(t, metrics), "sluice_backlog_oldest_seconds").GetGauge().GetValue() > 0
	}, func() string { return "nobody takes the job, and its age does not show" })
	senders := []*site{
		newSite(t, start(t, settings, "dispatcher").ready().Admin), newSite(t, start(t, settings, "dispatcher").ready().Admin),
	}
	for _, sender := range []string{alpha, beta} { // not so fast that all have gone before Redis is lost
		api.must(http.MethodPut, "/v1/senders/"+sender, fields{"limit": 1000, "mps": 20}, nil)
	}
	judge.must(http.MethodPut, "/sandbox/senders/"+alpha, fields{"limit": 1000}, nil)
	judge.must(http.MethodPut, "/sandbox/senders/"+beta, fields{"limit": 1000}, nil)

	jobs, ids := campaign(200)
	publishing := publishAll(t, connect(t, settings["SLUICE_NATS_URL"]), api, jobs)
	eventually(t, func() bool { return judge.accepted() >= 60 }, func() string { return "too few messages went" })
	redisServer.kill()
	startRedis(t, redisAddr)
	// The tracker's word is looked for and not /readyz, which is 503 for so
	// short a while that a slow poll may miss it.
	opened := func() int { return strings.Count(tracker.stderr.tail(1<<20), "the gate is open") }
	eventually(t, func() bool { return opened() >= 2 }, func() string { return fmt.Sprintf("the gate was opened %d times", opened()) })
	sentBefore := judge.accepted()
	for _, sender := range senders {
		awaitReadyz(sender, http.StatusOK, "ready")
	}
	require.NoError(t, publishing.Wait())
	ids = append(ids, "early")
	api.awaitEnd(ids)
	require.Zero(t, sample(scrape(t, metrics), "sluice_backlog_oldest_seconds").GetGauge().GetValue())
	require.Greater(t, judge.accepted(), sentBefore, "everything was sent before Redis was lost, so the test was too easy")
	judge.requireOnce(ids)
}

// awaitReadyz polls a role's /readyz until it answers so.
func awaitReadyz(role *site, status int, says string) {
	role.t.Helper()
	var last answer
	eventually(role.t, func() bool {
		last = role.do(http.MethodGet, "/readyz", nil)
		return last.status == status && strings.Contains(string(last.body), says)
	}, func() string { return fmt.Sprintf("/readyz says %d %s", last.status, last.body) })
}
