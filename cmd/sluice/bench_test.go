package main_test

import (
	"encoding/json"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func TestBench(t *testing.T) {
	t.Parallel()
	addr := fixedAddr(t)
	startRedis(t, addr)
	url := "redis://" + addr
	r := runLong(t, env{"TMPDIR": t.TempDir(), "SLUICE_WINDOW": "nonsense"}, "bench", "--jobs", "300", "--fsync", "interval", "--redis-url", url, "--json")
	require.Zero(t, r.code, r.stderr)
	var told map[string]any
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &told), r.stdout)
	require.EqualValues(t, 300, told["jobs"])
	require.EqualValues(t, 0, told["lost"])
	require.EqualValues(t, 0, told["sent_twice"])
	require.Equal(t, "named", told["redis"])
	for _, rate := range []string{"accepted_per_second", "sent_per_second", "settled_per_second"} {
		require.Positive(t, told[rate], rate)
	}
	require.GreaterOrEqual(t, told["sent_per_second"], told["settled_per_second"])

	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	require.Positive(t, client.DBSize(t.Context()).Val(), "it was used")
	requireComplaint(t, run(t, env{}, "bench", "--redis-url", url), 1, "--redis-url")
	requireComplaint(t, run(t, env{}, "bench", "--jobs", "0"), 2, "--jobs")
	requireComplaint(t, run(t, env{}, "bench", "--fsync", "never"), 2, "--fsync")
}
