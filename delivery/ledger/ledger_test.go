package ledger_test

import (
	"context"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/delivery/ledger"
	"github.com/sluicehq/sluice/internal/redistest"
)

const (
	sender      = "whatsapp:+15550001000"
	otherSender = "whatsapp:+15550002000"
	customer    = "whatsapp:+491700000001"
)

var start = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

// happened is an event of a job, seconds after the start.
func happened(job string, t delivery.EventType, attempt, second int) delivery.Event {
	return delivery.Event{
		ID: fmt.Sprintf("%s:%s:%d", t, job, attempt), Type: t, At: start.Add(time.Duration(second) * time.Second),
		Job: job, Attempt: attempt, From: sender, To: customer, Status: t.Status(),
	}
}

func withSID(e delivery.Event, sid string) delivery.Event {
	e.SID = sid
	return e
}

// loose is a callback set at a sender: it knows its SID and not its job.
func loose(sid string, t delivery.EventType, second int) delivery.Event {
	e := withSID(happened("", t, 0, second), sid)
	e.ID = sid + ":" + string(t)
	return e
}

// clock is a time that tests move by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newLedger(rdb redis.UniversalClient) (*ledger.Ledger, *clock) {
	c := &clock{now: start.Add(time.Minute)}
	return ledger.New(rdb, ledger.Options{Now: c.Now}), c
}

func TestGetReturnsTheFoldOfItsEvents(t *testing.T) {
	onEach(t, func(t *testing.T, rdb redis.UniversalClient) {
		l, _ := newLedger(rdb)
		accepted := happened("a", delivery.EventAccepted, 1, 0)
		accepted.Metadata = map[string]string{"order": "42"}
		events := []delivery.Event{
			accepted,
			happened("a", delivery.EventSending, 1, 1),
			withSID(happened("a", delivery.EventQueued, 1, 2), "SM1"),
			withSID(happened("a", delivery.EventUndelivered, 1, 3), "SM1"),
			happened("a", delivery.EventParked, 2, 4),
		}
		events[3].Error = &delivery.Error{Code: 63018, Message: "rate limit exceeded"}
		require.NoError(t, l.Apply(t.Context(), events))

		var want delivery.Record
		for _, e := range events {
			want = want.Apply(e)
		}
		got, ok, err := l.Get(t.Context(), "a")
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, want, got)

		_, ok, err = l.Get(t.Context(), "b")
		require.NoError(t, err)
		require.False(t, ok)
	})
}

func TestTimelineKeepsWhatDiffersFromTheRecord(t *testing.T) {
	onEach(t, func(t *testing.T, rdb redis.UniversalClient) {
		l, _ := newLedger(rdb)
		bare := delivery.Event{ID: "bare", Type: delivery.EventReleased, At: start, Job: "a", Attempt: 1}
		other := happened("a", delivery.EventSending, 1, 1)
		other.From, other.Status = "MG0123456789abcdef0123456789abcdef", delivery.StatusUnknown
		other.Metadata = map[string]string{"k": "other"}
		last := happened("a", delivery.EventUnknown, 1, 2)
		last.Metadata = map[string]string{"k": "last"}
		require.NoError(t, l.Apply(t.Context(), []delivery.Event{bare, other, last}))

		got, _, err := l.Get(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, []delivery.Event{bare, other, last}, got.Timeline)
	})
}

func TestEventsBesideTheStateMakeNoJob(t *testing.T) {
	onEach(t, func(t *testing.T, rdb redis.UniversalClient) {
		l, _ := newLedger(rdb)
		conflict := happened("refused", delivery.EventRejected, 0, 1)
		conflict.Reason = delivery.ReasonConflict
		require.NoError(t, l.Apply(t.Context(), []delivery.Event{
			happened("copy", delivery.EventDuplicate, 1, 0),
			conflict,
			{ID: "in", Type: delivery.EventInbound, At: start, From: customer, To: sender, SID: "SMinbound"},
			{ID: "pool", Type: delivery.EventPool, At: start, From: sender},
			{},
		}))
		for _, id := range []string{"copy", "refused", ""} {
			_, ok, err := l.Get(t.Context(), id)
			require.NoError(t, err)
			require.False(t, ok, id)
		}
		counts, err := l.Counts(t.Context())
		require.NoError(t, err)
		require.Empty(t, counts)
		records, _, err := l.List(t.Context(), ledger.Query{})
		require.NoError(t, err)
		require.Empty(t, records)
		require.Zero(t, rdb.Exists(t.Context(), "{sluice:ledger}:orphans:SMinbound").Val())
	})
}

func TestUnchangedRecordIsNotWritten(t *testing.T) {
	onEach(t, func(t *testing.T, rdb redis.UniversalClient) {
		l, _ := newLedger(rdb)
		events := []delivery.Event{
			happened("a", delivery.EventAccepted, 1, 0),
			withSID(happened("a", delivery.EventQueued, 1, 2), "SM1"),
			loose("SM1", delivery.EventSent, 3),
		}
		require.NoError(t, l.Apply(t.Context(), events))
		before := dump(t, rdb)
		later := events[1]
		later.At = later.At.Add(time.Second) // told again with another time
		require.NoError(t, l.Apply(t.Context(), append(events, later)))
		require.Equal(t, before, dump(t, rdb))
	})
}

// dump is everything in Redis; versions are part of it, so any write shows.
func dump(t *testing.T, rdb redis.UniversalClient) map[string]any {
	t.Helper()
	ctx := t.Context()
	all := make(map[string]any)
	keys, err := redistest.Keys(ctx, rdb)
	require.NoError(t, err)
	for _, key := range keys {
		switch kind := rdb.Type(ctx, key).Val(); kind {
		case "hash":
			all[key] = rdb.HGetAll(ctx, key).Val()
		case "zset":
			all[key] = rdb.ZRangeWithScores(ctx, key, 0, -1).Val()
		case "string":
			all[key] = rdb.Get(ctx, key).Val()
		default:
			t.Fatalf("key %s is a %s", key, kind)
		}
	}
	return all
}

func TestOneHashTagForEveryKey(t *testing.T) {
	onEach(t, func(t *testing.T, rdb redis.UniversalClient) {
		l, _ := newLedger(rdb)
		require.NoError(t, l.Apply(t.Context(), []delivery.Event{
			happened("a", delivery.EventAccepted, 1, 0),
			withSID(happened("a", delivery.EventDelivered, 1, 2), "SM1"),
			loose("SM2", delivery.EventSent, 3),
		}))
		require.NoError(t, l.Advance(t.Context(), 0, 7))
		all := dump(t, rdb)
		require.GreaterOrEqual(t, len(all), 9)
		for key := range all {
			require.Regexp(t, `^\{sluice:ledger\}:`, key)
			require.NotContains(t, key, "491700000001", "a customer's address in a key")
		}
	})
}

func TestCallbacksFindTheirJobBySID(t *testing.T) {
	queued := withSID(happened("a", delivery.EventQueued, 2, 2), "SM1")
	sent, read := loose("SM1", delivery.EventSent, 3), loose("SM1", delivery.EventRead, 9)
	for name, batches := range map[string][][]delivery.Event{
		"owner first":      {{queued}, {sent, read}},
		"orphans first":    {{sent, read}, {queued}},
		"one batch":        {{sent, queued, read}},
		"either side":      {{read}, {queued}, {sent}},
		"told again later": {{sent}, {sent, read}, {queued}, {read, sent, queued}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEach(t, func(t *testing.T, rdb redis.UniversalClient) {
				l, _ := newLedger(rdb)
				for _, events := range batches {
					require.NoError(t, l.Apply(t.Context(), events))
				}
				record, ok, err := l.Get(t.Context(), "a")
				require.NoError(t, err)
				require.True(t, ok)
				require.Equal(t, delivery.StatusRead, record.Status)
				require.Equal(t, 2, record.Attempt)
				require.Len(t, record.Timeline, 3)
				job, attempt, ok, err := l.BySID(t.Context(), "SM1")
				require.NoError(t, err)
				require.True(t, ok)
				require.Equal(t, "a", job)
				require.Equal(t, 2, attempt)
				require.Zero(t, rdb.Exists(t.Context(), "{sluice:ledger}:orphans:SM1").Val())
			})
		})
	}
}

func TestOrphansAreForgottenAfterTheRetention(t *testing.T) {
	onEach(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := ledger.New(rdb, ledger.Options{Retention: time.Hour})
		require.NoError(t, l.Apply(t.Context(), []delivery.Event{loose("SM1", delivery.EventSent, 3)}))
		ttl := rdb.PTTL(t.Context(), "{sluice:ledger}:orphans:SM1").Val()
		require.InDelta(t, time.Hour, ttl, float64(time.Minute))
		_, _, ok, err := l.BySID(t.Context(), "SM1")
		require.NoError(t, err)
		require.False(t, ok)
	})
}

func TestLostScriptsAreLoadedAgain(t *testing.T) {
	onEach(t, func(t *testing.T, rdb redis.UniversalClient) {
		l, _ := newLedger(rdb)
		for i, id := range []string{"a", "b"} {
			require.NoError(t, rdb.ScriptFlush(t.Context()).Err())
			require.NoError(t, l.Apply(t.Context(), []delivery.Event{happened(id, delivery.EventAccepted, 1, i)}))
		}
		counts, err := l.Counts(t.Context())
		require.NoError(t, err)
		require.Equal(t, map[delivery.Status]int64{delivery.StatusAccepted: 2}, counts)
	})
}

func TestThePositionIsFenced(t *testing.T) {
	onEach(t, func(t *testing.T, rdb redis.UniversalClient) {
		l, _ := newLedger(rdb)
		const exact = 1 << 53 // beyond it, floating point skips integers
		stands := func(want uint64) {
			t.Helper()
			at, err := l.Position(t.Context())
			require.NoError(t, err)
			require.Equal(t, want, at)
		}
		stands(0)
		last := uint64(0)
		for _, upTo := range []uint64{9, 10, 100, exact, exact + 1, math.MaxUint64} {
			require.NoError(t, l.Advance(t.Context(), last, upTo))
			require.NoError(t, l.Advance(t.Context(), last, upTo), "a repetition")
			require.ErrorIs(t, l.Advance(t.Context(), upTo-1, upTo-1), ledger.ErrMoved)
			stands(upTo)
			last = upTo
		}
		require.Error(t, l.Advance(t.Context(), last, 1), "it never goes back")
		require.NoError(t, redistest.Flush(t.Context(), rdb))
		require.ErrorIs(t, l.Advance(t.Context(), 100, 101), ledger.ErrMoved, "an emptied Redis")
		stands(0)
	})
}

func TestErrorsOfTheEngineAreReturned(t *testing.T) {
	onEach(t, func(t *testing.T, rdb redis.UniversalClient) {
		l, _ := newLedger(rdb)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		events := []delivery.Event{happened("a", delivery.EventAccepted, 1, 0)}
		require.ErrorIs(t, l.Apply(ctx, events), context.Canceled)

		require.NoError(t, rdb.Set(t.Context(), "{sluice:ledger}:job:a", "no hash", 0).Err())
		require.ErrorContains(t, l.Apply(t.Context(), events), "WRONGTYPE")
		require.NoError(t, rdb.Del(t.Context(), "{sluice:ledger}:job:a").Err())
		require.NoError(t, rdb.HSet(t.Context(), "{sluice:ledger}:job:a", "v", "1", "head", "{").Err())
		require.ErrorContains(t, l.Apply(t.Context(), events), "rebuild the ledger")
		_, _, err := l.Get(t.Context(), "a")
		require.ErrorContains(t, err, "rebuild the ledger")
	})
}
