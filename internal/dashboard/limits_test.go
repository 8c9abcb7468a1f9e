package dashboard_test

import (
	"encoding/json"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/ratelimit"
)

func TestLimitsOfAPool(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	require.JSONEq(t, `{"limits":[]}`, w.do("GET", "/v1/limits", "").text)
	w.limits["AC1"] = ratelimit.PoolLimits{
		Pool: "AC1", Limit: 250, Used: 250, Reserved: 25, NextFreeAt: noon.Add(time.Hour), Waiting: [3]int64{1, 20, 300}, Now: noon,
		Senders: []ratelimit.SenderLimits{{
			Sender: sender, Limit: 250, Used: 250, MPS: 80, EffectiveMPS: 40, NextFreeAt: noon.Add(time.Hour),
		}, {
			Sender: "15550002222", Limit: 0, MPS: 0.5, EffectiveMPS: 0.5, Paused: true, PausedReason: "suspended", TrippedUntil: noon.Add(time.Minute),
		}},
	}
	w.room[sender] = map[delivery.Priority]int64{delivery.High: 1, delivery.Normal: 20, delivery.Low: 230}
	w.limits["big"] = ratelimit.PoolLimits{Pool: "big", Limit: ratelimit.Unlimited, Free: ratelimit.Unlimited, Now: noon}

	one := `{"pool":"AC1","limit":250,"window":86400,"used":250,"free":0,"reserved":25,"next_free_at":"2026-01-31T13:00:00Z",
		"parked":{"high":1,"normal":20,"low":300},"drains_at":"2026-02-01T13:01:00.3125Z","senders":[
		{"sender":"15550001111","limit":250,"used":250,"free":0,"mps":80,"effective_mps":40,"next_free_at":"2026-01-31T13:00:00Z","paused":false},
		{"sender":"15550002222","limit":0,"used":0,"free":0,"mps":0.5,"effective_mps":0.5,"next_free_at":null,
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
	const margin = time.Minute
	pool := func(limit, free, reserved int, mps ...float64) ratelimit.PoolLimits {
		p := ratelimit.PoolLimits{Pool: "AC1", Limit: limit, Free: free, Used: max(0, limit-free), Reserved: reserved, Now: noon}
		if p.Used > 0 {
			p.NextFreeAt = noon.Add(time.Hour)
		}
		for i, m := range mps {
			p.Senders = append(p.Senders, ratelimit.SenderLimits{
				Sender: []string{sender, other}[i], MPS: m, Limit: ratelimit.Unlimited, Free: ratelimit.Unlimited,
			})
		}
		return p
	}
	full := pool(250, 0, 0, 80)
	full.Senders[0].Limit, full.Senders[0].Free = 100, 100
	paused, closed, stopped, tripped := pool(250, 250, 0, 80), pool(250, 250, 0, 80), pool(250, 250, 0, 80), pool(250, 250, 0, 80)
	paused.Paused, closed.Closed, stopped.Senders[0].Paused = true, true, true
	cut := pool(ratelimit.Unlimited, ratelimit.Unlimited, 0, 10)
	cut.Senders[0].EffectiveMPS = 5 // all of it in four minutes, in which 1,800 go
	tripped.Senders[0].Paused, tripped.Senders[0].TrippedUntil = true, noon.Add(time.Minute)
	const tick = time.Second / 80
	for name, c := range map[string]struct {
		pool ratelimit.PoolLimits
		room room
		in   time.Duration // -1: no estimate
	}{
		"nothing waits":                        {pool(250, 0, 0, 80), nil, -1},
		"places are free: the rate decides":    {pool(1000, 500, 0, 10), normal(400), 399 * time.Second / 10},
		"two senders side by side":             {pool(1000, 500, 0, 10, 10), room{sender: {delivery.Low: 200}, other: {delivery.Low: 200}}, 199 * time.Second / 10},
		"a rate that was cut":                  {cut, normal(1801 + 100), 250 * time.Second},
		"unlimited":                            {pool(ratelimit.Unlimited, ratelimit.Unlimited, 0, 10), normal(1000), 999 * time.Second / 10},
		"full: the next places":                {pool(250, 0, 0, 80), normal(250), time.Hour + 249*tick},
		"full for several windows":             {pool(250, 0, 0, 80), normal(501), time.Hour + 2*(window+margin)},
		"the sender's own limit is narrower":   {full, normal(250), time.Hour + 2*(window+margin) + 49*tick},
		"empty, but more wait than fit":        {pool(250, 250, 0, 80), normal(500), window + margin + 249*tick},
		"only the reserve is left for normal":  {pool(250, 25, 25, 80), normal(1), time.Hour},
		"only the reserve is left for high":    {pool(250, 25, 25, 25), room{sender: {delivery.High: 25}}, 24 * time.Second / 25},
		"the rate is slower than the limit":    {pool(250, 0, 0, 0.01), normal(250), time.Hour + 24900*time.Second},
		"a sender that rests goes on later":    {tripped, normal(1), time.Minute},
		"a limit of 0 lets nobody out":         {pool(0, 0, 0, 80), normal(1), -1},
		"the pool is paused":                   {paused, normal(1), -1},
		"the pool is closed":                   {closed, normal(1), -1},
		"its only sender is paused":            {stopped, normal(1), -1},
		"beyond ten years":                     {pool(1, 0, 0, 80), normal(5000), -1},
		"a number that would overflow a clock": {pool(1, 0, 0, 1e-9), normal(1 << 62), -1},
	} {
		w := newWorld(t, "")
		w.limits["AC1"] = c.pool
		maps.Copy(w.room, c.room)
		var answer struct {
			DrainsAt time.Time `json:"drains_at"`
		}
		r := w.do("GET", "/v1/limits/AC1", "")
		require.NoError(t, json.Unmarshal([]byte(r.text), &answer), r.text)
		want := time.Time{}
		if c.in >= 0 {
			want = noon.Add(c.in)
		}
		require.WithinDuration(t, want, answer.DrainsAt, time.Microsecond, name)
	}
}

const other = "15550002222"

func normal(n int64) room { return room{sender: {delivery.Normal: n}} }
