package main_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// crowd is ten pools of five senders, each with the given limit a window.
func crowd(limit int) (pools []testPool, senders []string) {
	for p := range 10 {
		pool := testPool{fmt.Sprintf("pool-%d", p), limit, map[string]int{}}
		for s := range 5 {
			sender := fmt.Sprintf("1555020%02d%02d", p, s)
			pool.senders[sender] = limit
			senders = append(senders, sender)
		}
		pools = append(pools, pool)
	}
	return pools, senders
}

// TestManyPools sends through fifty senders in ten pools with four dispatchers,
// while limits go up and down and one pool's places are taken by somebody else for
// a while. The provider, which counts on its own, sees no limit exceeded but in that
// pool, and there every job arrives all the same. SLUICE_POOLS_JOBS is how many jobs.
func TestManyPools(t *testing.T) {
	t.Parallel()
	lookRedis(t)
	n := number(t, "SLUICE_POOLS_JOBS", 5000)
	limit := min(max(60, n/400), 160)
	pools, senders := crowd(limit)
	redisAddr := fixedAddr(t)
	startRedis(t, redisAddr)
	f := assemble(t, 0, pools, startNATS(t), redisAddr, func(addr string) string { return addr })
	for _, settings := range []env{f.dispatchers[0].settings, f.dispatchers[1].settings} {
		launch(t, settings, "dispatcher").ready()
	}
	for i := range n {
		id := fmt.Sprintf("job-%06d", i)
		f.ids, f.jobs = append(f.ids, id), append(f.jobs, notice(id, senders[i%len(senders)], i))
	}
	f.begun = time.Now()
	f.end = f.begun.Add(2*time.Minute + time.Duration(n)*time.Second/40)

	foreign := pools[0]
	f.judge.must(http.MethodPut, "/sandbox/pools/"+foreign.name, fields{"limit": limit / 2}, nil)
	stop, stopped := context.WithCancel(t.Context())
	var group errgroup.Group
	group.Go(func() error { return f.sway(stop, pools[1:]) })
	for lines := range slices.Chunk(f.jobs, 500) {
		f.until(func() bool { return f.api.tryLines(lines) == nil })
	}
	f.until(func() bool { return f.judge.refusals(foreign.name) > 0 })
	f.judge.must(http.MethodPut, "/sandbox/pools/"+foreign.name, fields{"limit": limit}, nil)
	f.until(func() bool { return f.ended() >= n })
	took := time.Since(f.begun)
	stopped()
	require.NoError(t, group.Wait())

	for id, status := range f.states() {
		require.Contains(t, []string{"delivered", "read"}, status, id)
	}
	ledger := f.judge.ledger()
	for _, id := range f.ids {
		arrived := slices.DeleteFunc(ledger[id], func(m message) bool { return m.Status == "undelivered" })
		require.Len(t, arrived, 1, "messages of job %s that arrived", id)
	}
	for _, pool := range pools[1:] {
		require.Zero(t, f.judge.refusals(pool.name), pool.name)
	}
	t.Logf("%d jobs over 50 senders in 10 pools of %d places: %s, %d refused where somebody else sends",
		n, limit, took.Round(time.Millisecond), f.judge.refusals(foreign.name))
}

// sway lowers and raises the limits of the pools, one after the other, until ctx
// ends. The provider's stay where they are, above them.
func (f *fleet) sway(ctx context.Context, pools []testPool) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		pool := pools[i%len(pools)]
		share := []int{1, 2, 3}[i/len(pools)%3]
		a, err := f.api.try(http.MethodPut, "/v1/pools/"+pool.name, fields{"limit": pool.limit / share}.json())
		if err != nil || a.status != http.StatusOK {
			return fmt.Errorf("limit not set: %w %s", err, a.body)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// refusals is how many messages of a pool, or of its senders, went beyond a limit,
// as the provider counts.
func (p provider) refusals(pool string) (n int) {
	p.t.Helper()
	var limits struct {
		Pools, Senders []struct {
			Pool      string
			Exceeded  int
			OverLimit int `json:"over_limit"`
		}
	}
	p.must(http.MethodGet, "/sandbox/limits", nil, &limits)
	for _, usage := range slices.Concat(limits.Pools, limits.Senders) {
		if strings.EqualFold(usage.Pool, pool) {
			n += max(usage.Exceeded, usage.OverLimit)
		}
	}
	return n
}
