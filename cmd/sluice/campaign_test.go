package main_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCampaign hands 10,000 rows in, with bad lines among them, twice. The limit
// lets a part of them out at once, so that the second run finds jobs of every
// kind: sent, under way and parked.
func TestCampaign(t *testing.T) {
	t.Parallel()
	const rows, badEvery, limit = 10_000, 500, 1_500
	lookRedis(t)
	redis := fixedAddr(t)
	startRedis(t, redis)
	h := startHouse(t, quick(t).quietly().with("SLUICE_REDIS_URL", "redis://"+redis, "SLUICE_WINDOW", "1h", "SLUICE_DEFAULT_LIMIT", fmt.Sprint(limit), "SLUICE_DEFAULT_MPS", "1000",
		"SLUICE_SEND_TIMEOUT", "10s", "SLUICE_ACK_WAIT", "30s", "SLUICE_DRAIN_TIMEOUT", "10s"))
	shell := env{"SLUICE_API_URL": h.API}
	dir := t.TempDir()
	file := filepath.Join(dir, "customers.csv")
	require.NoError(t, os.WriteFile(file, campaignFile(rows, badEvery), 0o600))
	send := func(more ...string) result {
		return runLong(t, shell, append([]string{"send", "--csv", file, "--campaign", "spring", "--from", "+" + alpha,
			"--content-sid", template, "--json"}, more...)...)
	}

	planned := run(t, shell, "plan", "--csv", file, "--from", "+"+alpha, "--content-sid", template, "--json")
	require.Equal(t, 1, planned.code, planned.stderr)
	var told struct {
		Jobs, Bad int
		Plans     []struct {
			Rows, New int
			FreeNow   any `json:"free_now"`
		}
	}
	require.NoError(t, json.Unmarshal([]byte(planned.stdout), &told), planned.stdout)
	require.Equal(t, rows-rows/badEvery, told.Jobs)
	require.Equal(t, rows/badEvery, told.Bad)
	require.Len(t, told.Plans, 1)
	require.Equal(t, told.Jobs, told.Plans[0].New)
	require.EqualValues(t, limit, told.Plans[0].FreeNow, "a number, as over HTTP")

	report := filepath.Join(dir, "first.csv")
	first := send("--report", report)
	require.Equal(t, 1, first.code, "some lines are bad: %s", first.stderr)
	require.Contains(t, first.stderr, fmt.Sprintf("%d jobs, %d bad lines", rows-rows/badEvery, rows/badEvery))
	require.Contains(t, first.stderr, fmt.Sprintf("line %d: to: must be", badEvery+1))
	require.Regexp(t, `(?m)^whatsapp:\+`+alpha+` +utility +9980 +9980 `, first.stderr, "the plan comes first")
	require.NotContains(t, first.stderr, "goroutine ")
	requireSummary(t, first, rows, rows/badEvery)
	requireReport(t, report, rows, badEvery)

	second := send("--report", filepath.Join(dir, "second.csv"))
	require.Equal(t, 1, second.code, second.stderr)
	requireSummary(t, second, rows, rows/badEvery)
	requireReport(t, filepath.Join(dir, "second.csv"), rows, badEvery)

	jobs := rows - rows/badEvery
	var backlog struct{ Ready, Parked, InFlight int }
	eventually(t, func() bool {
		h.api.must(http.MethodGet, "/v1/backlog", nil, &backlog)
		return h.provider.accepted() == limit && backlog.Parked == jobs-limit
	}, func() string { return fmt.Sprintf("%d sent, %+v", h.provider.accepted(), backlog) })
	messages := h.provider.ledger()
	require.Len(t, messages, limit)
	for job, sent := range messages {
		require.Len(t, sent, 1, job)
	}
}

// campaignFile has a bad number in every badEvery-th row, and semicolons.
func campaignFile(rows, badEvery int) []byte {
	var b strings.Builder
	b.WriteString("\ufeffto;var.1\n")
	for i := 1; i <= rows; i++ {
		number := strings.TrimPrefix(customer(i), "whatsapp:")
		if i%badEvery == 0 {
			number = "0" + number
		}
		fmt.Fprintf(&b, "%s;\"Customer; %d\"\n", number, i)
	}
	return []byte(b.String())
}

func requireSummary(t *testing.T, r result, rows, bad int) {
	t.Helper()
	var sum struct {
		Rows, Bad int
		Statuses  map[string]int
	}
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &sum), r.stdout)
	require.Equal(t, rows, sum.Rows)
	require.Equal(t, bad, sum.Bad)
	total := 0
	for _, n := range sum.Statuses {
		total += n
	}
	require.Equal(t, rows-bad, total)
}

// requireReport reads a report: every row is there once, the bad ones with the
// field at fault.
func requireReport(t *testing.T, path string, rows, badEvery int) {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	require.NoError(t, err)
	require.Equal(t, []string{"line", "id", "status", "field", "message"}, lines[0])
	require.Len(t, lines, rows+1)
	seen := map[string]bool{}
	for _, line := range lines[1:] {
		require.False(t, seen[line[0]], line[0])
		seen[line[0]] = true
		var n int
		_, err := fmt.Sscan(line[0], &n)
		require.NoError(t, err)
		if (n-1)%badEvery == 0 {
			require.Equal(t, []string{"refused", "to"}, line[2:4])
			continue
		}
		require.Regexp(t, `^spring:[0-9a-f]{32}$`, line[1])
		require.NotEqual(t, "refused", line[2], "%v", line)
	}
}

func TestCampaignFromStandardInput(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t))
	shell := env{"SLUICE_API_URL": h.API}
	lines := string(notice("1", alpha, 1).json()) + "\n" + string(notice("2", alpha, 2).with("colour", "red").json()) + "\n"
	r := runWith(t, shell, lines, "send", "-", "--campaign", "spring", "--wait")
	require.Equal(t, 1, r.code)
	require.Contains(t, r.stderr, "line 2: colour: is not a field of a job")
	require.Regexp(t, `(?m)^(delivered|read) +1$`, r.stdout)
	require.Regexp(t, `(?m)^refused +1$`, r.stdout)

	// The same id with other content: told, and nothing sent.
	r = runWith(t, shell, string(notice("1", alpha, 3).json()), "send", "-", "--campaign", "spring")
	require.Equal(t, 1, r.code)
	require.Contains(t, r.stderr, "line 1: id: ")
	require.Len(t, h.provider.ledger(), 1)
}

func TestCampaignsAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	empty, nameless := filepath.Join(dir, "empty.csv"), filepath.Join(dir, "nameless.csv")
	require.NoError(t, os.WriteFile(empty, []byte("to\n"), 0o600))
	require.NoError(t, os.WriteFile(nameless, []byte("number\n+15552220001\n"), 0o600))
	for name, tc := range map[string]struct {
		args  []string
		code  int
		names string
	}{
		"no campaign":      {[]string{"--csv", empty}, 2, "--campaign"},
		"bad campaign":     {[]string{"--csv", empty, "--campaign", "a b"}, 2, "--campaign"},
		"no file":          {[]string{"--csv", filepath.Join(dir, "none.csv"), "--campaign", "spring"}, 1, "none.csv"},
		"no rows":          {[]string{"--csv", empty, "--campaign", "spring"}, 1, "no rows"},
		"unknown column":   {[]string{"--csv", nameless, "--campaign", "spring"}, 1, `"number"`},
		"file as argument": {[]string{empty}, 2, "--csv"},
		"both":             {[]string{"-", "--csv", empty, "--campaign", "spring"}, 2, "--csv"},
		"one id for all":   {[]string{"--csv", empty, "--campaign", "spring", "--id", "x"}, 2, "--id"},
		"report of one":    {[]string{"--to", customer(1), "--report", "x.csv"}, 2, "--report"},
	} {
		t.Run(name, func(t *testing.T) {
			requireComplaint(t, run(t, env{}, append([]string{"send"}, tc.args...)...), tc.code, tc.names)
		})
	}
}
