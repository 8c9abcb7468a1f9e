package main_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// TestWhatWakesAParkedJob lets jobs wait and takes away, one after the other,
// what they wait for. The head of the line waits for a place all the time.
func TestWhatWakesAParkedJob(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t).with("SLUICE_WINDOW", "1h", "SLUICE_POOL_BY", "sender"))
	pool := func(limit int, reserve float64) {
		h.api.must(http.MethodPut, "/v1/pools/"+alpha, fields{"limit": limit, "reserve": reserve}, nil)
	}
	send := func(id string, n int, more ...string) {
		job := notice(id, alpha, n)
		for i := 0; i+1 < len(more); i += 2 {
			job = job.with(more[i], more[i+1])
		}
		h.api.must(http.MethodPost, "/v1/jobs", job, nil)
	}
	still := func() { require.Equal(t, "parked", h.api.await("head", "parked").Status) }

	h.api.must(http.MethodPut, "/v1/senders/"+alpha, fields{"limit": 1000}, nil)
	pool(2, 0.5)
	send("first", 1)
	h.api.await("first", "delivered", "read")
	send("head", 2)
	h.api.await("head", "parked")
	for i := 3; i < 6; i++ {
		send(fmt.Sprint("behind-", i), i)
		h.api.await(fmt.Sprint("behind-", i), "parked")
	}

	// The customer writes in.
	h.provider.must(http.MethodPost, "/sandbox/inbound", fields{"from": customer(3), "to": whatsapp(alpha), "body": "Hi"}, nil)
	h.api.await("behind-3", "delivered", "read")
	still()

	// The customer is counted, by an urgent job that may take the reserve.
	send("urgent", 4, "priority", "high")
	h.api.await("urgent", "delivered", "read")
	h.api.await("behind-4", "delivered", "read")
	still()

	// The job is canceled.
	h.api.must(http.MethodPost, "/v1/jobs/behind-5/cancel", nil, nil)
	h.api.await("behind-5", "canceled")
	still()

	// The limit is raised.
	pool(100, 0)
	h.api.await("head", "delivered", "read")

	// The sender is paused and resumed.
	h.api.must(http.MethodPost, "/v1/senders/"+alpha+"/pause", fields{"reason": "test"}, nil)
	send("paused", 6)
	h.api.await("paused", "parked")
	h.api.must(http.MethodPost, "/v1/senders/"+alpha+"/resume", nil, nil)
	h.api.await("paused", "delivered", "read")

	// The rate has room again.
	h.api.must(http.MethodPut, "/v1/senders/"+alpha, fields{"mps": 1}, nil)
	send("paced-1", 7)
	send("paced-2", 8)
	require.Contains(t, h.api.await("paced-2", "delivered", "read").types(), "parked")
}

// TestAnUrgentJobPassesThoseWhoWait publishes an authentication job behind
// thousands of marketing jobs that wait. While places are left that are kept for
// it, it does not wait at all; BenchmarkParked measures how long it takes.
func TestAnUrgentJobPassesThoseWhoWait(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t).with("SLUICE_WINDOW", "1h", "SLUICE_POOL_BY", "sender"))
	h.api.must(http.MethodPut, "/v1/senders/"+alpha, fields{"limit": 4, "mps": 1000}, nil)
	h.api.must(http.MethodPut, "/v1/pools/"+alpha, fields{"limit": 4, "reserve": 0.5}, nil)
	const many = 2000
	for i := range many {
		marketing := notice(fmt.Sprint("many-", i), alpha, i).with("category", "marketing")
		h.nats.queue(&nats.Msg{Subject: subject("low", alpha), Data: marketing.json()})
	}
	<-h.nats.js.PublishAsyncComplete()
	var backlog struct{ Parked int }
	eventually(t, func() bool {
		h.api.must(http.MethodGet, "/v1/backlog", nil, &backlog)
		return backlog.Parked == many-2
	}, func() string { return fmt.Sprint(backlog.Parked, " parked") })

	for i := range 3 {
		id := fmt.Sprint("urgent-", i)
		h.api.post(notice(id, alpha, many+i).with("category", "authentication"))
		if i == 2 { // nothing is left
			h.api.await(id, "parked")
			break
		}
		require.NotContains(t, h.api.await(id, "delivered", "read").types(), "parked")
	}
	eventually(t, func() bool {
		h.api.must(http.MethodGet, "/v1/backlog", nil, &backlog)
		return backlog.Parked == many-1
	}, func() string { return fmt.Sprint(backlog.Parked, " parked") })
}

// TestASenderIsNotHeldUpByAnothersMany publishes thousands of jobs of a sender
// that may send to nobody, and then one of another.
func TestASenderIsNotHeldUpByAnothersMany(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t).with("SLUICE_WINDOW", "1h", "SLUICE_POOL_BY", "sender"))
	h.api.must(http.MethodPut, "/v1/senders/"+alpha, fields{"limit": 0}, nil)
	const many = 5000
	for i := range many {
		h.nats.queue(&nats.Msg{Subject: subject("normal", alpha), Data: notice(fmt.Sprint("many-", i), alpha, i).json()})
	}
	<-h.nats.js.PublishAsyncComplete()
	h.nats.publish(subject("normal", beta), notice("other", beta, 1).json(), "")
	h.api.await("other", "delivered", "read")
	var backlog struct{ Ready, Parked int }
	h.api.must(http.MethodGet, "/v1/backlog", nil, &backlog)
	require.Positive(t, backlog.Ready, "by then its turn had come by itself")
	h.provider.requireOnce([]string{"other"})
}
