package main_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"
)

// TestReadinessMeansIt: roles come before what they stand on, wait for it, and
// say so again whenever it is away.
func TestReadinessMeansIt(t *testing.T) {
	t.Parallel()
	lookRedis(t)
	natsAddr, natsDir, redisAddr := fixedAddr(t), t.TempDir(), fixedAddr(t)
	settings := quick(t).with("SLUICE_NATS_URL", "nats://"+natsAddr, "SLUICE_REDIS_URL", "redis://"+redisAddr,
		"SLUICE_PUBLIC_URL", "http://127.0.0.1:1")
	delete(settings, "SLUICE_DATA")
	settings["SLUICE_MESSAGES_URL"] = startProvider(t, settings).base
	names := []string{"dispatcher", "api", "tracker", "callbacks"}
	var started []*process
	for _, name := range names {
		started = append(started, start(t, settings, name))
	}
	// First a server that takes connections and has no JetStream yet.
	early := plainNATS(t, natsAddr)
	startedRedis := startRedis(t, redisAddr)
	eventually(t, func() bool { return early.NumClients() >= 2*len(names) }, func() string { return "nobody has come" })
	early.Shutdown()
	early.WaitForShutdown()
	queue := childNATS(t, natsAddr, natsDir)

	roles := map[string]*site{}
	for i, name := range names {
		roles[name] = newSite(t, started[i].ready().Admin)
		awaitReadyz(roles[name], http.StatusOK, "ready")
	}
	queue.kill()
	for _, role := range roles {
		awaitReadyz(role, http.StatusServiceUnavailable, "not ready")
		require.Equal(t, http.StatusOK, role.do(http.MethodGet, "/healthz", nil).status, "it lives")
	}
	childNATS(t, natsAddr, natsDir)
	for _, role := range roles {
		awaitReadyz(role, http.StatusOK, "ready")
	}
	startedRedis.kill()
	for _, name := range []string{"dispatcher", "api", "tracker"} {
		awaitReadyz(roles[name], http.StatusServiceUnavailable, "not ready")
	}
	awaitReadyz(roles["callbacks"], http.StatusOK, "ready") // what is told is stored all the same
	startRedis(t, redisAddr)
	for _, role := range roles {
		awaitReadyz(role, http.StatusOK, "ready")
	}
}

// plainNATS is a server without JetStream.
func plainNATS(t testing.TB, addr string) *server.Server {
	t.Helper()
	host, port, _ := strings.Cut(addr, ":")
	s, err := server.NewServer(&server.Options{Host: host, Port: atoi(t, port), NoSigs: true, NoLog: true})
	require.NoError(t, err)
	s.Start()
	t.Cleanup(s.Shutdown)
	require.True(t, s.ReadyForConnections(patience))
	return s
}

func atoi(t testing.TB, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}
