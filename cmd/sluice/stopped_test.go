package main_test

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestStoppedWorkerSendsNothingOnWaking stops a dispatcher that has been granted
// sends and has not begun them, until others have taken its jobs over. It must
// notice by itself: nobody can take the grants back.
func TestStoppedWorkerSendsNothingOnWaking(t *testing.T) {
	t.Parallel()
	lookRedis(t)
	redisAddr, callbacksAddr := fixedAddr(t), fixedAddr(t)
	startRedis(t, redisAddr)
	settings := quick(t).with("SLUICE_NATS_URL", startNATS(t), "SLUICE_REDIS_URL", "redis://"+redisAddr,
		"SLUICE_CALLBACKS_ADDR", callbacksAddr, "SLUICE_PUBLIC_URL", "http://"+callbacksAddr)
	delete(settings, "SLUICE_DATA")
	judge := startProvider(t, settings)
	settings["SLUICE_MESSAGES_URL"] = judge.base
	start(t, settings, "callbacks").ready()
	start(t, settings, "tracker").ready()
	api := newSite(t, start(t, settings, "api").ready().API)
	// At 40 a second, every send has its turn booked up to 100 ms ahead: there
	// is always one between its grant and its POST.
	for _, site := range []struct {
		*site
		path string
	}{{api, "/v1/senders/"}, {judge.site, "/sandbox/senders/"}} {
		site.must(http.MethodPut, site.path+alpha, fields{"limit": 10_000}, nil)
	}
	api.must(http.MethodPut, "/v1/senders/"+alpha, fields{"mps": 40}, nil)
	sleeper := start(t, settings, "dispatcher")
	sleeper.ready()
	other := start(t, settings, "dispatcher")
	other.ready()

	woke := func() bool { return strings.Contains(sleeper.stderr.tail(1<<20), "stood still beyond its grant") }
	var ids []string
	for round := 0; round < 8 && !woke(); round++ {
		var jobs []fields
		for i := range 60 {
			id := fmt.Sprintf("job-%d-%02d", round, i)
			ids = append(ids, id)
			jobs = append(jobs, notice(id, alpha, len(ids)))
		}
		before := judge.accepted()
		require.NoError(t, api.tryLines(jobs))
		eventually(t, func() bool { return judge.accepted() >= before+10 }, func() string { return "nothing goes" })
		require.NoError(t, sleeper.cmd.Process.Signal(syscall.SIGSTOP))
		<-time.After(stoppedFor)
		require.NoError(t, sleeper.cmd.Process.Signal(syscall.SIGCONT))
		api.awaitEnd(ids)
	}
	require.True(t, woke(), "the worker was never stopped with a grant in its hands: the test was too easy")
	judge.requireOnce(ids)
}
