package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"net"
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
	cmd     *exec.Cmd
	dir     string
	socket  string // or
	address string
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

// startServer starts a redis-server that keeps its data in dir and listens on a
// socket there.
func startServer(dir string) (*server, error) {
	socket := filepath.Join(dir, "s")
	s, err := launch(dir, "--port", "0", "--unixsocket", socket, "--databases", fmt.Sprint(databases))
	if err != nil {
		return nil, err
	}
	s.socket = socket
	rdb := s.client(0)
	defer rdb.Close()
	return s, s.answers(rdb)
}

// launch starts a redis-server without snapshots.
func launch(dir string, args ...string) (*server, error) {
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, errNoBin
	}
	s := &server{dir: dir, cmd: exec.Command(bin, append(args, "--save", "", "--dir", dir)...)}
	return s, s.cmd.Start()
}

// launchTCP is launch with a port of the loopback interface.
func launchTCP(dir string, args ...string) (*server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	_ = l.Close()
	_, port, _ := net.SplitHostPort(address)
	s, err := launch(dir, append(args, "--bind", "127.0.0.1", "--port", port)...)
	if err != nil {
		return nil, err
	}
	s.address = address
	rdb := redis.NewClient(&redis.Options{Addr: address, MaxRetries: -1})
	defer rdb.Close()
	return s, s.answers(rdb)
}

// answers waits until the server does, and kills one that does not.
func (s *server) answers(rdb *redis.Client) error {
	err := until(func() bool { return rdb.Ping(context.Background()).Err() == nil })
	if err != nil {
		s.kill()
	}
	return err
}

// until asks again and again for up to 20 seconds.
func until(met func() bool) error {
	deadline := time.After(90 * time.Second)
	for !met() {
		select {
		case <-deadline:
			return errors.New("redis-server did not get there in time")
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
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
