package ledger_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/delivery/ledger"
)

// TestASecondMessageIsToldUntilItIsKnown: also when the telling failed, and the
// record had been written before.
func TestASecondMessageIsToldUntilItIsKnown(t *testing.T) {
	t.Parallel()
	rdb := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr(), MaxRetries: -1})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	var told []string
	var fails error
	l := ledger.New(rdb, ledger.Options{Twice: func(_ context.Context, r delivery.Record, sid string) error {
		told = append(told, r.ID+" "+sid)
		return fails
	}})
	job := delivery.Job{ID: "a", From: "whatsapp:+15550001111", To: "whatsapp:+491701234567"}
	event := func(kind delivery.EventType, sid string) delivery.Event {
		e := job.Happened(kind, 1, time.Now(), string(kind)+sid)
		e.SID = sid
		return e
	}
	require.NoError(t, l.Apply(t.Context(), []delivery.Event{event(delivery.EventQueued, "SM1")}))
	require.Empty(t, told)
	fails = errors.New("the log is away")
	second := []delivery.Event{event(delivery.EventSent, "SM2")}
	require.ErrorIs(t, l.Apply(t.Context(), second), fails)
	fails = nil
	require.NoError(t, l.Apply(t.Context(), second), "the same events come again")
	require.Equal(t, []string{"a SM2", "a SM2"}, told)
	require.NoError(t, l.Apply(t.Context(), []delivery.Event{event(delivery.EventDuplicate, "SM2")}))
	require.NoError(t, l.Apply(t.Context(), second))
	require.Len(t, told, 2)
}
