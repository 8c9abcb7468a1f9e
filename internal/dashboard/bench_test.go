package dashboard_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
)

// BenchmarkPublishBesideClients publishes events without clients, and then
// with 1,000 of them and a reader that takes nothing. slowdown is how much
// longer the publisher was at work in the second case; what is above 1 is the
// share of the processors that serving takes, and here also being the clients;
// cpu-ns/event/client is what both take of them, whatever else the machine does.
// A thousand events a second is three senders at their full rate; Flood is as
// many as the publisher can make, with every client asking for all of them.
func BenchmarkPublishBesideClients(b *testing.B) {
	for name, run := range map[string]struct {
		everything int           // one in so many clients follows everything, the others one job
		every      time.Duration // between two events; 0: none
	}{
		"OneInAHundredFollowsEverything": {100, 0},
		"AllFollowAThousandASecond":      {1, time.Millisecond},
		"AllFollowAFlood":                {1, 0},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				besideClients(b, 1000, run.everything, run.every)
			}
		})
	}
}

func besideClients(b *testing.B, clients, everything int, every time.Duration) {
	const events = 5_000
	w := newWorld(b, "")
	alone, aloneCPU := publish(w, events, every)
	ctx, hangUp := context.WithCancel(b.Context())
	defer hangUp()
	for i := range clients {
		query := fmt.Sprintf("?job=job-%d", i)
		if i%everything == 0 {
			query = ""
		}
		w.listen(ctx, query)
	}
	w.deadReader()
	require.Eventually(b, func() bool { return w.api.Clients() == int64(clients)+1 }, 10*time.Second, time.Millisecond)
	beside, besideCPU := publish(w, events, every)
	b.ReportMetric(float64(alone.Microseconds())/events, "alone-us/event")
	b.ReportMetric(float64(beside.Microseconds())/events, "beside-us/event")
	b.ReportMetric(float64(beside)/float64(alone), "slowdown")
	b.ReportMetric(float64((besideCPU-aloneCPU).Nanoseconds())/events/float64(clients), "cpu-ns/event/client")
	w.stop()
}

// publish appends events, each at about the price of a write to the log on a
// fast disk, and returns how long it was at work and what processor time the
// process took meanwhile.
func publish(w *world, n int, every time.Duration) (took, cpu time.Duration) {
	before := processorTime(w.t)
	work := make([]byte, 128<<10)
	pace := time.NewTicker(max(every, 1))
	defer pace.Stop()
	for i := range n {
		if every > 0 {
			<-pace.C
		}
		begin := time.Now()
		sum := sha256.Sum256(work)
		w.log.append(delivery.Event{
			ID: fmt.Sprintf("sent:%x:%d", sum[:8], i), Type: delivery.EventSent, At: noon, Job: fmt.Sprintf("job-%d", i%1000),
			Attempt: 1, From: "whatsapp:+" + sender, To: customer, SID: sid, Status: delivery.StatusSent,
		})
		took += time.Since(begin)
	}
	return took, processorTime(w.t) - before
}

// processorTime is what this process has taken so far.
func processorTime(t testing.TB) time.Duration {
	t.Helper()
	var used syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// listen is a client that throws away what it reads.
func (w *world) listen(ctx context.Context, query string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.server.URL+"/v1/events"+query, nil)
	require.NoError(w.t, err)
	res, err := w.server.Client().Do(req)
	require.NoError(w.t, err)
	require.Equal(w.t, http.StatusOK, res.StatusCode)
	go func() {
		defer res.Body.Close()
		_, _ = io.Copy(io.Discard, res.Body)
	}()
}
