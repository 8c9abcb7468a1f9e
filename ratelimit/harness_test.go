package ratelimit_test

import (
	"sort"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/ratelimit"
)

// startAt is where every test's clock begins.
var startAt = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// clock is the time that the scripts are given.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// bench is an open gate in an empty Redis, with a clock that the test moves.
type bench struct {
	*ratelimit.Gate
	rdb   *redis.Client
	clock *clock
	opts  ratelimit.Options
	real  bool
	// versions counts the policies set.
	versions atomic.Uint64
}

// onEach runs a test on miniredis, and where redis-server is found, on one, on a
// cluster, and on one that a Sentinel has put in another's place.
func onEach(t *testing.T, opts ratelimit.Options, test func(t *testing.T, b *bench)) {
	t.Helper()
	t.Run("miniredis", func(t *testing.T) {
		t.Parallel()
		test(t, onMini(t, opts))
	})
	if engines.Found() {
		t.Run("redis", func(t *testing.T) {
			t.Parallel()
			test(t, onReal(t, opts))
		})
		t.Run("cluster", func(t *testing.T) {
			t.Parallel()
			b, _ := onCluster(t, opts)
			test(t, b)
		})
		t.Run("sentinel", func(t *testing.T) {
			t.Parallel()
			test(t, newBench(t, engines.FailedOver(t), opts, true))
		})
	}
}

func onMini(t testing.TB, opts ratelimit.Options) *bench {
	t.Helper()
	return onServer(t, miniredis.RunT(t), opts)
}

func onServer(t testing.TB, m *miniredis.Miniredis, opts ratelimit.Options) *bench {
	t.Helper()
	opts.Epoch = t.Name()
	return newBench(t, redis.NewClient(&redis.Options{Addr: m.Addr(), MaxRetries: -1}), opts, false)
}

func onReal(t testing.TB, opts ratelimit.Options) *bench {
	t.Helper()
	return newBench(t, engines.Single(t), opts, true)
}

func newBench(t testing.TB, rdb *redis.Client, opts ratelimit.Options, real bool) *bench {
	t.Helper()
	return newBenchOn(t, rdb, rdb, opts, real)
}

// newBenchOn is a gate on all servers, of which the test looks into one.
func newBenchOn(t testing.TB, all redis.UniversalClient, rdb *redis.Client, opts ratelimit.Options, real bool) *bench {
	t.Helper()
	t.Cleanup(func() { _ = rdb.Close() })
	c := &clock{now: startAt}
	if opts.Now == nil {
		opts.Now = c.Now
	}
	b := &bench{Gate: ratelimit.New(all, opts), rdb: rdb, clock: c, opts: opts.WithDefaults(), real: real}
	b.open(t)
	return b
}

func (b *bench) open(t testing.TB) {
	t.Helper()
	current, _, err := b.Epoch(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, current)
	require.NoError(t, b.Refill(t.Context(), current))
	require.NoError(t, b.Open(t.Context(), current))
}

// job is a template job of attempt 1, whose token and digest follow its id.
func job(id, sender, customer string) ratelimit.Request {
	return ratelimit.Request{
		Job: id, Digest: "digest of " + id, Sender: sender, Customer: customer, Pool: "pool",
		Priority: ratelimit.Normal, Attempt: 1, Token: "token of " + id, Template: true,
	}
}

func (b *bench) admit(t testing.TB, r ratelimit.Request) ratelimit.Verdict {
	t.Helper()
	v, err := b.Admit(t.Context(), r)
	require.NoError(t, err)
	return v
}

func (b *bench) reserve(t testing.TB, r ratelimit.Request) ratelimit.Verdict {
	t.Helper()
	v, err := b.Reserve(t.Context(), r)
	require.NoError(t, err)
	return v
}

// goes admits and requires a grant.
func (b *bench) goes(t testing.TB, r ratelimit.Request) ratelimit.Verdict {
	t.Helper()
	v := b.admit(t, r)
	require.Equal(t, ratelimit.OutcomeGo, v.Outcome, "job %s: %+v", r.Job, v)
	return v
}

// parks admits and requires a park for the reason.
func (b *bench) parks(t testing.TB, r ratelimit.Request, reason string) ratelimit.Verdict {
	t.Helper()
	v := b.admit(t, r)
	require.Equal(t, ratelimit.OutcomePark, v.Outcome, "job %s: %+v", r.Job, v)
	require.Equal(t, reason, v.Reason)
	return v
}

// apply brings changes to the gate from wherever it stands.
func (b *bench) apply(t testing.TB, changes ...ratelimit.Change) {
	t.Helper()
	at, err := b.Position(t.Context())
	require.NoError(t, err)
	require.NoError(t, b.Apply(t.Context(), at, at+1, changes))
}

func (b *bench) pool(t testing.TB, name string) ratelimit.PoolLimits {
	t.Helper()
	p, err := b.Limits(t.Context(), name)
	require.NoError(t, err)
	return p
}

func (b *bench) used(t testing.TB) int { return b.pool(t, "pool").Used }

// version is one that is new to every policy.
func (b *bench) version() uint64 { return b.versions.Add(1) }

// sets sets the policy of sender, setsPool that of pool.
func (b *bench) sets(t testing.TB, p ratelimit.SenderPolicy) {
	t.Helper()
	require.NoError(t, b.SetSender(t.Context(), sender, p, b.version()))
}

func (b *bench) setsPool(t testing.TB, p ratelimit.PoolPolicy) {
	t.Helper()
	require.NoError(t, b.SetPool(t.Context(), "pool", p, b.version()))
}

func (b *bench) says(t testing.TB, customer, to string, c ratelimit.Choice) {
	t.Helper()
	require.NoError(t, b.SetConsent(t.Context(), customer, to, c, b.clock.Now(), b.version()))
}

// writes opens the customer's service window.
func (b *bench) writes(t testing.TB, to, customer string) {
	t.Helper()
	b.apply(t, ratelimit.Change{Kind: ratelimit.Inbound, Sender: to, Customer: customer, At: b.clock.Now()})
}

func (b *bench) claim(t testing.TB, id, digest, from string) (known bool) {
	t.Helper()
	claimed, err := b.Claim(t.Context(), id, digest, from, time.Time{})
	require.NoError(t, err)
	return claimed.Known
}

func (b *bench) ttl(t testing.TB, id string) time.Duration {
	t.Helper()
	ttl, err := b.rdb.PTTL(t.Context(), "{sluice}:job:"+id).Result()
	require.NoError(t, err)
	return ttl
}

// dump is all that Redis holds, by key.
func (b *bench) dump(t testing.TB) map[string]any {
	t.Helper()
	ctx := t.Context()
	keys, err := b.rdb.Keys(ctx, "*").Result()
	require.NoError(t, err)
	all := make(map[string]any, len(keys))
	for _, key := range keys {
		kind, err := b.rdb.Type(ctx, key).Result()
		require.NoError(t, err)
		switch kind {
		case "string":
			all[key], err = b.rdb.Get(ctx, key).Result()
		case "hash":
			all[key], err = b.rdb.HGetAll(ctx, key).Result()
		case "zset":
			all[key], err = b.rdb.ZRangeWithScores(ctx, key, 0, -1).Result()
		case "set":
			var members []string
			members, err = b.rdb.SMembers(ctx, key).Result()
			sort.Strings(members)
			all[key] = members
		default:
			t.Fatalf("%s is a %s", key, kind)
		}
		require.NoError(t, err)
	}
	return all
}

func limit(n int) *int { return &n }
