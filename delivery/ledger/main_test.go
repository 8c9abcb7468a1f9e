package ledger_test

import (
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/internal/redistest"
)

// engines are the real servers of this run.
var engines redistest.Engines

func TestMain(m *testing.M) { goleak.VerifyTestMain(engines.Beside(m, "ledger")) }

// onEach runs a test on every engine at hand, each time with an empty database
// of its own: the embedded one, a redis-server, a Cluster, and a server that a
// Sentinel has put in another's place.
func onEach(t *testing.T, test func(t *testing.T, rdb redis.UniversalClient)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		test(t, embedded(t))
	})
	if !engines.Found() {
		return
	}
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(t, engines.Single(t))
	})
	t.Run("cluster", func(t *testing.T) {
		t.Parallel()
		_, rdb := engines.Cluster(t)
		test(t, rdb)
	})
	t.Run("sentinel", func(t *testing.T) {
		t.Parallel()
		test(t, engines.FailedOver(t))
	})
}

func embedded(t testing.TB) *redis.Client {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	return rdb
}
