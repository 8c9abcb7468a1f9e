package main_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// TestAnEmptiedRedisLearnsWhoWaits empties Redis under a running `up` with jobs
// in the waiting room. Those that need no place pass the head of the line as
// before, although nobody has asked about them since.
func TestAnEmptiedRedisLearnsWhoWaits(t *testing.T) {
	t.Parallel()
	lookRedis(t)
	addr := fixedAddr(t)
	startRedis(t, addr)
	client := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
	defer client.Close()
	h := startHouse(t, quick(t).with("SLUICE_REDIS_URL", "redis://"+addr, "SLUICE_WINDOW", "1h", "SLUICE_POOL_BY", "sender"))
	h.api.must(http.MethodPut, "/v1/senders/"+alpha, fields{"limit": 1}, nil)
	h.api.post(notice("first", alpha, 1))
	h.api.await("first", "delivered", "read")
	h.api.must(http.MethodPost, "/v1/senders/"+alpha+"/pause", nil, nil)

	const many = 300 // more than one batch
	queue := func(id string, n int) {
		h.nats.queue(&nats.Msg{Subject: subject("normal", alpha), Data: notice(id, alpha, n).json()})
	}
	for i := range many {
		queue(fmt.Sprint("waits-", i), 10+i)
	}
	<-h.nats.js.PublishAsyncComplete()
	var backlog struct{ Parked int }
	eventually(t, func() bool {
		h.api.must(http.MethodGet, "/v1/backlog", nil, &backlog)
		return backlog.Parked == many
	}, func() string { return fmt.Sprint(backlog.Parked, " parked") })
	h.api.post(notice("known", alpha, 1)) // lies behind them all
	h.api.await("known", "parked")

	require.NoError(t, client.FlushAll(t.Context()).Err())
	key := "{sluice}:waiting:" + alpha
	eventually(t, func() bool { return client.HGet(t.Context(), "{sluice}:gate", "epoch").Val() != "" }, func() string { return "the gate stays closed" })
	require.Equal(t, fmt.Sprint(many+1), client.HGet(t.Context(), key, "1").Val(), "counted before it opened")

	h.api.must(http.MethodPost, "/v1/senders/"+alpha+"/resume", nil, nil)
	h.api.await("known", "delivered", "read")
	h.provider.must(http.MethodPost, "/sandbox/inbound", fields{"from": customer(10 + many - 1), "to": whatsapp(alpha), "body": "Hi"}, nil)
	last := fmt.Sprint("waits-", many-1)
	h.api.await(last, "delivered", "read")
	require.Equal(t, "parked", h.api.job("waits-0").Status)
	h.provider.requireOnce([]string{"first", "known", last})
}
