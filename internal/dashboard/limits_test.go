package dashboard_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/dashboard"
	"github.com/sluicehq/sluice/ratelimit"
)

func TestLimitsOfAPool(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	require.JSONEq(t, `{"limits":[]}`, w.do("GET", "/v1/limits", "").text)
	w.limits["AC1"] = ratelimit.PoolLimits{
		Pool: "AC1", Limit: 250, Used: 250, Reserved: 25, NextFreeAt: noon.Add(time.Hour), Waiting: [3]int64{1, 20, 300}, Now: noon,
		Senders: []ratelimit.SenderLimits{{
			Sender: sender, Limit: 250, Used: 250, MPS: 80, NextFreeAt: noon.Add(time.Hour),
		}, {
			Sender: "15550002222", Limit: 0, MPS: 0.5, Paused: true, PausedReason: "suspended", TrippedUntil: noon.Add(time.Minute),
		}},
	}
	w.limits["big"] = ratelimit.PoolLimits{Pool: "big", Limit: ratelimit.Unlimited, Free: ratelimit.Unlimited, Now: noon}

	one := `{"pool":"AC1","limit":250,"window":86400,"used":250,"free":0,"reserved":25,"next_free_at":"2026-01-31T13:00:00Z",
		"parked":{"high":1,"normal":20,"low":300},"drains_at":"2026-02-01T13:00:00Z","senders":[
		{"sender":"15550001111","limit":250,"used":250,"free":0,"mps":80,"next_free_at":"2026-01-31T13:00:00Z","paused":false},
		{"sender":"15550002222","limit":0,"used":0,"free":0,"mps":0.5,"next_free_at":null,
		"paused":true,"paused_reason":"suspended","paused_until":"2026-01-31T12:01:00Z"}]}`
	big := `{"pool":"big","limit":"unlimited","window":86400,"used":0,"free":"unlimited","reserved":0,"next_free_at":null,
		"parked":{"high":0,"normal":0,"low":0},"drains_at":null,"senders":[]}`
	require.JSONEq(t, one, w.do("GET", "/v1/limits/AC1", "").text)
	require.JSONEq(t, big, w.do("GET", "/v1/limits/big", "").text)
	require.JSONEq(t, `{"limits":[`+one+`,`+big+`]}`, w.do("GET", "/v1/limits", "").text)
	w.refused(w.do("GET", "/v1/limits/other", ""), 404, "not_found", "")
}

func TestWhenAPoolDrains(t *testing.T) {
	t.Parallel()
	const window = 24 * time.Hour
	pool := func(limit, free, reserved int, high, normal int64, mps ...float64) ratelimit.PoolLimits {
		p := ratelimit.PoolLimits{Limit: limit, Free: free, Reserved: reserved, Waiting: [3]int64{high, normal}, Now: noon}
		if limit != ratelimit.Unlimited && free < limit {
			p.NextFreeAt = noon.Add(time.Hour)
		}
		for _, m := range mps {
			p.Senders = append(p.Senders, ratelimit.SenderLimits{MPS: m})
		}
		return p
	}
	paused := pool(250, 250, 0, 0, 1, 80)
	paused.Paused = true
	stopped := pool(250, 250, 0, 0, 1, 80)
	stopped.Senders[0].Paused = true
	for name, c := range map[string]struct {
		pool ratelimit.PoolLimits
		in   time.Duration // -1: no estimate
	}{
		"nothing waits":                        {pool(250, 0, 0, 0, 0, 80), -1},
		"places are free: the rate decides":    {pool(1000, 500, 0, 0, 400, 10), 40 * time.Second},
		"two senders are twice as fast":        {pool(1000, 500, 0, 0, 400, 10, 10), 20 * time.Second},
		"unlimited":                            {pool(ratelimit.Unlimited, ratelimit.Unlimited, 0, 0, 1000, 10), 100 * time.Second},
		"full: the next place":                 {pool(250, 0, 0, 0, 250, 80), time.Hour},
		"full for several windows":             {pool(250, 0, 0, 0, 501, 80), time.Hour + 2*window},
		"empty, but more wait than fit":        {pool(250, 250, 0, 0, 500, 80), window},
		"only the reserve is left for normal":  {pool(250, 25, 25, 0, 1, 80), time.Hour},
		"only the reserve is left for high":    {pool(250, 25, 25, 25, 0, 25), time.Second},
		"the rate is slower than the limit":    {pool(250, 0, 0, 0, 250, 0.01), 25000 * time.Second},
		"a limit of 0 lets nobody out":         {pool(0, 0, 0, 0, 1, 80), -1},
		"no sender":                            {pool(250, 250, 0, 0, 1), -1},
		"the pool is paused":                   {paused, -1},
		"its only sender is paused":            {stopped, -1},
		"beyond ten years":                     {pool(1, 0, 0, 0, 5000, 80), -1},
		"a number that would overflow a clock": {pool(1, 0, 0, 0, 1<<62, 1e-9), -1},
	} {
		want := time.Time{}
		if c.in >= 0 {
			want = noon.Add(c.in)
		}
		require.Equal(t, want, dashboard.DrainsAt(c.pool, window), name)
	}
}
