package deploycheck

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"
)

// patience bounds every wait; it is never meant to be reached.
const patience = 45 * time.Second

// engines are NATS and Redis as the files configure them, on ports of this
// machine.
type engines struct {
	nats, redis string // host:port
	monitor     string // of NATS, host:port
}

// startEngines runs NATS by deploy/nats/nats.conf and Redis by a command of
// compose.yaml. It is not ok where there is no redis-server, which only a
// developer's machine may lack.
func startEngines(t *testing.T, redisCommand []string) (e engines, ok bool) {
	t.Helper()
	options, err := server.ProcessConfigFile(deploy + "nats/nats.conf")
	require.NoError(t, err)
	require.True(t, options.SyncAlways, "every write is synced")
	require.Equal(t, 4222, options.Port)
	require.Equal(t, 8222, options.HTTPPort)
	options.Host, options.Port, options.HTTPPort, options.StoreDir = "127.0.0.1", server.RANDOM_PORT, server.RANDOM_PORT, t.TempDir()
	options.NoLog, options.NoSigs = true, true
	nats, err := server.NewServer(options)
	require.NoError(t, err)
	nats.Start()
	t.Cleanup(func() { nats.Shutdown(); nats.WaitForShutdown() })
	require.True(t, nats.ReadyForConnections(patience))

	program, err := exec.LookPath(redisCommand[0])
	if errors.Is(err, exec.ErrNotFound) && os.Getenv("CI") == "" {
		t.Logf("no %s on PATH: the roles are not started", redisCommand[0])
		return engines{}, false
	}
	require.NoError(t, err)
	redis := freeAddr(t)
	_, port, _ := net.SplitHostPort(redis)
	start(t, []string{}, program, append(redisCommand[1:], "--port", port, "--bind", "127.0.0.1", "--dir", t.TempDir())...)
	eventually(t, "Redis does not listen", func() bool {
		conn, err := net.Dial("tcp", redis)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
	return engines{nats.Addr().String(), redis, nats.MonitorAddr().String()}, true
}

// here is an environment of a deployment with the names of its network made
// those of this machine, and every port a free one.
func (e engines) here(t *testing.T, environment map[string]string, more ...string) []string {
	t.Helper()
	var pairs []string
	for name, value := range environment {
		value = strings.NewReplacer("nats:4222", e.nats, "redis:6379", e.redis).Replace(value)
		if strings.HasSuffix(name, "_ADDR") {
			host, _, err := net.SplitHostPort(value)
			require.NoError(t, err, name)
			require.Equal(t, "0.0.0.0", host, "%s is not reached from another container", name)
			value = "127.0.0.1:0"
		}
		pairs = append(pairs, name+"="+value)
	}
	return append(pairs, more...)
}

// ready is what a role says when it is.
type ready struct {
	Ready                          bool
	Role                           string
	API, Callbacks, Sandbox, Admin string
}

// startRole runs a role as a container would and waits until both probes of its
// admin port are content.
func startRole(t *testing.T, environment []string, args ...string) (ready, *exec.Cmd) {
	t.Helper()
	cmd, line := start(t, environment, binary, args...)
	var told ready
	require.NoError(t, json.Unmarshal(line(t), &told))
	require.True(t, told.Ready)
	require.Equal(t, args[0], told.Role)
	if told.Admin != "" {
		requireProbes(t, told.Admin)
	}
	return told, cmd
}

func requireProbes(t *testing.T, admin string) {
	t.Helper()
	for _, path := range []string{livePath, readyPath, metricsPath} {
		eventually(t, path+" does not answer", func() bool {
			status, _ := get(t, admin+path, "")
			return status == http.StatusOK
		})
	}
}

// start runs a program to the end of the test. The function it returns is the
// first line that it prints.
func start(t *testing.T, environment []string, program string, args ...string) (*exec.Cmd, func(*testing.T) []byte) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(environment, "HOME="+t.TempDir())
	cmd.Dir = t.TempDir()
	out, in := io.Pipe()
	var complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = in, &complaints
	require.NoError(t, cmd.Start())
	first, drained := make(chan []byte, 1), make(chan struct{})
	go func() {
		defer close(drained)
		lines := bufio.NewReader(out)
		line, _ := lines.ReadBytes('\n')
		first <- line
		_, _ = io.Copy(io.Discard, lines)
	}()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // the exit status is read from ProcessState
		_ = in.Close()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended by itself
		<-ended
		<-drained
		if t.Failed() {
			t.Logf("%v: %s", args, complaints.String())
		}
	})
	return cmd, func(t *testing.T) []byte {
		t.Helper()
		select {
		case line := <-first:
			return line
		case <-time.After(patience):
			require.FailNow(t, "no line on stdout")
			return nil
		}
	}
}

// requireDrained stops a role as Docker and Kubernetes do.
func requireDrained(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	eventually(t, "it does not stop", func() bool { return cmd.Process.Signal(syscall.Signal(0)) != nil })
}

func get(t *testing.T, url, key string) (status int, body []byte) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	require.NoError(t, err)
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	body, _ = io.ReadAll(resp.Body)
	return resp.StatusCode, body
}

func eventually(t *testing.T, instead string, so func() bool) {
	t.Helper()
	require.Eventually(t, so, patience, 50*time.Millisecond, instead)
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}
