package dashboard_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
)

// BenchmarkPublishBesideClients publishes events without clients, and then
// with 1,000 of them and a reader that takes nothing. slowdown is how much
// longer the publisher took in the second case; what is above 1 is the share of
// the processors that serving takes, and here also being the clients.
func BenchmarkPublishBesideClients(b *testing.B) {
	for name, everything := range map[string]int{"OneInAHundredFollowsEverything": 100, "AllFollowEverything": 1} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				besideClients(b, 1000, everything)
			}
		})
	}
}

func besideClients(b *testing.B, clients, everything int) {
	const events = 10_000
	w := newWorld(b, "")
	alone := publish(w, events)
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
	beside := publish(w, events)
	b.ReportMetric(float64(events)/alone.Seconds(), "alone/s")
	b.ReportMetric(float64(events)/beside.Seconds(), "beside/s")
	b.ReportMetric(float64(beside)/float64(alone), "slowdown")
	w.stop()
}

// publish appends events, each at about the price of a write to the log on a
// fast disk, and returns how long it took.
func publish(w *world, n int) time.Duration {
	work := make([]byte, 128<<10)
	begin := time.Now()
	for i := range n {
		sum := sha256.Sum256(work)
		w.log.append(delivery.Event{
			ID: fmt.Sprintf("sent:%x:%d", sum[:8], i), Type: delivery.EventSent, At: noon, Job: fmt.Sprintf("job-%d", i%1000),
			Attempt: 1, From: "whatsapp:+" + sender, To: customer, SID: sid, Status: delivery.StatusSent,
		})
	}
	return time.Since(begin)
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
