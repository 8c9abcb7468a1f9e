package ledger_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(withRedis{m}) }

// databases is how many tests can have a database of their own.
const databases = 256

var (
	redisAddr    string // of the real server, empty where there is none
	nextDatabase atomic.Int64
)

// withRedis runs the tests beside a real redis-server, where one is found. In
// CI one must be.
type withRedis struct{ m *testing.M }

func (w withRedis) Run() int {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		if os.Getenv("CI") != "" {
			fmt.Println("redis-server is not on PATH, and CI must test against it")
			return 1
		}
		fmt.Println("ledger: no redis-server on PATH, testing on the embedded one alone")
		return w.m.Run()
	}
	stop, err := startRedis(path)
	if err != nil {
		fmt.Println("ledger: redis-server does not start:", err)
		return 1
	}
	defer stop()
	fmt.Println("ledger: testing on", path, "and on the embedded one")
	return w.m.Run()
}

func startRedis(path string) (stop func(), err error) {
	dir, err := os.MkdirTemp("", "ledger-redis-")
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	server := exec.Command(path, "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", dir,
		"--databases", strconv.Itoa(databases))
	if err := server.Start(); err != nil {
		return nil, err
	}
	stop = func() {
		_ = server.Process.Kill()
		_ = server.Wait()
		_ = os.RemoveAll(dir)
	}
	redisAddr = "127.0.0.1:" + port
	rdb := redis.NewClient(&redis.Options{Addr: redisAddr, MaxRetries: 100, MaxRetryBackoff: 50 * time.Millisecond})
	defer rdb.Close()
	if err := rdb.Ping(context.Background()).Err(); err != nil {
		stop()
		return nil, err
	}
	return stop, nil
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// onEach runs a test on every engine at hand, each time with an empty database
// of its own.
func onEach(t *testing.T, test func(t *testing.T, rdb redis.UniversalClient)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		test(t, connect(t, miniredis.RunT(t).Addr(), 0))
	})
	if redisAddr != "" {
		t.Run("redis", func(t *testing.T) {
			t.Parallel()
			test(t, realRedis(t))
		})
	}
}

func realRedis(tb testing.TB) redis.UniversalClient {
	tb.Helper()
	db := nextDatabase.Add(1) - 1
	require.Less(tb, db, int64(databases), "one database per test: raise databases")
	rdb := connect(tb, redisAddr, int(db))
	require.NoError(tb, rdb.FlushDB(tb.Context()).Err())
	return rdb
}

func connect(tb testing.TB, addr string, db int) redis.UniversalClient {
	tb.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: addr, DB: db})
	tb.Cleanup(func() { require.NoError(tb, rdb.Close()) })
	return rdb
}
