package main_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSandboxIsForced whatever else is set: no request reaches the provider, and
// neither do the credentials reach the sandbox.
func TestSandboxIsForced(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	real := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusInternalServerError)
	}))
	defer real.Close()
	settings := quick(t).with("TWILIO_ACCOUNT_SID", account, "TWILIO_AUTH_TOKEN", token,
		"TWILIO_API_KEY", "SK00000000000000000000000000000001", "TWILIO_API_SECRET", "the secret of a key",
		"SLUICE_PUBLIC_URL", "https://hooks.invalid/some/path",
		"SLUICE_MESSAGES_URL", real.URL, "SLUICE_SENDERS_URL", real.URL, "SLUICE_CONTENT_URL", real.URL)
	file := filepath.Join(t.TempDir(), "sluice.yaml")
	require.NoError(t, os.WriteFile(file, []byte("accounts:\n- sid: "+stranger+"\n  auth_token: another token\n"), 0o600))
	up := start(t, settings, "up", "--sandbox", "--config", file)
	told := up.ready()
	require.NotEmpty(t, told.Sandbox)
	require.Equal(t, "sluice: SANDBOX: no message leaves this machine", lines(up.stderr.String())[0])

	api := newSite(t, told.API)
	api.must(http.MethodPut, "/v1/senders/"+beta, fields{"account": stranger}, nil)
	for i, sender := range []string{alpha, beta} {
		id := "order-" + sender
		require.Equal(t, http.StatusAccepted, api.post(notice(id, sender, i)).status)
		api.await(id, "delivered", "read") // its callbacks are signed with what the sandbox was called with
	}
	provider{newSite(t, told.Sandbox)}.requireOnce([]string{"order-" + alpha, "order-" + beta})
	require.Zero(t, asked.Load(), "the provider was asked")
}

// TestSandboxElsewhereIsNamed: without credentials, but with an address that may
// be anywhere, nothing is promised about where messages go.
func TestSandboxElsewhereIsNamed(t *testing.T) {
	t.Parallel()
	settings := quick(t)
	elsewhere := startProvider(t, settings)
	address := "http://user:hush-hush@" + elsewhere.base[len("http://"):]
	up := start(t, settings.with("SLUICE_MESSAGES_URL", address), "up")
	require.Empty(t, up.ready().Sandbox)
	said := lines(up.stderr.String())[0]
	require.Contains(t, said, "SANDBOX")
	require.Contains(t, said, elsewhere.base[len("http://"):])
	require.NotContains(t, said, "leaves")
	require.NotContains(t, said, "hush-hush")
}

// TestABareZeroPortIsOfThisMachine: it asks for no key and no token.
func TestABareZeroPortIsOfThisMachine(t *testing.T) {
	t.Parallel()
	settings := quick(t)
	for _, name := range []string{"SLUICE_NATS_ADDR", "SLUICE_API_ADDR", "SLUICE_CALLBACKS_ADDR", "SLUICE_SANDBOX_ADDR", "SLUICE_ADMIN_ADDR"} {
		settings[name] = ":0"
	}
	told := start(t, settings, "up").ready()
	for _, address := range []string{told.NATS, told.API, told.Callbacks, told.Sandbox, told.Admin} {
		require.Contains(t, address, "//127.0.0.1:")
	}
}

// TestAClientsKeyInAFile: a variable with _FILE serves the commands as well.
func TestAClientsKeyInAFile(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t).with("SLUICE_API_KEYS", "key-of-the-shop"))
	file := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(file, []byte("key-of-the-shop\n"), 0o600))
	shell := env{"SLUICE_API_URL": h.API, "SLUICE_API_KEY_FILE": file}
	r := run(t, shell, "limits", "--json")
	require.Zero(t, r.code, r.stderr)
	require.Empty(t, run(t, shell, "config").stderr, "it is not unknown")

	requireComplaint(t, run(t, shell.with("SLUICE_API_KEY", "key-of-the-shop"), "limits"), 1, "SLUICE_API_KEY_FILE are both set")
	requireComplaint(t, run(t, shell.with("SLUICE_API_KEY_FILE", "/nowhere"), "limits"), 1, "SLUICE_API_KEY_FILE")
}

// TestConfigHidesWhatURLsHold: passwords and tokens, however they were given.
func TestConfigHidesWhatURLsHold(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "nats")
	require.NoError(t, os.WriteFile(file, []byte("nats://hush-hush@127.0.0.1:4222\n"), 0o600))
	for _, given := range []env{
		{"SLUICE_NATS_URL_FILE": file},
		{"SLUICE_NATS_URL": "nats://ada:hush-hush@127.0.0.1:4222"},
		{"SLUICE_PUBLIC_URL": "https://ada:hush-hush@hooks.example.com/path"},
	} {
		r := run(t, given, "config", "--json")
		require.Zero(t, r.code, r.stderr)
		require.Empty(t, r.stderr, "nothing is unknown")
		require.NotContains(t, r.stdout, "hush-hush")
		require.Contains(t, r.stdout, `"origin":"env"`)
	}
	require.Contains(t, run(t, env{"SLUICE_PUBLIC_URL": "https://hooks.example.com/path"}, "config").stdout, "https://hooks.example.com/path")
}
