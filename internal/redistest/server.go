// Package redistest starts real redis-servers for the tests of the packages that
// keep something in Redis: one server, a Cluster of three masters, a primary
// with its replica under a Sentinel. All listen on the loopback interface or on
// a socket, save nothing by themselves and end with the test or its package.
package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// ErrNotFound is the answer where no redis-server is installed.
var ErrNotFound = errors.New("redis-server is not on PATH")

// patience bounds every wait for a server; it is never meant to be reached.
const patience = 90 * time.Second

// Server is a redis-server child process.
type Server struct {
	Network, Address string // as in [redis.Options]
	cmd              *exec.Cmd
}

// Start starts a redis-server that keeps its data in dir and listens on a
// socket there. It returns once the server answers.
func Start(dir string, args ...string) (*Server, error) {
	s := &Server{Network: "unix", Address: filepath.Join(dir, "s")}
	return s.launch(dir, append(args, "--port", "0", "--unixsocket", s.Address))
}

// StartTCP is Start with a port of the loopback interface.
func StartTCP(dir string, args ...string) (*Server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{Network: "tcp", Address: l.Addr().String()}
	_ = l.Close()
	_, port := s.hostPort()
	return s.launch(dir, append(args, "--bind", "127.0.0.1", "--port", port))
}

func (s *Server) launch(dir string, args []string) (*Server, error) {
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, ErrNotFound
	}
	s.cmd = exec.Command(bin, append(args, "--save", "", "--dir", dir)...)
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	rdb := s.Client(0)
	defer rdb.Close()
	if err := until(func() bool { return rdb.Ping(context.Background()).Err() == nil }); err != nil {
		s.Kill()
		return nil, err
	}
	return s, nil
}

// Client connects to one of the server's databases. It repeats nothing.
func (s *Server) Client(db int) *redis.Client {
	return redis.NewClient(&redis.Options{
		Network: s.Network, Addr: s.Address, DB: db, MaxRetries: -1, ContextTimeoutEnabled: true,
	})
}

// Kill is kill -9. It returns when the process is gone.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

func (s *Server) hostPort() (host, port string) {
	host, port, _ = net.SplitHostPort(s.Address)
	return host, port
}

// Until waits for something that a server does by itself.
func Until(t testing.TB, met func() bool) {
	t.Helper()
	if err := until(met); err != nil {
		t.Fatal(err)
	}
}

// until asks again and again, but not for ever.
func until(met func() bool) error {
	deadline := time.After(patience)
	for !met() {
		select {
		case <-deadline:
			return fmt.Errorf("redis-server did not get there in %s", patience)
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}
