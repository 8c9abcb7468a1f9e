package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPlanBeforeAndAfter asks for a plan, sends, and asks again: the sender's
// limit of 2 is then used up by known customers.
func TestPlanBeforeAndAfter(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t).with("SLUICE_DEFAULT_LIMIT", "2", "SLUICE_WINDOW", "1h"))
	shell := env{"SLUICE_API_URL": h.API}
	plan := func(to string) map[string]any {
		r := run(t, shell, "plan", "--from", "+"+alpha, "--to", to, "--json")
		require.Zero(t, r.code, r.stderr)
		var answer map[string]any
		require.NoError(t, json.Unmarshal([]byte(r.stdout), &answer))
		return answer
	}
	three := customer(1) + "," + customer(2) + "," + customer(3)
	before := plan(three)
	require.InDelta(t, 3, before["new"], 0)
	require.InDelta(t, 2, before["free_now"], 0)
	require.NotEmpty(t, before["finishes_at"])

	for _, n := range []int{1, 2} {
		r := run(t, shell, "send", "--from", "+"+alpha, "--to", customer(n), "--content-sid", template, "--wait")
		require.Zero(t, r.code, r.stderr)
	}
	after := plan(three)
	require.InDelta(t, 1, after["new"], 0)
	require.InDelta(t, 2, after["known"], 0)
	require.InDelta(t, 0, after["free_now"], 0)

	shown := run(t, shell, "plan", "--from", "+"+alpha, "--to", three)
	require.Zero(t, shown.code, shown.stderr)
	require.Regexp(t, `COULD GO NOW +2 \(0 places free\)`, shown.stdout)
	requireComplaint(t, run(t, shell, "plan", "--from", "+"+alpha), 2, "--to")
	requireComplaint(t, run(t, shell, "plan", "--from", "+"+alpha, "--to", "you"), 1, "to:")
}

// TestPlanInThePlaceOfSend: what sends a mailing plans it with one word changed,
// and sends nothing.
func TestPlanInThePlaceOfSend(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t))
	shell := env{"SLUICE_API_URL": h.API}
	rows := filepath.Join(t.TempDir(), "rows.csv")
	require.NoError(t, os.WriteFile(rows, []byte("to\n+15552000001\n+15552000002\n"), 0o600))
	const service = "MG00000000000000000000000000000001"
	one := []string{"--id", "order-17", "--to", "+15552000001", "--category", "utility", "--priority", "high",
		"--on-unknown", "hold", "--metadata", "a=b", "--expires-at", "2050-01-01T00:00:00Z", "--wait", "--json"}
	ndjson := `{"id":"a","to":"whatsapp:+15552000001"}` + "\n"
	for name, tc := range map[string]struct {
		args []string
		in   string
		says string
	}{
		"one":                 {append(one, "--from", "+"+alpha, "--content-sid", template, "--var", "1=Ana"), "", `"new":1,`},
		"one, free form":      {append(one, "--from", "+"+alpha, "--body", "Hi", "--media-url", "https://example.com/a.png"), "", `"new":1,`},
		"one of a service":    {append(one, "--messaging-service-sid", service, "--content-sid", template), "", `"new":1,`},
		"a file":              {[]string{"--csv", rows, "--campaign", "spring", "--from", "+" + alpha, "--content-sid", template, "--var", "1=Ana", "--yes", "--json"}, "", `"jobs":2,"bad":0`},
		"a file, free form":   {[]string{"--csv", rows, "--campaign", "spring", "--from", "+" + alpha, "--body", "Hi", "--json"}, "", `"jobs":2,"bad":0`},
		"a file of a service": {[]string{"--csv", rows, "--campaign", "spring", "--messaging-service-sid", service, "--content-sid", template, "--json"}, "", `"from":"` + service},
		"lines":               {[]string{"-", "--campaign", "spring", "--from", "+" + alpha, "--body", "Hi", "--json"}, ndjson, `"jobs":1,"bad":0`},
	} {
		r := runWith(t, shell, tc.in, append([]string{"plan"}, tc.args...)...)
		require.Zero(t, r.code, "%s: %s", name, r.stderr)
		require.Contains(t, r.stdout, tc.says, name)
	}
	require.Zero(t, h.provider.accepted())

	for says, args := range map[string][]string{
		"--campaign needs --csv": {"--from", "+" + alpha, "--to", customer(1), "--campaign", "spring"},
		"--send-at":              {"--from", "+" + alpha, "--to", customer(1), "--send-at", "soon"},
		"not both":               {"--from", "+" + alpha, "--messaging-service-sid", service, "--to", customer(1)},
		"either a file or --to":  {"--csv", rows, "--to", customer(1)},
		"rows.csv":               {"rows.csv", "--from", "+" + alpha},
	} {
		requireComplaint(t, run(t, shell, append([]string{"plan"}, args...)...), 2, says)
	}
}
