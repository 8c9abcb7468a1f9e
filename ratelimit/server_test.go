package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// databases is how many tests can have a part of the real server to themselves.
const databases = 4096

// server is a redis-server child process.
type server struct {
	cmd    *exec.Cmd
	dir    string
	socket string
}

// shared is the real server of this run, nil if none was found. Each test uses
// a database of its own.
var (
	shared   *server
	nextDB   atomic.Int64
	errNoBin = errors.New("redis-server is not on PATH")
)

func startSharedServer() error {
	dir, err := os.MkdirTemp("", "gate")
	if err != nil {
		return err
	}
	shared, err = startServer(dir)
	switch {
	case errors.Is(err, errNoBin) && os.Getenv("CI") != "":
		return fmt.Errorf("%w, and CI must test on it", err)
	case errors.Is(err, errNoBin):
		fmt.Println("ratelimit: redis-server not found, testing on miniredis only")
		return os.RemoveAll(dir)
	case err != nil:
		return err
	}
	fmt.Println("ratelimit: testing on miniredis and on a real redis-server")
	return nil
}

func stopSharedServer() {
	if shared != nil {
		shared.kill()
		_ = os.RemoveAll(shared.dir)
	}
}

// startServer starts a redis-server that keeps its data in dir.
func startServer(dir string) (*server, error) {
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, errNoBin
	}
	s := &server{dir: dir, socket: filepath.Join(dir, "s")}
	s.cmd = exec.Command(bin, "--port", "0", "--unixsocket", s.socket, "--save", "",
		"--dir", dir, "--databases", fmt.Sprint(databases))
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	rdb := s.client(0)
	defer rdb.Close()
	deadline := time.After(10 * time.Second)
	for rdb.Ping(context.Background()).Err() != nil {
		select {
		case <-deadline:
			s.kill()
			return nil, errors.New("redis-server does not answer")
		case <-time.After(5 * time.Millisecond):
		}
	}
	return s, nil
}

func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

func (s *server) client(db int) *redis.Client {
	return redis.NewClient(&redis.Options{
		Network: "unix", Addr: s.socket, DB: db, MaxRetries: -1, ContextTimeoutEnabled: true,
	})
}
