package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// env is the whole environment of a child process: nothing is inherited.
type env map[string]string

// with is e changed by pairs of name and value.
func (e env) with(pairs ...string) env {
	changed := maps.Clone(e)
	for i := 0; i+1 < len(pairs); i += 2 {
		changed[pairs[i]] = pairs[i+1]
	}
	return changed
}

func (e env) pairs() []string {
	pairs := make([]string, 0, len(e))
	for name, value := range e {
		pairs = append(pairs, name+"="+value)
	}
	return pairs
}

// quick makes a day pass in seconds and takes every port from the system. It
// does without fsync, which is not what these tests are about: kill -9 leaves
// the page cache alone.
func quick(t testing.TB) env {
	return env{
		"SLUICE_DATA": t.TempDir(), "SLUICE_FSYNC": "interval", "SLUICE_DEDUPE": "500ms",
		"SLUICE_NATS_ADDR": "127.0.0.1:0", "SLUICE_API_ADDR": "127.0.0.1:0", "SLUICE_CALLBACKS_ADDR": "127.0.0.1:0",
		"SLUICE_SANDBOX_ADDR": "127.0.0.1:0", "SLUICE_ADMIN_ADDR": "127.0.0.1:0",
		"SLUICE_WINDOW": "5s", "SLUICE_SEND_TIMEOUT": "1s", "SLUICE_ACK_WAIT": "2s",
		"SLUICE_UNKNOWN_GRACE": "1s", "SLUICE_DRAIN_TIMEOUT": "2s",
		"SLUICE_LOG_LEVEL": "debug", // all there is to log is looked through at the end
	}
}

// quietly is e without what is only worth a look, for tests that count the lines
// or go to the limits of the machine.
func (e env) quietly() env { return e.with("SLUICE_LOG_LEVEL", "warn") }

// patience bounds every wait for a process; it is never meant to be reached.
const patience = 45 * time.Second

// process is a child of the test. It ends with the test at the latest.
type process struct {
	t              testing.TB
	cmd            *exec.Cmd
	stdout, stderr output
	ended          chan struct{} // closed once it has
}

// start runs `sluice args…` without waiting for anything.
func start(t testing.TB, settings env, args ...string) *process {
	t.Helper()
	return startProgram(t, settings, binary, args...)
}

func startProgram(t testing.TB, settings env, program string, args ...string) *process {
	t.Helper()
	return startReading(t, settings, nil, program, args...)
}

// startReading gives the program something on its standard input. What it has
// printed at its end has to keep customers and secrets private.
func startReading(t testing.TB, settings env, in io.Reader, program string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(program, args...), ended: make(chan struct{})}
	p.cmd.Stdin = in
	p.cmd.Env = settings.pairs()
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	require.NoError(t, p.cmd.Start())
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // the exit status is read from ProcessState
	}()
	t.Cleanup(func() {
		p.kill()
		p.requirePrivate(settings, args)
		if t.Failed() {
			t.Logf("stderr of %s, at its end:\n%s", strings.Join(args, " "), p.stderr.tail(6000))
		}
	})
	return p
}

// kill is kill -9. It returns when the process is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.ended
}

// terminate is SIGTERM. It returns the exit status and how long it took.
func (p *process) terminate() (code int, took time.Duration) {
	p.t.Helper()
	begun := time.Now()
	require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGTERM))
	return p.wait(), time.Since(begun)
}

// wait returns the exit status once the process has ended by itself.
func (p *process) wait() int {
	p.t.Helper()
	return p.waitFor(patience)
}

func (p *process) waitFor(most time.Duration) int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(most):
		require.FailNow(p.t, "the process does not end", p.stderr.tail(6000))
	}
	return p.cmd.ProcessState.ExitCode()
}

// addresses is what the ready line tells.
type addresses struct {
	Ready     bool
	Role      string
	NATS      string
	API       string
	Callbacks string
	Sandbox   string
	Admin     string
}

// ready waits for the one line that says where the process can be reached.
func (p *process) ready() addresses {
	p.t.Helper()
	var found addresses
	eventually(p.t, func() bool {
		line, _, whole := strings.Cut(p.stdout.String(), "\n")
		return whole && json.Unmarshal([]byte(line), &found) == nil || p.hasEnded()
	}, func() string { return "no ready line: " + p.stderr.tail(2000) })
	require.True(p.t, found.Ready, "it ended before it was ready: %s", p.stderr.tail(2000))
	return found
}

func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// result is what is left of a command that has ended.
type result struct {
	code           int
	stdout, stderr string
}

// run executes `sluice args…` to its end.
func run(t testing.TB, settings env, args ...string) result {
	t.Helper()
	p := start(t, settings, args...)
	return result{code: p.wait(), stdout: p.stdout.String(), stderr: p.stderr.String()}
}

// runLong is run for what has much to do.
func runLong(t testing.TB, settings env, args ...string) result {
	t.Helper()
	p := start(t, settings, args...)
	return result{code: p.waitFor(4 * patience), stdout: p.stdout.String(), stderr: p.stderr.String()}
}

// runWith is run with a text on standard input.
func runWith(t testing.TB, settings env, in string, args ...string) result {
	t.Helper()
	p := startReading(t, settings, strings.NewReader(in), binary, args...)
	return result{code: p.wait(), stdout: p.stdout.String(), stderr: p.stderr.String()}
}

// output collects what a process prints; it can be read meanwhile.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(data []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(data)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func (o *output) tail(n int) string {
	text := o.String()
	return text[max(0, len(text)-n):]
}

// lines are the lines of a text, without the empty ones.
func lines(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })
}

// fixed are the addresses that some test was given: its process may be away just
// now.
var fixed sync.Map

// fixedAddr is an address that a process can come back to after it was killed.
// It lies below the ports that systems give to outgoing connections, which
// would otherwise take it in the meantime.
func fixedAddr(t testing.TB) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(10_000))
		if _, given := fixed.LoadOrStore(addr, true); given {
			continue
		}
		if l, err := net.Listen("tcp", addr); err == nil {
			require.NoError(t, l.Close())
			return addr
		}
	}
	require.FailNow(t, "no free port")
	return ""
}

// lookRedis is the path of redis-server. Only a developer's machine may lack
// one: the test that needs it is skipped there.
func lookRedis(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if errors.Is(err, exec.ErrNotFound) && os.Getenv("CI") == "" {
		t.Skip("no redis-server on PATH")
	}
	require.NoError(t, err)
	return path
}
