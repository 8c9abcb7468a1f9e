package dispatcher_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/internal/embedded"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(withRedis{m}) }

// databases is how many tests can have a part of the real server to themselves.
const databases = 1024

var (
	redisSocket  string // of the real server, empty where there is none
	nextDatabase atomic.Int64
)

// withRedis runs the tests on a real redis-server, where one is found. In CI one
// must be.
type withRedis struct{ m *testing.M }

func (w withRedis) Run() int {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		if os.Getenv("CI") != "" {
			fmt.Println("redis-server is not on PATH, and CI must test on it")
			return 1
		}
		fmt.Println("dispatcher: no redis-server on PATH, testing on the embedded one")
		return w.m.Run()
	}
	stop, err := startRedis(path)
	if err != nil {
		fmt.Println("dispatcher: redis-server does not start:", err)
		return 1
	}
	defer stop()
	fmt.Println("dispatcher: testing on", path)
	return w.m.Run()
}

func startRedis(path string) (stop func(), err error) {
	dir, err := os.MkdirTemp("", "dispatcher-redis-")
	if err != nil {
		return nil, err
	}
	redisSocket = filepath.Join(dir, "s")
	server := exec.Command(path, "--port", "0", "--unixsocket", redisSocket, "--save", "", "--dir", dir,
		"--databases", strconv.Itoa(databases))
	if err := server.Start(); err != nil {
		return nil, err
	}
	stop = func() {
		_ = server.Process.Kill()
		_ = server.Wait()
		_ = os.RemoveAll(dir)
	}
	rdb := redis.NewClient(&redis.Options{Network: "unix", Addr: redisSocket, MaxRetries: 100, MaxRetryBackoff: 50 * time.Millisecond})
	defer rdb.Close()
	if err := rdb.Ping(context.Background()).Err(); err != nil {
		stop()
		return nil, err
	}
	return stop, nil
}

// engine is an empty Redis, a real one where there is one.
type engine struct {
	client redis.UniversalClient
	epoch  string // of the embedded one; a real one names its life itself
	close  func() error
}

func newEngine() (engine, error) {
	if redisSocket == "" {
		r, err := embedded.StartRedis(embedded.RedisConfig{})
		if err != nil {
			return engine{}, err
		}
		return engine{r.Client(), r.Epoch(), r.Close}, nil
	}
	db := nextDatabase.Add(1) - 1
	if db >= databases {
		return engine{}, fmt.Errorf("more than %d databases are asked for: raise the constant", databases)
	}
	rdb := redis.NewClient(&redis.Options{
		Network: "unix", Addr: redisSocket, DB: int(db), MaxRetries: -1, ContextTimeoutEnabled: true,
	})
	return engine{rdb, "", rdb.Close}, nil
}
