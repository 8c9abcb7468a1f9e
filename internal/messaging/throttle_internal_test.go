package messaging

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestThrottleHalvesOnceForWhatWasUnderWayTogether(t *testing.T) {
	t.Parallel()
	th := newThrottle(8)
	var turns []turn
	for range 8 {
		mine, err := th.begin(t.Context())
		require.NoError(t, err)
		turns = append(turns, mine)
	}
	for _, mine := range turns[:4] {
		th.end(mine, true)
	}
	require.InDelta(t, 4, th.limit, 0)
	for _, mine := range turns[4:] {
		th.end(mine, true)
	}
	require.InDelta(t, 4, th.limit, 0)
	for i := range 5 { // down to one, and never below
		mine, err := th.begin(t.Context())
		require.NoError(t, err)
		th.end(mine, true)
		require.InDelta(t, max(1, 4/float64(int(2)<<i)), th.limit, 0)
	}
}

// TestThrottleFindsTheProvidersNumber calls a provider that takes 5 at once, in
// rounds of one second.
func TestThrottleFindsTheProvidersNumber(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const takes = 5
		th := newThrottle(64)
		var busy, refused, done atomic.Int64
		ctx, stop := context.WithCancel(t.Context())
		var callers sync.WaitGroup
		for range 64 {
			callers.Go(func() {
				for {
					mine, err := th.begin(ctx)
					if err != nil {
						return
					}
					tooMany := busy.Add(1) > takes
					time.Sleep(time.Second)
					busy.Add(-1)
					if tooMany {
						refused.Add(1)
					} else {
						done.Add(1)
					}
					th.end(mine, tooMany)
				}
			})
		}
		time.Sleep(60 * time.Second)
		before, unwanted := done.Load(), refused.Load()
		time.Sleep(600 * time.Second)
		stop()
		callers.Wait()
		require.Zero(t, th.busy)
		require.Greater(t, done.Load()-before, int64(600*takes*6/10), "the provider could take %d a second", takes)
		require.Less(t, refused.Load()-unwanted, (done.Load()-before)/2)
	})
}

// TestThrottleCountsRight plays any order of begin, end and giving up: what is
// under way never exceeds the limit at its begin, and no turn gets lost.
func TestThrottleCountsRight(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		synctest.Test(t, func(t *testing.T) {
			th := newThrottle(rapid.IntRange(1, 6).Draw(rt, "most"))
			var under []turn
			got := make(chan turn, 100)
			var asking sync.WaitGroup
			var quits []context.CancelFunc
			for range rapid.IntRange(1, 40).Draw(rt, "steps") {
				switch rapid.IntRange(0, 3).Draw(rt, "step") {
				case 0, 1:
					ctx, quit := context.WithCancel(t.Context())
					quits = append(quits, quit)
					asking.Go(func() {
						if mine, err := th.begin(ctx); err == nil {
							got <- mine
						}
					})
				case 2:
					if len(under) > 0 {
						th.end(under[0], rapid.Bool().Draw(rt, "refused"))
						under = under[1:]
					}
				case 3:
					if len(quits) > 0 {
						quits[0]()
						quits = quits[1:]
					}
				}
				synctest.Wait()
				for len(got) > 0 {
					under = append(under, <-got)
				}
				require.Equal(rt, len(under), th.busy)
				require.True(rt, len(th.waiting) == 0 || th.busy >= int(th.limit), "somebody waits though there is a turn")
			}
			for _, quit := range quits {
				quit()
			}
			asking.Wait()
			close(got)
			for mine := range got {
				under = append(under, mine)
			}
			require.Equal(rt, len(under), th.busy)
		})
	})
}

// TestClientCallsLessAtOnceAfter429 goes through a real server.
func TestClientCallsLessAtOnceAfter429(t *testing.T) {
	t.Parallel()
	var busy, most atomic.Int64
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if n := busy.Add(1); n > most.Load() {
			most.Store(n)
		}
		<-release
		busy.Add(-1)
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	defer server.Close()
	c := NewClient(Account{SID: "AC1"}, Config{BaseURL: server.URL, MaxConns: 8})
	defer c.Close()
	var calls sync.WaitGroup
	for range 8 {
		calls.Go(func() { _, _ = c.Create(t.Context(), Message{}) })
	}
	require.Eventually(t, func() bool { return busy.Load() == 8 }, 10*time.Second, time.Millisecond)
	close(release)
	calls.Wait()
	require.InDelta(t, 4, c.throttle.limit, 0)
}
