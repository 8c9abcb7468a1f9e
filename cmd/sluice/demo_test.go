package main_test

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDemo runs the demo amid settings that would break everything else.
func TestDemo(t *testing.T) {
	t.Parallel()
	temp := t.TempDir()
	demo := runLong(t, env{
		"TMPDIR": temp, "SLUICE_WINDOW": "nonsense", "SLUICE_NATS_URL": "nats://127.0.0.1:1", "SLUICE_DATA": "/nowhere/at/all",
		"SLUICE_API_ADDR": "0.0.0.0:1", "SLUICE_CONCURRENCY": "-1", "SLUICE_NO_SUCH_SETTING": "1",
		"TWILIO_ACCOUNT_SID": "nonsense", "TWILIO_AUTH_TOKEN": "nonsense", "TWILIO_API_KEY": "nonsense",
	}, "demo", "--json", "--jobs", "400")
	require.Zero(t, demo.code, demo.stderr)

	var table map[string]float64
	printed := lines(demo.stdout)
	require.NoError(t, json.Unmarshal([]byte(printed[len(printed)-1]), &table))
	require.ElementsMatch(t, []string{
		"jobs", "accepted", "parked", "released", "sent", "delivered", "read", "failed",
		"lost", "sent_twice", "limit_exceeded", "seconds",
	}, slices.Collect(maps.Keys(table)))
	for _, all := range []string{"jobs", "accepted", "sent", "delivered"} {
		require.EqualValues(t, 400, table[all], all)
	}
	for _, none := range []string{"failed", "lost", "sent_twice", "limit_exceeded"} {
		require.Zero(t, table[none], none)
	}
	require.Positive(t, table["parked"])
	require.Equal(t, table["parked"], table["released"])
	require.Positive(t, table["read"])
	require.Positive(t, table["seconds"])

	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	require.Empty(t, left, "the demo cleans up behind itself")
}

func TestDemoRefusesTooManyJobs(t *testing.T) {
	t.Parallel()
	demo := run(t, env{}, "demo", "--jobs", "0")
	require.Equal(t, 2, demo.code)
	require.Len(t, lines(demo.stderr), 1)
}
