package main_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// natsVariable makes the test binary run a NATS server and no test: address,
// folder and the bytes that it may store. So a server can be ended with kill -9 without one being installed.
const natsVariable = "SLUICE_TEST_NATS"

// serveNATS runs until it is told to end.
func serveNATS(spec string) int {
	addr, rest, _ := strings.Cut(spec, ",")
	dir, most, _ := strings.Cut(rest, ",")
	host, text, err := net.SplitHostPort(addr)
	port, wrong := strconv.Atoi(text)
	store, odd := strconv.ParseInt(most, 10, 64)
	if errors.Join(err, wrong, odd) != nil {
		fmt.Fprintln(os.Stderr, natsVariable, spec)
		return 2
	}
	s, err := server.NewServer(&server.Options{Host: host, Port: port, JetStream: true, StoreDir: dir, JetStreamMaxStore: store, NoSigs: true, NoLog: true})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, os.Interrupt)
	s.Start()
	<-end
	s.Shutdown()
	s.WaitForShutdown()
	return 0
}

// childNATS is a NATS server in a process of its own, on a folder that outlives
// it.
func childNATS(t testing.TB, addr, dir string) *process {
	t.Helper()
	return boundedNATS(t, addr, dir, 1<<40)
}

// boundedNATS is childNATS with room for so many bytes.
func boundedNATS(t testing.TB, addr, dir string, most int64) *process {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	p := startProgram(t, env{natsVariable: fmt.Sprintf("%s,%s,%d", addr, dir, most)}, self)
	eventually(t, func() bool {
		nc, err := nats.Connect("nats://" + addr)
		if err == nil {
			nc.Close()
		}
		return err == nil
	}, func() string { return p.stderr.tail(2000) })
	return p
}

// How a Redis keeps its data: an append-only file written every second, a
// snapshot every second, or not at all.
var (
	redisAOF     = []string{"--appendonly", "yes", "--appendfsync", "everysec", "--save", ""}
	redisRDB     = []string{"--appendonly", "no", "--save", "1 1"}
	redisNothing = []string{"--appendonly", "no", "--save", ""}
)

// childRedis is a redis-server on a folder that outlives it.
func childRedis(t testing.TB, addr, dir string, keeps []string) *process {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	p := startProgram(t, env{}, lookRedis(t), append([]string{"--port", port, "--bind", "127.0.0.1", "--dir", dir}, keeps...)...)
	client := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
	defer client.Close()
	eventually(t, func() bool { return client.Ping(t.Context()).Err() == nil }, func() string { return p.stdout.tail(2000) })
	return p
}
