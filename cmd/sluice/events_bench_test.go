package main_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkSendBesideFollowers sends through every role in processes of its own,
// without event streams and beside 1,000 clients that follow all events and one
// that reads nothing. slowdown is how much longer the same messages took from the
// first to the last, by the provider's clock. All of it shares one machine, the
// clients too: AtTheirRate is what three senders may send, AsFastAsCan is more
// than two processors can, so that there whatever the clients take is missing.
//
//	go test -run - -bench SendBesideFollowers -benchtime 1x ./cmd/sluice
func BenchmarkSendBesideFollowers(b *testing.B) {
	lookRedis(b)
	for _, load := range []struct {
		name          string
		senders, jobs int
	}{
		{"AtTheirRate", 3, 2400},
		{"AsFastAsCan", 30, 4000},
	} {
		b.Run(load.name, func(b *testing.B) {
			for b.Loop() {
				sendBesideFollowers(b, load.senders, load.jobs)
			}
		})
	}
}

func sendBesideFollowers(b *testing.B, senders, jobs int) {
	const ample = 1_000_000
	pool := testPool{"east", ample, map[string]int{}}
	for i := range senders {
		pool.senders[fmt.Sprintf("1555010%04d", i)] = ample
	}
	redisAddr := fixedAddr(b)
	startRedis(b, redisAddr)
	f := assemble(b, 0, []testPool{pool}, startNATS(b), redisAddr, func(addr string) string { return addr })

	f.sendAll("warm", senders, jobs/4)
	before := f.sendAll("before", senders, jobs)
	ctx, hangUp := context.WithCancel(b.Context())
	var read atomic.Int64
	f.follow(ctx, 1000, &read)
	beside := f.sendAll("beside", senders, jobs)
	kilobytes := float64(read.Load()) / 1e6 // of each client
	hangUp()
	after := f.sendAll("after", senders, jobs)

	alone := (before + after) / 2
	b.ReportMetric(float64(jobs)/alone.Seconds(), "alone-sent/s")
	b.ReportMetric(float64(jobs)/beside.Seconds(), "beside-sent/s")
	b.ReportMetric(kilobytes/beside.Seconds(), "kB/s/client")
	b.ReportMetric(float64(beside)/float64(alone), "slowdown")
}

// sendAll publishes jobs and waits until all were sent. It returns how long that
// took from the first to the last.
func (f *fleet) sendAll(name string, senders, n int) time.Duration {
	f.t.Helper()
	var jobs []fields
	for i := range n {
		jobs = append(jobs, notice(fmt.Sprintf("%s-%06d", name, i), fmt.Sprintf("1555010%04d", i%senders), i))
	}
	already := f.judge.accepted()
	for chunk := range slices.Chunk(jobs, 500) {
		require.NoError(f.t, f.api.tryLines(chunk))
	}
	f.end = time.Now().Add(2 * time.Minute)
	f.until(func() bool { return f.judge.accepted() >= already+n })
	var times []time.Time
	ledger := f.judge.ledger()
	for _, job := range jobs {
		sent := ledger[job["id"].(string)]
		require.Len(f.t, sent, 1, job["id"])
		times = append(times, sent[0].AcceptedAt)
	}
	f.until(func() bool { return f.ended() >= already+n })
	return slices.MaxFunc(times, time.Time.Compare).Sub(slices.MinFunc(times, time.Time.Compare))
}

// follow opens event streams that are read as they come, and one that is not.
// It counts the bytes.
func (f *fleet) follow(ctx context.Context, clients int, read *atomic.Int64) {
	f.t.Helper()
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 0}}
	for i := range clients + 1 {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.api.base+"/v1/events", nil)
		require.NoError(f.t, err)
		res, err := client.Do(req)
		require.NoError(f.t, err)
		require.Equal(f.t, http.StatusOK, res.StatusCode)
		if i == clients {
			f.t.Cleanup(func() { res.Body.Close() })
			continue
		}
		go func() {
			defer res.Body.Close()
			buffer := make([]byte, 32<<10)
			for {
				n, err := res.Body.Read(buffer)
				read.Add(int64(n))
				if err != nil {
					return
				}
			}
		}()
	}
}
