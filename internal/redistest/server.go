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
	"slices"
	"strings"
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
	ended            chan struct{} // closed once the process is gone
}

// Start starts a redis-server that keeps its data in dir and listens on a
// socket there. It returns once the server answers.
func Start(dir string, args ...string) (*Server, error) {
	s := &Server{Network: "unix", Address: filepath.Join(dir, "s")}
	return s.launch(dir, append(args, "--port", "0", "--unixsocket", s.Address))
}

// StartTCP is Start with a port of the loopback interface. A port that is taken
// by somebody else before the server has it is given up for another one.
func StartTCP(dir string, args ...string) (s *Server, err error) {
	for range 3 {
		s = &Server{Network: "tcp"}
		if s.Address, err = freeAddress(); err != nil {
			return nil, err
		}
		_, port := s.hostPort()
		s, err = s.launch(dir, append(slices.Clone(args), "--bind", "127.0.0.1", "--port", port))
		if err == nil || errors.Is(err, ErrNotFound) {
			break
		}
	}
	return s, err
}

// busOffset is how far from its port a node of a Cluster listens to the others.
const busOffset = 10_000

// freeAddress is one that nobody listens on, nor on the port of its bus.
func freeAddress() (addr string, err error) {
	for range 100 {
		var l, bus net.Listener
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return "", err
		}
		at := l.Addr().(*net.TCPAddr)
		bus, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", at.Port+busOffset))
		_ = l.Close()
		if err == nil {
			_ = bus.Close()
			return at.String(), nil
		}
	}
	return "", err
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
	s.ended = make(chan struct{})
	go func() {
		defer close(s.ended)
		_ = s.cmd.Wait()
	}()
	if err := s.answers(); err != nil {
		s.Kill()
		return nil, err
	}
	return s, nil
}

// answers waits for this server's answer: another one's may stand on its port.
func (s *Server) answers() (err error) {
	rdb := s.Client(0)
	defer rdb.Close()
	me := fmt.Sprintf("process_id:%d\r\n", s.cmd.Process.Pid)
	late := until(func() bool {
		select {
		case <-s.ended:
			err = fmt.Errorf("redis-server on %s: %s", s.Address, s.cmd.ProcessState)
			return true
		default:
			return strings.Contains(rdb.Info(context.Background(), "server").Val(), me)
		}
	})
	return errors.Join(err, late)
}

// Client connects to one of the server's databases. It repeats nothing.
func (s *Server) Client(db int) *redis.Client {
	return redis.NewClient(&redis.Options{
		Network: s.Network, Addr: s.Address, DB: db, MaxRetries: -1, ContextTimeoutEnabled: true,
	})
}

// Kill is kill -9. It returns when the process is gone.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill() // it may have ended by itself
	<-s.ended
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
