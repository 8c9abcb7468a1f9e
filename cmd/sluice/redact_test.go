package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

func TestRedactURL(t *testing.T) {
	t.Parallel()
	for raw, shown := range map[string]string{
		"nats://127.0.0.1:4222":                        "nats://127.0.0.1:4222",
		"nats://ada:hush@a:4222":                       "nats://ada:xxxxx@a:4222",
		"nats://hush@a:4222":                           "nats://xxxxx@a:4222",
		"nats://hush:@a":                               "nats://xxxxx@a",
		"hush@a:4222":                                  "xxxxx@a:4222",
		"nats://ada:hush@a, tls://bob:hush@b":          "nats://ada:xxxxx@a,tls://bob:xxxxx@b",
		"nats://hush@a,nats://hush@b":                  "nats://xxxxx@a,nats://xxxxx@b",
		"nats://a:1,b:2":                               "nats://a:1,b:2",
		"nats://ada:hush@a,bob:hush@b":                 "nats://ada:xxxxx@b",
		"nats://hush@a,bob:hush@b":                     "nats://xxxxx@b",
		"redis://:hush@a:6379/0":                       "redis://:xxxxx@a:6379/0",
		"redis://ada:hu,sh@a:6379":                     "redis://ada:xxxxx@a:6379",
		"redis://ada:hu/sh@a:6379":                     "redis://ada:xxxxx@a:6379",
		"redis://ada:hu@sh@a:6379":                     "redis://ada:xxxxx@a:6379",
		"redis+cluster://ada:hush@a:1,b:1":             "redis+cluster://ada:xxxxx@a:1,b:1",
		"redis+sentinel://ada:hush@a:1,b:1/mymaster":   "redis+sentinel://ada:xxxxx@a:1,b:1/mymaster",
		"https://ada:hush@hooks.example.com/some/path": "https://ada:xxxxx@hooks.example.com/some/path",
		"": "",
	} {
		require.Equal(t, shown, redactURL(raw), raw)
	}
}

// FuzzRedactURL looks for a password that comes through, whatever stands around
// it in the URL, written with or without care.
func FuzzRedactURL(f *testing.F) {
	f.Add("ada:", "", "a:1,b:1")
	f.Add(":", "/@", "a/0")
	f.Add("", ",", "a")
	f.Fuzz(func(t *testing.T, before, after, host string) {
		raw := "nats://" + before + "hush-hush" + after + "@" + host
		if strings.Contains(before+after+host, "://") || strings.Contains(strings.SplitN(before, ":", 2)[0]+host, "hush") ||
			!strings.Contains(before, ":") && strings.Contains(after, ":") {
			return // another entry of the list, or the secret in the place of the user's name
		}
		require.NotContains(t, redactURL(raw), "hush-hush")
		require.NotContains(t, redactURL(raw+","+raw), "hush-hush")
	})
}

func TestCauseQuotesNoURL(t *testing.T) {
	t.Parallel()
	_, err := url.Parse(fmt.Sprintf("nats://ada:hush-hush@a:%s", "port"))
	require.ErrorContains(t, err, "hush-hush")
	require.NotContains(t, cause(err).Error(), "hush-hush")
	other := errors.New("no servers available")
	require.Equal(t, other, cause(other))
}

// TestEmptyKeysOfTheFileAreNotSet, as empty variables are not, but have to be
// keys that there are.
func TestEmptyKeysOfTheFileAreNotSet(t *testing.T) {
	t.Parallel()
	loaded := func(text string) (Config, map[string]string, error) {
		path := filepath.Join(t.TempDir(), "sluice.yaml")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		addFlags(flags)
		require.NoError(t, flags.Set("config", path))
		cfg, origins, _, err := load(flags, environment{})
		return cfg, origins, err
	}
	cfg, origins, err := loaded("nats_url:\nredis_url: ~\nwindow: null\nconcurrency: \"\"\naccounts:\nwait_max: 7\n")
	require.NoError(t, err)
	want := defaultConfig()
	want.WaitMax = 7
	require.Equal(t, want, cfg)
	require.Equal(t, "default", origins["nats_url"])
	require.Equal(t, "file", origins["wait_max"])

	_, _, err = loaded("no_such:\n")
	require.ErrorContains(t, err, "no_such")
	for range 20 { // whatever the order of a map
		_, _, err = loaded("beta: 1\nalpha: 1\ngamma: 1\n")
		require.ErrorContains(t, err, `"alpha"`)
		_, _, err = loaded("window: [1]\nalpha: 1\nretention: [1]\n")
		require.ErrorContains(t, err, `"retention"`)
		require.Contains(t, oneLine(Config{PublicURL: "a", MessagesURL: "b", OTLPEndpoint: "c"}.checkProvider("sandbox")),
			"OTEL_EXPORTER_OTLP_ENDPOINT: is not an http or https URL; SLUICE_PUBLIC_URL: is not")
		require.ErrorContains(t, campaignFlags{name: "spring", report: "r.csv", yes: true}.unused(), "--campaign")
	}
}

func TestForcedSandboxKeepsThePublicURLOfThisMachine(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"": "", "https://hooks.example.com": "", "http://127.0.0.1:8081": "http://127.0.0.1:8081",
		"http://localhost:8081/path": "http://localhost:8081/path", "http://[::1]:8081": "http://[::1]:8081", "http://10.0.0.1": "",
	} {
		cfg := Config{PublicURL: given, Sandbox: true}
		cfg.forceSandbox()
		require.Equal(t, want, cfg.PublicURL, given)
	}
}
