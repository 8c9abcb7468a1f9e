package main_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSendAndLook(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t).with("SLUICE_API_KEYS", "publish+read:key-of-the-shop"))
	shell := env{"SLUICE_API_URL": h.API + "/", "SLUICE_API_KEY": "key-of-the-shop"}
	job := []string{"send", "--id", "order-17", "--from", "+" + alpha, "--to", customer(1), "--content-sid", template,
		"--var", "1=Ana", "--metadata", "order=17"}

	sent := run(t, shell, append(job, "--wait")...)
	require.Zero(t, sent.code, sent.stderr)
	require.Regexp(t, `^order-17 (delivered|read)\n$`, sent.stdout)
	require.Empty(t, sent.stderr)

	again := run(t, shell, append(job, "--json")...)
	require.Zero(t, again.code, again.stderr)
	var told map[string]string
	require.NoError(t, json.Unmarshal([]byte(again.stdout), &told))
	require.Equal(t, "order-17", told["id"])
	require.Regexp(t, "delivered|read", told["status"])

	shown := run(t, shell, "jobs", "get", "order-17")
	require.Zero(t, shown.code, shown.stderr)
	for _, part := range []string{"order-17", whatsapp(alpha), "accepted", "sending", "queued", "sent", "delivered"} {
		require.Contains(t, shown.stdout, part)
	}
	raw := run(t, shell, "jobs", "get", "order-17", "--json")
	require.Zero(t, raw.code, raw.stderr)
	var state record
	require.NoError(t, json.Unmarshal([]byte(raw.stdout), &state))
	require.Equal(t, "order-17", state.ID)
	require.NotEmpty(t, state.Timeline)

	listed := run(t, shell, "jobs", "list", "--to", customer(1), "--json")
	require.Zero(t, listed.code, listed.stderr)
	require.Contains(t, listed.stdout, "order-17")
}

// TestCommandsFail in one line that says what to do.
func TestCommandsFail(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t).with("SLUICE_API_KEYS", "publish+read:key-of-the-shop"))
	shell := env{"SLUICE_API_URL": h.API, "SLUICE_API_KEY": "key-of-the-shop"}
	job := []string{"send", "--id", "order-17", "--from", whatsapp(alpha), "--to", customer(1), "--content-sid", template}
	require.Zero(t, run(t, shell, job...).code)

	for name, tc := range map[string]struct {
		shell env
		args  []string
		code  int
		names string
	}{
		"unknown job":         {shell, []string{"jobs", "get", "order-18"}, 1, "no job has this id"},
		"job without id":      {shell, []string{"jobs", "get"}, 2, "arg"},
		"conflict":            {shell, append(job, "--body", "other"), 1, "order-17"},
		"bad field":           {shell, []string{"send", "--from", whatsapp(alpha), "--to", "+1", "--body", "Hi"}, 1, "to"},
		"bad time":            {shell, append(job, "--send-at", "tomorrow"), 2, "--send-at"},
		"without key":         {shell.with("SLUICE_API_KEY", ""), job, 1, "SLUICE_API_KEY"},
		"wrong key":           {shell.with("SLUICE_API_KEY", "wrong"), job, 1, "SLUICE_API_KEY"},
		"API that is down":    {shell.with("SLUICE_API_URL", "http://"+fixedAddr(t)), job, 1, "SLUICE_API_URL"},
		"API that is no URL":  {shell.with("SLUICE_API_URL", "::"), job, 1, "SLUICE_API_URL"},
		"two jobs":            {shell, []string{"jobs", "get", "order-17", "order-18"}, 2, "arg"},
		"argument to version": {shell, []string{"version", "please"}, 2, "please"},
	} {
		t.Run(name, func(t *testing.T) {
			requireComplaint(t, run(t, tc.shell, tc.args...), tc.code, tc.names)
		})
	}
}

func TestSendWithoutJobShowsUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{}, {"--wait"}, {"--json"}, {"--wait", "--json"}} {
		r := run(t, env{}, append([]string{"send"}, args...)...)
		require.Equal(t, 2, r.code, args)
		require.Contains(t, r.stdout+r.stderr, "--content-sid")
		require.Contains(t, r.stderr, "sluice: no job given")
		require.NotContains(t, r.stderr, "goroutine ")
	}
	// What says anything of a job is one, though a bad one: the API tells.
	for _, flag := range []string{"--to", "--body", "--id"} {
		requireComplaint(t, run(t, env{"SLUICE_API_URL": "http://" + fixedAddr(t)}, "send", flag, "x"), 1, "SLUICE_API_URL")
	}
}

// TestNamesOfDigitsAreNames, and numbers are numbers.
func TestNamesOfDigitsAreNames(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t))
	shell := env{"SLUICE_API_URL": h.API}
	r := run(t, shell, "senders", "set", alpha, "--pool", "2024", "--limit", "1000", "--mps", "20", "--json")
	require.Zero(t, r.code, r.stderr)
	require.Contains(t, r.stdout, `"pool":"2024","limit":1000,`)
	require.Contains(t, r.stdout, `"mps":20`)
	r = run(t, shell, "senders", "set", alpha, "--limit", "unlimited", "--mps", "0.5", "--json")
	require.Zero(t, r.code, r.stderr)
	require.Contains(t, r.stdout, `"mps":0.5`)
	r = run(t, shell, "pools", "set", "2024", "--limit", "500", "--reserve", "1", "--json")
	require.Zero(t, r.code, r.stderr)
	require.Contains(t, r.stdout, `"reserve":1`)
	r = run(t, shell, "consents", "set", customer(1), "--state", "out", "--source", "17", "--json")
	require.Zero(t, r.code, r.stderr)
	require.Contains(t, r.stdout, `"source":"17"`)
}

func TestVersion(t *testing.T) {
	t.Parallel()
	r := run(t, env{}, "version")
	require.Zero(t, r.code)
	require.Regexp(t, `^sluice \S+ go1\.\S+ \w+/\w+\n$`, r.stdout)

	r = run(t, env{}, "version", "--json")
	require.Zero(t, r.code)
	var told map[string]string
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &told))
	require.Equal(t, runtime.GOOS, told["os"])
	require.NotEmpty(t, told["version"])
}

// TestPauseEverything by hand, and tell a program of it.
func TestPauseEverything(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t))
	shell := env{"SLUICE_API_URL": h.API}
	type state struct {
		Paused bool
		Reason string
	}
	ask := func(args ...string) (told state) {
		r := run(t, shell, append(args, "--json")...)
		require.Zero(t, r.code, r.stderr)
		require.NoError(t, json.Unmarshal([]byte(r.stdout), &told), r.stdout)
		return told
	}
	require.Equal(t, state{true, "complaints"}, ask("pause", "--all", "--reason", "complaints"))
	require.Equal(t, http.StatusAccepted, h.api.post(notice("order-17", alpha, 1)).status)
	h.api.await("order-17", "parked")
	require.Equal(t, state{Paused: false}, ask("resume", "--all"))
	h.api.await("order-17", "delivered", "read")
	r := run(t, shell, "pause", "--all")
	require.Equal(t, "everything paused: yes\n", r.stdout)
	requireComplaint(t, run(t, shell, "pause"), 2, "--all")
}

var subcommand = regexp.MustCompile(`(?m)^  ([a-z]+) +\S`)

// TestHelp follows the help from command to command: each of ours has an
// example.
func TestHelp(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	var follow func(path ...string)
	follow = func(path ...string) {
		name := strings.Join(append([]string{"sluice"}, path...), " ")
		seen[name] = true
		r := run(t, env{}, append(path, "--help")...)
		require.Zero(t, r.code, name)
		require.Empty(t, r.stderr)
		require.Contains(t, r.stdout, "Examples:\n", name)
		_, commands, _ := strings.Cut(r.stdout, "Examples:\n")
		_, commands, _ = strings.Cut(commands, "\n\n")
		commands, _, _ = strings.Cut(commands, "Flags:\n")
		for _, match := range subcommand.FindAllStringSubmatch(commands, -1) {
			if match[1] != "help" && match[1] != "completion" {
				follow(append(append([]string{}, path...), match[1])...)
			}
		}
	}
	follow()
	for _, name := range []string{"demo", "up", "dispatcher", "callbacks", "api", "tracker", "sandbox", "send", "jobs", "jobs get", "version"} {
		require.True(t, seen["sluice "+name], name)
	}
}

// TestOddRequests are told what is wrong with them.
func TestOddRequests(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t))
	for name, tc := range map[string]struct {
		method, path, body string
		status             int
		code               string
	}{
		"not JSON":      {http.MethodPost, "/v1/jobs", `{`, http.StatusBadRequest, "invalid_json"},
		"bad field":     {http.MethodPost, "/v1/jobs", `{"from":"whatsapp:+15550100001","to":"you","body":"Hi"}`, http.StatusBadRequest, "invalid_field"},
		"no such path":  {http.MethodGet, "/v2/jobs", "", http.StatusNotFound, "not_found"},
		"wrong method":  {http.MethodDelete, "/v1/jobs", "", http.StatusMethodNotAllowed, "method_not_allowed"},
		"unknown job":   {http.MethodGet, "/v1/jobs/nobody", "", http.StatusNotFound, "not_found"},
		"unknown query": {http.MethodGet, "/v1/jobs?state=sent", "", http.StatusBadRequest, "invalid_field"},
	} {
		a := h.api.do(tc.method, tc.path, []byte(tc.body))
		require.Equal(t, tc.status, a.status, name)
		code, _ := a.problem(t)
		require.Equal(t, tc.code, code, name)
	}
	a := h.api.do(http.MethodPost, "/v1/jobs", []byte(`[`+string(notice("a", alpha, 1).json())+`,{"id":"b"}]`))
	require.Equal(t, http.StatusAccepted, a.status)
	require.Regexp(t, `^{"results":\[{"id":"a","status":"accepted"},{"error":{"code":"invalid_field",`, string(a.body))
	a = h.api.do(http.MethodGet, "/v1/jobs?from=whatsapp:+"+alpha, nil)
	require.Contains(t, string(a.body), `"id":"a"`, "a plus in a query is a plus")
}
