package main_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"
)

// requireComplaint holds for errors: a status, one line that names what is
// wrong, and nothing else.
func requireComplaint(t *testing.T, r result, code int, names string) {
	t.Helper()
	require.Equal(t, code, r.code, "stderr: %s", r.stderr)
	require.Empty(t, r.stdout)
	var said []string
	for _, line := range lines(r.stderr) {
		if !strings.HasPrefix(line, "sluice: SANDBOX:") && !strings.HasPrefix(line, "sluice: LIVE:") {
			said = append(said, line)
		}
	}
	require.Len(t, said, 1, "stderr: %s", r.stderr)
	require.True(t, strings.HasPrefix(said[0], "sluice: "), said[0])
	require.Contains(t, said[0], names)
	require.NotContains(t, r.stderr, "goroutine ")
}

func TestBadSettings(t *testing.T) {
	t.Parallel()
	file := func(t *testing.T, text string) string {
		path := filepath.Join(t.TempDir(), "sluice.yaml")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	engines := []string{"SLUICE_NATS_URL", "nats://127.0.0.1:1", "SLUICE_REDIS_URL", "redis://127.0.0.1:1"}
	live := []string{"TWILIO_ACCOUNT_SID", account, "TWILIO_AUTH_TOKEN", token}
	for name, tc := range map[string]struct {
		set   []string // pairs upon the quick settings
		args  []string
		file  string // contents of --config
		code  int
		names string
	}{
		"unknown flag":            {args: []string{"up", "--no-such-flag"}, code: 2, names: "no-such-flag; see `sluice up --help`"},
		"unknown command":         {args: []string{"upp"}, code: 2, names: "upp"},
		"argument to up":          {args: []string{"up", "now"}, code: 2, names: "now"},
		"bad duration in a flag":  {args: []string{"up", "--window", "1 day"}, code: 2, names: "--window"},
		"bad duration":            {set: []string{"SLUICE_WINDOW", "1d"}, code: 1, names: "SLUICE_WINDOW"},
		"no duration":             {set: []string{"SLUICE_RETENTION", "0s"}, code: 1, names: "SLUICE_RETENTION"},
		"bad number":              {set: []string{"SLUICE_CONCURRENCY", "many"}, code: 1, names: "SLUICE_CONCURRENCY"},
		"no slots":                {set: []string{"SLUICE_CONCURRENCY", "0"}, code: 1, names: "SLUICE_CONCURRENCY"},
		"not a rate":              {set: []string{"SLUICE_DEFAULT_MPS", "NaN"}, code: 1, names: "SLUICE_DEFAULT_MPS"},
		"no burst":                {set: []string{"SLUICE_PAIR_BURST", "0"}, code: 1, names: "SLUICE_PAIR_BURST"},
		"negative spacing":        {set: []string{"SLUICE_PAIR_SPACING", "-1s"}, code: 1, names: "SLUICE_PAIR_SPACING"},
		"unknown word":            {set: []string{"SLUICE_FSYNC", "sometimes"}, code: 1, names: "SLUICE_FSYNC"},
		"unknown pool":            {set: []string{"SLUICE_POOL_BY", "country"}, code: 1, names: "SLUICE_POOL_BY"},
		"unknown level":           {set: []string{"SLUICE_LOG_LEVEL", "loud"}, code: 1, names: "SLUICE_LOG_LEVEL"},
		"unknown key in the file": {file: "windows: 5s\n", code: 1, names: "windows"},
		"bad value in the file":   {file: "ack_wait: soon\n", code: 1, names: "ack_wait"},
		"no YAML":                 {file: "window: [5s\n", code: 1, names: "sluice.yaml"},
		"no file":                 {args: []string{"up", "--config", "/nowhere/sluice.yaml"}, code: 1, names: "/nowhere/sluice.yaml"},
		"API beyond loopback":     {set: []string{"SLUICE_API_ADDR", "0.0.0.0:0"}, code: 1, names: "SLUICE_API_KEYS"},
		"NATS beyond loopback":    {set: []string{"SLUICE_NATS_ADDR", "0.0.0.0:0"}, code: 1, names: "SLUICE_NATS_TOKEN"},
		"bad scope":               {set: []string{"SLUICE_API_KEYS", "admin:secret"}, code: 1, names: "SLUICE_API_KEYS"},
		"no key in the list":      {set: []string{"SLUICE_API_KEYS", ","}, code: 1, names: "SLUICE_API_KEYS: holds no key"},
		"blank for a key":         {set: []string{"SLUICE_API_ADDR", "0.0.0.0:0", "SLUICE_API_KEYS", " "}, code: 1, names: "SLUICE_API_KEYS: holds no key"},
		"empty file for a key":    {set: []string{"SLUICE_API_KEYS_FILE", "/dev/null"}, code: 1, names: "SLUICE_API_KEYS_FILE"},
		"ack wait too short":      {set: []string{"SLUICE_ACK_WAIT", "1500ms"}, code: 1, names: "SLUICE_ACK_WAIT"},
		"drain too short":         {set: []string{"SLUICE_DRAIN_TIMEOUT", "500ms"}, code: 1, names: "SLUICE_DRAIN_TIMEOUT"},
		"NATS without Redis":      {set: engines[:2], code: 1, names: "SLUICE_REDIS_URL"},
		"dispatcher by itself":    {args: []string{"dispatcher"}, code: 1, names: "SLUICE_NATS_URL"},
		"callbacks without NATS":  {args: []string{"callbacks"}, set: engines[2:], code: 1, names: "SLUICE_NATS_URL"},
		"api without Redis":       {args: []string{"api"}, set: engines[:2], code: 1, names: "SLUICE_REDIS_URL"},
		"tracker by itself":       {args: []string{"tracker"}, code: 1, names: "SLUICE_NATS_URL"},
		"account without token":   {set: live[:2], code: 1, names: "TWILIO_AUTH_TOKEN"},
		"account without URL":     {set: live, code: 1, names: "SLUICE_PUBLIC_URL"},
		"half an API key":         {set: []string{"TWILIO_API_KEY", "SK1"}, code: 1, names: "TWILIO_API_SECRET"},
		"public URL without host": {set: []string{"SLUICE_PUBLIC_URL", "hooks.example.com"}, code: 1, names: "SLUICE_PUBLIC_URL"},
		"public URL, bad host":    {set: []string{"SLUICE_PUBLIC_URL", "https://my_host.example.com"}, code: 1, names: "SLUICE_PUBLIC_URL"},
		"messages URL":            {set: []string{"SLUICE_MESSAGES_URL", "ftp://example.com"}, code: 1, names: "SLUICE_MESSAGES_URL"},
		"address without port":    {set: []string{"SLUICE_CALLBACKS_ADDR", "localhost"}, code: 1, names: "SLUICE_CALLBACKS_ADDR"},
		"secret twice":            {set: []string{"SLUICE_API_KEYS", "a", "SLUICE_API_KEYS_FILE", "/nowhere"}, code: 1, names: "SLUICE_API_KEYS_FILE"},
		"secret's file missing":   {set: []string{"TWILIO_AUTH_TOKEN_FILE", "/nowhere"}, code: 1, names: "TWILIO_AUTH_TOKEN_FILE"},
		"data folder is a file":   {set: []string{"SLUICE_DATA", "/dev/null"}, code: 1, names: "/dev/null"},
	} {
		t.Run(name, func(t *testing.T) {
			settings := quick(t).quietly().with(tc.set...)
			args := tc.args
			if args == nil {
				args = []string{"up"}
			}
			if tc.file != "" {
				args = append(args, "--config", file(t, tc.file))
			}
			requireComplaint(t, run(t, settings, args...), tc.code, tc.names)
		})
	}
}

func TestRedisOfAnotherKind(t *testing.T) {
	t.Parallel()
	settings := quick(t).with("SLUICE_NATS_URL", startNATS(t), "SLUICE_REDIS_URL", "http://127.0.0.1")
	requireComplaint(t, run(t, settings, "api"), 1, "SLUICE_REDIS_URL")
}

// TestSecretsAreNotTold looks for them where complaints are made.
func TestSecretsAreNotTold(t *testing.T) {
	t.Parallel()
	for _, set := range [][]string{
		{"SLUICE_API_KEYS", "admin:hush-hush"},
		{"SLUICE_API_KEYS", "hush-hush,hush-hush"},
		{"TWILIO_ACCOUNT_SID", account, "TWILIO_AUTH_TOKEN", "hush-hush"},
		{"SLUICE_REDIS_URL", "https://user:hush-hush@127.0.0.1"},
		{"SLUICE_NATS_URL", "nats://user:hush-hush@127.0.0.1:port", "SLUICE_REDIS_URL", "redis://127.0.0.1:1"},
	} {
		r := run(t, quick(t).with(set...), "up")
		require.Equal(t, 1, r.code, "%v: %s", set, r.stderr)
		require.NotContains(t, r.stderr, "hush-hush")
	}
}

// TestUnreachableEngines waits out the time in which a role tries to reach
// NATS and Redis, for all cases at once.
func TestUnreachableEngines(t *testing.T) {
	t.Parallel()
	nobody := fixedAddr(t)
	cases := map[string]struct {
		set   []string
		names []string
		child *process
	}{
		"NATS":  {set: []string{"SLUICE_NATS_URL", "nats://user:hush@" + nobody, "SLUICE_REDIS_URL", "redis://" + nobody}, names: []string{"NATS", nobody, "SLUICE_NATS_URL"}},
		"Redis": {set: []string{"SLUICE_NATS_URL", startNATS(t), "SLUICE_REDIS_URL", "redis://:hush@" + nobody}, names: []string{nobody, "SLUICE_REDIS_URL"}},
	}
	begun := time.Now()
	for name, tc := range cases {
		tc.child = start(t, quick(t).quietly().with(tc.set...), "dispatcher")
		cases[name] = tc
	}
	for name, tc := range cases {
		r := result{tc.child.wait(), tc.child.stdout.String(), tc.child.stderr.String()}
		for _, named := range tc.names {
			requireComplaint(t, r, 1, named)
		}
		require.NotContains(t, r.stderr, "hush", name)
	}
	require.Greater(t, time.Since(begun), 15*time.Second, "it gave up too early")
}

func TestTakenPorts(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	for _, setting := range []string{
		"SLUICE_API_ADDR", "SLUICE_CALLBACKS_ADDR", "SLUICE_SANDBOX_ADDR", "SLUICE_ADMIN_ADDR", "SLUICE_NATS_ADDR",
	} {
		t.Run(setting, func(t *testing.T) {
			r := run(t, quick(t).quietly().with(setting, l.Addr().String()), "up")
			requireComplaint(t, r, 1, l.Addr().String())
		})
	}
}

func TestDataFolderIsLocked(t *testing.T) {
	t.Parallel()
	settings := quick(t)
	start(t, settings, "up").ready()
	requireComplaint(t, run(t, settings, "up"), 1, settings["SLUICE_DATA"])
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sluice.yaml")
	require.NoError(t, os.WriteFile(path, []byte("sandbox_addr: 127.0.0.1:1\nadmin_addr: 127.0.0.1:1\n"), 0o600))
	settings := quick(t)
	settings["SLUICE_SANDBOX_ADDR"] = "127.0.0.1:1"
	up := start(t, settings.with("SLUICE_NO_SUCH_SETTING", "1"), "sandbox", "--config", path, "--sandbox-addr", "127.0.0.1:0")
	up.ready()
	require.Contains(t, up.stderr.String(), "SLUICE_NO_SUCH_SETTING", "unknown variables warn")
	shown := run(t, settings.with("SLUICE_NO_SUCH_SETTING", "1"), "config")
	require.Zero(t, shown.code, shown.stderr)
	require.Contains(t, shown.stderr, "SLUICE_NO_SUCH_SETTING")
}

// startNATS runs a NATS server with JetStream in this process. Its bound keeps how
// full the disk is out of the tests.
func startNATS(t testing.TB) (url string) {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, JetStreamMaxStore: 1 << 40, StoreDir: t.TempDir(), NoSigs: true, NoLog: true})
	require.NoError(t, err)
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	require.True(t, s.ReadyForConnections(patience))
	return s.ClientURL()
}
