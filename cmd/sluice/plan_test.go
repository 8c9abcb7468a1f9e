package main_test

import (
	"encoding/json"
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
