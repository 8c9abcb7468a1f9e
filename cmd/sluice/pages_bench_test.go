package main_test

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/delivery/ledger"
)

// BenchmarkPages fills a real Redis with the state of many jobs, 100,000 or
// SLUICE_BENCH_JOBS, and asks a real process for its pages: how long each
// takes, in ms. Overviews are asked for once each, so that none of them comes
// from the counts of another.
//
//	SLUICE_BENCH_JOBS=1000000 go test -run - -bench Pages -benchtime 20x ./cmd/sluice
func BenchmarkPages(b *testing.B) {
	jobs := 100_000
	if text := os.Getenv("SLUICE_BENCH_JOBS"); text != "" {
		var err error
		jobs, err = strconv.Atoi(text)
		require.NoError(b, err)
	}
	lookRedis(b)
	addr := fixedAddr(b)
	startRedis(b, addr)
	fillLedger(b, addr, jobs)
	up := start(b, quick(b).quietly().with("SLUICE_REDIS_URL", "redis://"+addr, "SLUICE_DATA", b.TempDir()), "up").ready()
	api := newSite(b, up.API)
	ask := func(b *testing.B, path, shows string) time.Duration {
		begun := time.Now()
		a := api.do(http.MethodGet, path, nil)
		took := time.Since(begun)
		require.Equal(b, http.StatusOK, a.status, path)
		require.Contains(b, string(a.body), shows, path)
		return took
	}
	ask(b, "/openapi.yaml", "") // the connection is there
	for _, span := range []string{"15m", "1h", "24h", "7d"} {
		first := ask(b, "/?span="+span, "Delivered") // here: a benchmark begins more than once
		b.Run("Overview/"+span, func(b *testing.B) {
			for b.Loop() {
				ask(b, "/?span="+span, "Delivered")
			}
			b.ReportMetric(float64(first.Microseconds())/1000, "ms/first")
			b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms/page")
		})
	}
	last := strings.TrimPrefix(customer(jobs/2), "whatsapp:")
	for name, path := range map[string]string{
		"Newest": "/jobs", "ByID": "/jobs?find=job-77", "ByCustomer": "/jobs?find=" + last, "BySID": fmt.Sprintf("/jobs?find=SM%032d", 77),
		"ByStatus": "/jobs?status=failed", "BySenderAndStatus": "/jobs?status=parked&from=" + beta, "Timeline": "/jobs/job-77", "Trouble": "/trouble",
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				ask(b, path, "job-")
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms/page")
		})
	}
}

// fillLedger makes jobs of the last week, most of them delivered.
func fillLedger(b *testing.B, addr string, jobs int) {
	b.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
	defer rdb.Close()
	state, now := ledger.New(rdb, ledger.Options{}), time.Now()
	step := 7 * 24 * time.Hour / time.Duration(jobs)
	ends := []delivery.EventType{
		delivery.EventDelivered, delivery.EventDelivered, delivery.EventRead, delivery.EventDelivered,
		delivery.EventRead, delivery.EventDelivered, delivery.EventFailed, delivery.EventParked,
	}
	var batch []delivery.Event
	for n := range jobs {
		sender := []string{alpha, beta}[n%2]
		job := delivery.Job{ID: fmt.Sprintf("job-%d", n), From: whatsapp(sender), To: customer(n)}
		e := job.Happened(ends[n%len(ends)], 1, now.Add(-step*time.Duration(n)), fmt.Sprintf("e-%d", n))
		switch e.Type {
		case delivery.EventFailed:
			e.Error = &delivery.Error{Code: []int{63016, 63024, 63018}[n%3], Message: "refused"}
		case delivery.EventParked:
		default:
			e.SID = fmt.Sprintf("SM%032d", n)
		}
		if batch = append(batch, e); len(batch) == 500 || n == jobs-1 {
			require.NoError(b, state.Apply(b.Context(), batch))
			batch = batch[:0]
		}
	}
	b.Logf("%d jobs in %s", jobs, time.Since(now).Round(time.Second))
}
