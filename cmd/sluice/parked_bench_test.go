package main_test

import (
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// BenchmarkParked measures what jobs that wait cost those that don't, with
// SLUICE_BENCH_PARKED of them (100,000) on one sender or on 200, whose limit is
// 0. The others' throughput is measured in turn without and with them in one
// run; fsync is by interval. Run it by hand, alone on a machine:
//
//	SLUICE_BENCH_PARKED=1000000 go test ./cmd/sluice -run '^$' -bench Parked -benchtime 1x -timeout 30m
func BenchmarkParked(b *testing.B) {
	n := 100_000
	if text := os.Getenv("SLUICE_BENCH_PARKED"); text != "" {
		var err error
		n, err = strconv.Atoi(text)
		require.NoError(b, err, "SLUICE_BENCH_PARKED")
	}
	for _, senders := range []int{1, 200} {
		b.Run(fmt.Sprintf("senders=%d", senders), func(b *testing.B) {
			for range b.N {
				newParkedBench(b, n, senders).run()
			}
		})
	}
}

// parkedBench is every role on real servers, with senders whose jobs wait and
// four whose jobs go.
type parkedBench struct {
	b       *testing.B
	n       int
	waiting []string
	moving  []string
	api     *site
	nats    bare
	sent    int
	up      *member
	redis   *redis.Client
}

func newParkedBench(b *testing.B, n, senders int) *parkedBench {
	redisAddr := fixedAddr(b)
	startRedis(b, redisAddr)
	settings := quick(b).quietly().with("SLUICE_NATS_URL", startNATS(b), "SLUICE_REDIS_URL", "redis://"+redisAddr, "SLUICE_WINDOW", "24h",
		"SLUICE_DEFAULT_LIMIT", "1000000", "SLUICE_DEFAULT_MPS", "1000", "SLUICE_POOL_BY", "sender", "SLUICE_API_ADDR", fixedAddr(b),
		"SLUICE_SEND_TIMEOUT", "5s", "SLUICE_ACK_WAIT", "10s", "SLUICE_DRAIN_TIMEOUT", "5s")
	delete(settings, "SLUICE_DATA")
	p := &parkedBench{
		b: b, n: n, up: launch(b, settings, "up"), redis: redis.NewClient(&redis.Options{Addr: redisAddr, MaxRetries: -1}),
	}
	b.Cleanup(func() { _ = p.redis.Close() })
	p.api, p.nats = newSite(b, p.up.ready().API), connect(b, settings["SLUICE_NATS_URL"])
	for i := range senders {
		p.waiting = append(p.waiting, fmt.Sprint(15550200000+i))
	}
	for i := range 4 {
		p.moving = append(p.moving, fmt.Sprint(15550300000+i))
	}
	return p
}

const movingJobs = 2000

func (p *parkedBench) run() {
	p.throughput() // everything is warm
	before := max(p.throughput(), p.throughput())
	for _, sender := range p.waiting {
		p.api.must(http.MethodPut, "/v1/senders/"+sender, fields{"limit": 0, "mps": 1000}, nil)
	}
	heap := heapInUse()
	p.fill()
	p.b.ReportMetric(float64(heapInUse()-heap)/float64(p.n), "heap-B/parked")
	with := max(p.throughput(), p.throughput())
	p.b.ReportMetric(before, "jobs/s-none")
	p.b.ReportMetric(with, "jobs/s-parked")
	p.b.ReportMetric(with/before, "ratio")
	p.urgent()
	p.restart()
	p.empty()
	p.drain()
}

// throughput publishes jobs of the senders that may send, and returns how many
// a second the provider took.
func (p *parkedBench) throughput() float64 {
	events := p.nats.js.Conn()
	taken := make(chan *nats.Msg, 4*movingJobs)
	sub, err := events.ChanSubscribe("sluice.events.*.queued", taken)
	require.NoError(p.b, err)
	defer func() { _ = sub.Unsubscribe() }()
	begun := time.Now()
	for range movingJobs {
		p.sent++
		from := p.moving[p.sent%len(p.moving)]
		_, err := p.nats.js.PublishAsync(subject("normal", from), notice(fmt.Sprint("moving-", p.sent), from, p.sent).json())
		require.NoError(p.b, err)
	}
	for range movingJobs {
		select {
		case <-taken:
		case <-time.After(patience):
			require.FailNow(p.b, "jobs do not go")
		}
	}
	return movingJobs / time.Since(begun).Seconds()
}

// fill puts jobs into the waiting room as a dispatcher leaves them there.
func (p *parkedBench) fill() {
	for i := range p.n {
		from := p.waiting[i%len(p.waiting)]
		msg := nats.NewMsg("sluice.parked." + from + ".low")
		msg.Data = notice(fmt.Sprint("parked-", i), from, 1_000_000+i).with("priority", "low").with("category", "marketing").json()
		msg.Header.Set("Sluice-Attempt", "1")
		msg.Header.Set(nats.MsgIdHdr, fmt.Sprintf("p:SLUICE_JOBS:%d:1", i))
		p.nats.queue(msg)
	}
	<-p.nats.js.PublishAsyncComplete()
	require.GreaterOrEqual(p.b, p.parked(), p.n)
}

func (p *parkedBench) parked() int {
	var backlog struct{ Parked int }
	p.api.must(http.MethodGet, "/v1/backlog", nil, &backlog)
	return backlog.Parked
}

// restart ends Sluice with SIGKILL and starts it again: nothing that waits is
// lost.
func (p *parkedBench) restart() {
	begun := time.Now()
	p.up.restart(false)
	p.b.ReportMetric(time.Since(begun).Seconds(), "s-restart")
	require.Equal(p.b, p.n, p.parked())
}

// urgent publishes an authentication job of a sender whose marketing jobs wait,
// with places kept for it.
func (p *parkedBench) urgent() {
	from := p.waiting[0]
	p.api.must(http.MethodPut, "/v1/pools/"+from, fields{"limit": 100, "reserve": 1}, nil)
	p.api.must(http.MethodPut, "/v1/senders/"+from, fields{"limit": 100}, nil)
	longest := time.Duration(0)
	for i := range 20 {
		job := notice(fmt.Sprint("urgent-", i), from, 500_000+i).with("category", "authentication")
		taken := make(chan *nats.Msg, 1)
		sub, err := p.nats.js.Conn().ChanSubscribe("sluice.events."+from+".queued", taken)
		require.NoError(p.b, err)
		begun := time.Now()
		p.nats.publish(subject("high", from), job.json(), "")
		select {
		case <-taken:
		case <-time.After(patience):
			require.FailNow(p.b, "an urgent job waits")
		}
		longest = max(longest, time.Since(begun))
		require.NoError(p.b, sub.Unsubscribe())
	}
	p.b.ReportMetric(longest.Seconds(), "s-urgent")
	p.api.must(http.MethodPut, "/v1/senders/"+from, fields{"limit": 0}, nil)
	require.Equal(p.b, p.n, p.parked())
}

// empty takes from Redis all that it holds, and measures how long the gate stays
// closed: it has to be told of everything that waits.
func (p *parkedBench) empty() {
	begun := time.Now()
	require.NoError(p.b, p.redis.FlushAll(p.b.Context()).Err())
	require.Eventually(p.b, func() bool {
		return p.redis.HGet(p.b.Context(), "{sluice}:gate", "epoch").Val() != ""
	}, 10*time.Minute, 50*time.Millisecond, "the gate stays closed")
	p.b.ReportMetric(time.Since(begun).Seconds(), "s-refill")
	require.Equal(p.b, p.n, p.parked())
}

// drain raises the limits and measures when the first is out, and how fast the
// others follow.
func (p *parkedBench) drain() {
	released := make(chan *nats.Msg, 2*p.n)
	sub, err := p.nats.js.Conn().ChanSubscribe("sluice.events.*.released", released)
	require.NoError(p.b, err)
	defer func() { _ = sub.Unsubscribe() }()
	begun := time.Now()
	p.api.must(http.MethodPut, "/v1/senders/"+p.waiting[0], fields{"limit": "unlimited"}, nil)
	p.api.must(http.MethodPut, "/v1/pools/"+p.waiting[0], fields{"limit": "unlimited", "reserve": 0}, nil)
	select {
	case <-released:
	case <-time.After(patience):
		require.FailNow(p.b, "nothing is released")
	}
	p.b.ReportMetric(time.Since(begun).Seconds(), "s-to-first")
	for _, sender := range p.waiting[1:] {
		p.api.must(http.MethodPut, "/v1/senders/"+sender, fields{"limit": "unlimited"}, nil)
	}
	const long = 10 * time.Second
	from, count := time.Now(), len(released)
	<-time.After(long) // what is measured
	p.b.ReportMetric(float64(len(released)-count)/time.Since(from).Seconds(), "drained/s")
}

// heapInUse is the heap of this process, in which the NATS server runs.
func heapInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkBehindMany measures how long one job takes that is published behind
// 20,000 of another sender, which has a limit of 250, with fsync always and
// everything embedded.
func BenchmarkBehindMany(b *testing.B) {
	const many = 20_000
	for range b.N {
		settings := quick(b).quietly().with("SLUICE_FSYNC", "always", "SLUICE_WINDOW", "24h", "SLUICE_POOL_BY", "sender")
		h := startHouse(b, settings)
		for i := range many {
			h.nats.queue(&nats.Msg{Subject: subject("normal", alpha), Data: notice(fmt.Sprint("many-", i), alpha, i).json()})
		}
		<-h.nats.js.PublishAsyncComplete()
		var backlog struct{ Ready int }
		h.api.must(http.MethodGet, "/v1/backlog", nil, &backlog)
		begun := time.Now()
		h.nats.publish(subject("normal", beta), notice("other", beta, 1).json(), "")
		r := h.api.await("other", "queued", "sent", "delivered", "read")
		b.ReportMetric(float64(backlog.Ready), "jobs-before")
		b.ReportMetric(time.Since(begun).Seconds(), "s-until-queued")
		require.Equal(b, 1, r.Attempt)
	}
}
