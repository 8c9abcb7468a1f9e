package ratelimit_test

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/ratelimit"
)

const tracked = 10_000

// BenchmarkAdmit asks on a real server, on its own clock and epoch, with 10,000
// customers in the window. usec/script is the server's own time per admission.
func BenchmarkAdmit(b *testing.B) {
	engines.Need(b)
	for _, c := range []struct {
		name      string
		limit     int
		customers int
	}{
		{"counted", 2 * tracked, tracked},
		{"new", ratelimit.Unlimited, 1 << 40},
		{"full", tracked, 1 << 40},
	} {
		b.Run(c.name, func(b *testing.B) {
			g := fullGate(b, c.limit)
			require.NoError(b, g.rdb.ConfigResetStat(b.Context()).Err())
			var n atomic.Int64
			b.SetParallelism(8)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					i := int(n.Add(1)) + tracked
					r := job(fmt.Sprintf("job-%d", i), "15550001111", customer(i%c.customers))
					if _, err := g.Admit(context.Background(), r); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.StopTimer()
			b.ReportMetric(usecPerCall(b, g), "usec/script")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "admissions/s")
		})
	}
}

// BenchmarkAdmitEmbedded asks on miniredis with 1,000 customers in the window, and
// shows what it would cost to let keys grow older on every command (ClockTTL).
func BenchmarkAdmitEmbedded(b *testing.B) {
	for name, onEveryCommand := range map[string]bool{"aged-apart": false, "aged-on-commands": true} {
		b.Run(name, func(b *testing.B) {
			server := miniredis.RunT(b)
			server.ClockTTL(onEveryCommand)
			g := onServer(b, server, ratelimit.Options{DefaultLimit: ratelimit.Unlimited, DefaultMPS: 1e6})
			for i := range 1000 {
				g.goes(b, job(fmt.Sprint("before ", i), "15550001111", customer(i)))
			}
			for i := 0; b.Loop(); i++ {
				g.goes(b, job(fmt.Sprint(i), "15550001111", customer(i%1000)))
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "admissions/s")
		})
	}
}

// BenchmarkMemory reports what the gate keeps for a customer and for a job, in
// bytes of Redis memory: both windows of a customer together, and the other keys
// one by one.
func BenchmarkMemory(b *testing.B) {
	engines.Need(b)
	g := fullGate(b, tracked)
	from := "15550001111"
	windows := g.memory(b, "{sluice}:window:sender:"+from) + g.memory(b, "{sluice}:window:pool:pool")
	sent := g.memory(b, "{sluice}:job:job-8")
	g.goes(b, job("again", from, customer(tracked-1))) // within the spacing
	g.apply(b,
		ratelimit.Change{Kind: ratelimit.Progress, Job: "job-7", Attempt: 1, At: time.Now(),
			Status: "delivered", SID: "SM0123456789abcdef0123456789abcdef"},
		ratelimit.Change{Kind: ratelimit.Ended, Job: "job-7", Attempt: 1, At: startAt.AddDate(10, 0, 0), Status: "delivered"},
		ratelimit.Change{Kind: ratelimit.Inbound, Sender: from, Customer: customer(3), At: time.Now()})
	require.NoError(b, g.SetConsent(b.Context(), customer(3), from, ratelimit.Out, startAt, 1))
	require.NoError(b, g.SetAlias(b.Context(), "US.13491208655302741918", customer(4), 1))

	needy, ready := job("parked", from, customer(tracked)), job("ready", from, customer(5))
	require.Equal(b, ratelimit.ReasonSenderLimit, g.parks(b, needy, ratelimit.ReasonSenderLimit).Reason)
	require.NoError(b, g.Shelve(b.Context(), needy, 1<<30))
	require.NoError(b, g.SetPool(b.Context(), "pool", ratelimit.PoolPolicy{Paused: true}, 1))
	g.parks(b, ready, ratelimit.ReasonPoolPaused)
	require.NoError(b, g.Shelve(b.Context(), ready, 1<<30+1))
	for b.Loop() {
		b.ReportMetric(float64(windows)/tracked, "B/customer")
		b.ReportMetric(float64(sent), "B/job-sent")
		b.ReportMetric(float64(g.memory(b, "{sluice}:job:job-7")), "B/job-ended")
		b.ReportMetric(float64(g.memory(b, "{sluice}:job:parked")+g.memory(b, "{sluice}:customer:"+customer(tracked))), "B/job-parked")
		b.ReportMetric(float64(g.memory(b, "{sluice}:job:ready")), "B/job-ready")
		b.ReportMetric(float64(g.memory(b, "{sluice}:pair:"+from+":"+customer(tracked-1))), "B/pace")
		b.ReportMetric(float64(g.memory(b, "{sluice}:inbound:"+from+":"+customer(3))), "B/service-window")
		b.ReportMetric(float64(g.memory(b, "{sluice}:customer:"+customer(3))), "B/consent")
		b.ReportMetric(float64(g.memory(b, "{sluice}:customer:US.13491208655302741918")), "B/alias")
	}
}

// fullGate is a gate on the real server with 10,000 counted customers.
func fullGate(b *testing.B, limit int) *bench {
	b.Helper()
	rdb := engines.Single(b)
	b.Cleanup(func() { _ = rdb.FlushDB(context.Background()).Err() })
	g := &bench{Gate: ratelimit.New(rdb, ratelimit.Options{DefaultLimit: limit, DefaultMPS: 1e6}), rdb: rdb}
	g.open(b)
	for i := range tracked {
		r := job(fmt.Sprintf("job-%d", i), "15550001111", customer(i))
		g.goes(b, r)
	}
	return g
}

func (b *bench) memory(t testing.TB, key string) int64 {
	t.Helper()
	n, err := b.rdb.MemoryUsage(t.Context(), key, 0).Result()
	require.NoError(t, err)
	return n
}

func customer(i int) string { return fmt.Sprintf("+4915%09d", i) }

func usecPerCall(b *testing.B, g *bench) float64 {
	b.Helper()
	stats, err := g.rdb.Info(context.Background(), "commandstats").Result()
	require.NoError(b, err)
	m := regexp.MustCompile(`cmdstat_evalsha:.*usec_per_call=([0-9.]+)`).FindStringSubmatch(stats)
	require.NotNil(b, m, stats)
	usec, err := strconv.ParseFloat(m[1], 64)
	require.NoError(b, err)
	return usec
}
