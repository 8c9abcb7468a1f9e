package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/delivery/ledger"
)

func TestEndedJobsAreForgottenAfterTheRetention(t *testing.T) {
	onEach(t, func(t *testing.T, rdb redis.UniversalClient) {
		l, c := newLedger(rdb)
		require.NoError(t, l.Apply(t.Context(), []delivery.Event{
			happened("ended", delivery.EventAccepted, 1, 0),
			withSID(happened("ended", delivery.EventDelivered, 1, 60), "SM1"),
			happened("alive", delivery.EventSending, 1, 0),
			withSID(happened("silent", delivery.EventSent, 1, 0), "SM2"), // its customer may have blocked the sender
			happened("copy", delivery.EventDuplicate, 1, 0),              // a record without a status
		}))

		c.Advance(ledger.DefaultRetention - time.Millisecond)
		_, ok, err := l.Get(t.Context(), "ended")
		require.NoError(t, err)
		require.True(t, ok, "kept to the last moment")

		c.Advance(time.Millisecond)
		_, ok, err = l.Get(t.Context(), "ended")
		require.NoError(t, err)
		require.False(t, ok, "gone before it is trimmed")
		require.Equal(t, []string{"alive"}, listed(t, l, ledger.Query{}))
		require.Empty(t, listed(t, l, ledger.Query{SID: "SM1"}))

		n, err := l.Trim(t.Context())
		require.NoError(t, err)
		require.Equal(t, 3, n)
		n, err = l.Trim(t.Context())
		require.NoError(t, err)
		require.Zero(t, n)
		for key, value := range dump(t, rdb) {
			require.NotContains(t, key, "ended")
			require.NotContains(t, key, "SM1")
			require.NotContains(t, fmt.Sprint(value), "ended", key)
			require.NotContains(t, fmt.Sprint(value), "copy", key)
		}
		counts, err := l.Counts(t.Context())
		require.NoError(t, err)
		require.Equal(t, map[delivery.Status]int64{delivery.StatusSending: 1}, counts)
	})
}

// TestALateReportRevivesNothing: people read messages weeks after they came.
func TestALateReportRevivesNothing(t *testing.T) {
	onEach(t, func(t *testing.T, rdb redis.UniversalClient) {
		l, c := newLedger(rdb)
		read := withSID(happened("a", delivery.EventRead, 1, 60), "SM1")
		read.ID = delivery.ReportID("SM1", "read", 0)
		absent := func(when string) {
			read.At = c.Now()
			require.NoError(t, l.Apply(t.Context(), []delivery.Event{read}))
			_, ok, err := l.Get(t.Context(), "a")
			require.NoError(t, err)
			require.False(t, ok, when)
			require.Empty(t, listed(t, l, ledger.Query{}), when)
		}
		absent("of a job that nobody knows")
		delivered := withSID(happened("a", delivery.EventDelivered, 1, 60), "SM1")
		delivered.ID = delivery.ReportID("SM1", "delivered", 0)
		require.NoError(t, l.Apply(t.Context(), []delivery.Event{delivered, happened("a", delivery.EventAccepted, 1, 0)}))
		record, _, err := l.Get(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, delivery.StatusDelivered, record.Status, "with its beginning a report counts")
		c.Advance(ledger.DefaultRetention + time.Minute)
		absent("past its retention")
		_, err = l.Trim(t.Context())
		require.NoError(t, err)
		absent("trimmed")
	})
}

func TestRedrivenJobLivesOn(t *testing.T) {
	onEach(t, func(t *testing.T, rdb redis.UniversalClient) {
		l, c := newLedger(rdb)
		require.NoError(t, l.Apply(t.Context(), []delivery.Event{happened("a", delivery.EventFailed, 1, 0)}))
		require.NoError(t, l.Apply(t.Context(), []delivery.Event{happened("a", delivery.EventRedriven, 2, 1)}))
		c.Advance(2 * ledger.DefaultRetention)
		n, err := l.Trim(t.Context())
		require.NoError(t, err)
		require.Zero(t, n)
		require.Equal(t, []string{"a"}, listed(t, l, ledger.Query{}))
	})
}

func TestApplyTrimsAsItGoes(t *testing.T) {
	onEach(t, func(t *testing.T, rdb redis.UniversalClient) {
		l, c := newLedger(rdb)
		const jobs = 1200
		var events []delivery.Event
		for i := range jobs {
			events = append(events, happened(fmt.Sprint("job", i), delivery.EventFailed, 1, i%7))
		}
		require.NoError(t, l.Apply(t.Context(), events))
		c.Advance(ledger.DefaultRetention)
		var left []int64
		for range 4 {
			require.NoError(t, l.Apply(t.Context(), nil))
			counts, err := l.Counts(t.Context())
			require.NoError(t, err)
			left = append(left, counts[delivery.StatusFailed])
		}
		require.Equal(t, []int64{700, 200, 0, 0}, left, "in bounded chunks")
	})
}

func TestLateCallbackOfAForgottenJobStandsAlone(t *testing.T) {
	onEach(t, func(t *testing.T, rdb redis.UniversalClient) {
		l, c := newLedger(rdb)
		require.NoError(t, l.Apply(t.Context(), []delivery.Event{happened("a", delivery.EventDelivered, 1, 0)}))
		c.Advance(ledger.DefaultRetention)
		late := happened("a", delivery.EventRead, 1, 0)
		late.At = c.Now()
		require.NoError(t, l.Apply(t.Context(), []delivery.Event{late}))
		record, ok, err := l.Get(t.Context(), "a")
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, delivery.StatusRead, record.Status)
		counts, err := l.Counts(t.Context())
		require.NoError(t, err)
		require.Equal(t, map[delivery.Status]int64{delivery.StatusRead: 1}, counts)
	})
}

func TestSIDStaysWithItsFirstOwner(t *testing.T) {
	onEach(t, func(t *testing.T, rdb redis.UniversalClient) {
		l, c := newLedger(rdb)
		require.NoError(t, l.Apply(t.Context(), []delivery.Event{withSID(happened("owner", delivery.EventQueued, 1, 120), "SM1")}))
		require.NoError(t, l.Apply(t.Context(), []delivery.Event{withSID(happened("other", delivery.EventFailed, 1, 0), "SM1")}))
		c.Advance(ledger.DefaultRetention)
		n, err := l.Trim(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, n)
		job, _, ok, err := l.BySID(t.Context(), "SM1")
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, "owner", job)
	})
}

func TestOldestIsTheOldestKept(t *testing.T) {
	onEach(t, func(t *testing.T, rdb redis.UniversalClient) {
		l, c := newLedger(rdb)
		_, ok, err := l.Oldest(t.Context())
		require.NoError(t, err)
		require.False(t, ok)

		first, second := happened("a", delivery.EventFailed, 1, 0), happened("b", delivery.EventParked, 1, 60)
		require.NoError(t, l.Apply(t.Context(), []delivery.Event{second, first}))
		at, ok, err := l.Oldest(t.Context())
		require.NoError(t, err)
		require.True(t, ok)
		require.True(t, first.At.Equal(at), "%s, not %s", first.At, at)

		c.Advance(ledger.DefaultRetention + time.Hour)
		_, err = l.Trim(t.Context())
		require.NoError(t, err)
		at, _, err = l.Oldest(t.Context())
		require.NoError(t, err)
		require.True(t, second.At.Equal(at), "what still waits is kept, however old")
	})
}
