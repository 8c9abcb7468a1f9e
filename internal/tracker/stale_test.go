package tracker_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/tracker"
)

// silentProvider is a provider that was asked nothing so far, the jobs it has, and the
// log of what it said.
type silentProvider struct {
	records []delivery.Record
	reports map[string]tracker.Report
	asked   []string
	told    []delivery.Event
	handed  []delivery.Task  // to the dispatchers
	unread  error            // the log cannot be read
	silent  map[string]error // who does not answer
}

func (q *silentProvider) Fetch(_ context.Context, sid string) (tracker.Report, error) {
	q.asked = append(q.asked, sid)
	return q.reports[sid], q.silent[sid]
}

func (q *silentProvider) Unfinished(_ context.Context, before time.Time) (found []delivery.Record, err error) {
	for _, r := range q.records {
		if !r.CreatedAt.After(before) {
			found = append(found, r)
		}
	}
	return found, nil
}

func (q *silentProvider) Append(_ context.Context, e delivery.Event) (uint64, error) {
	q.told = append(q.told, e)
	return uint64(len(q.told)), nil
}

// LastIntent is that of a job with both forms, which went free form.
func (q *silentProvider) LastIntent(_ context.Context, _, id string) (delivery.Intent, bool, error) {
	if q.unread != nil {
		return delivery.Intent{}, false, q.unread
	}
	return delivery.Intent{Job: delivery.Job{ID: id, Body: "hello", ContentSID: "HX1"}, Attempt: 2, FreeForm: true}, true, nil
}

func (q *silentProvider) Redrive(_ context.Context, task delivery.Task) error {
	q.handed = append(q.handed, task)
	return nil
}

func (q *silentProvider) Lease(context.Context, string, string, time.Duration) (bool, error) {
	return true, nil
}

func (q *silentProvider) Unlease(context.Context, string, string) error { return nil }

func sentAt(id string, at time.Time) delivery.Record {
	return delivery.Record{
		ID: id, SID: "SM" + id, Status: delivery.StatusSent, Attempt: 2, CreatedAt: at, UpdatedAt: at,
		From: "whatsapp:+15550001111", To: "whatsapp:+15552223333",
	}
}

func TestStaleTellsWhatNoCallbackTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		q := &silentProvider{
			records: []delivery.Record{sentAt("old", now.Add(-10*time.Minute)), sentAt("new", now.Add(-time.Minute)),
				sentAt("same", now.Add(-10*time.Minute)), sentAt("lost", now.Add(-10*time.Minute)), sentAt("failed", now.Add(-10*time.Minute))},
			reports: map[string]tracker.Report{
				"SMold": {Status: "delivered"}, "SMsame": {Status: "sent"},
				"SMfailed": {Status: "undelivered", Code: 63024, Message: "not on WhatsApp"},
			},
		}
		s := tracker.NewStale(q, q, q, q, q, q, tracker.StaleConfig{})
		require.NoError(t, s.Pass(t.Context()))
		require.Equal(t, []string{"SMold", "SMsame", "SMlost", "SMfailed"}, q.asked, "the new one has its time")
		require.Len(t, q.told, 2, "what is known already, or to nobody, is no news")

		e := q.told[0]
		require.Equal(t, delivery.ReportID("SMold", "delivered", 0), e.ID, "the id that the callback would have had")
		require.Equal(t, delivery.EventDelivered, e.Type)
		require.Equal(t, "old", e.Job)
		require.Equal(t, 2, e.Attempt)
		require.Equal(t, &delivery.Error{Code: 63024, Message: "not on WhatsApp"}, q.told[1].Error)
	})
}

// TestStaleTellsWhatWaitsAgain as a callback would have: no end that is none.
func TestStaleTellsWhatWaitsAgain(t *testing.T) {
	t.Parallel()
	for code, reason := range map[int]string{63018: delivery.ReasonLimit, 63016: delivery.ReasonWindow} {
		q := &silentProvider{
			records: []delivery.Record{sentAt("a", time.Now().Add(-10*time.Minute))},
			reports: map[string]tracker.Report{"SMa": {Status: "undelivered", Code: code}},
		}
		now := time.Now()
		s := tracker.NewStale(q, q, q, q, q, q, tracker.StaleConfig{Clock: func() time.Time { return now }})
		if code == 63016 {
			q.unread = errBroken
			require.ErrorIs(t, s.Pass(t.Context()), errBroken)
			require.Empty(t, q.told)
			q.unread = nil
			now = now.Add(5 * time.Minute)
		}
		require.NoError(t, s.Pass(t.Context()))
		require.True(t, q.told[0].CameBack())
		require.Equal(t, reason, q.told[0].Reason)
		require.Equal(t, 3, q.told[0].Attempt)
	}
}

func TestStaleAsksLessAndLess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		now := begun
		q := &silentProvider{records: []delivery.Record{sentAt("blocked", begun)}, reports: map[string]tracker.Report{"SMblocked": {Status: "sent"}}}
		s := tracker.NewStale(q, q, q, q, q, q, tracker.StaleConfig{After: time.Minute, Clock: func() time.Time { return now }})
		var ages []time.Duration
		for ; now.Sub(begun) < 72*time.Hour; now = now.Add(time.Minute) {
			before := len(q.asked)
			require.NoError(t, s.Pass(t.Context()))
			if len(q.asked) > before {
				ages = append(ages, now.Sub(begun))
			}
		}
		require.Equal(t, []time.Duration{time.Minute, 4 * time.Minute, 16 * time.Minute, 64 * time.Minute, 256 * time.Minute, 1024 * time.Minute}, ages)
	})
}

// TestStaleAsksAgainSoonWhatItCouldNotAsk: the provider that does not answer has
// said nothing, and nobody waits four times as long for it.
func TestStaleAsksAgainSoonWhatItCouldNotAsk(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	now := begun.Add(time.Hour)
	q := &silentProvider{
		records: []delivery.Record{sentAt("a", begun), sentAt("b", begun)}, silent: map[string]error{"SMa": errBroken},
		reports: map[string]tracker.Report{"SMa": {Status: "delivered"}, "SMb": {Status: "sent"}},
	}
	s := tracker.NewStale(q, q, q, q, q, q, tracker.StaleConfig{After: time.Minute, Clock: func() time.Time { return now }})
	pass := func(after time.Duration) (asked []string, err error) {
		now, q.asked = now.Add(after), nil
		err = s.Pass(t.Context())
		return q.asked, err
	}
	asked, err := pass(0)
	require.ErrorIs(t, err, errBroken)
	require.Equal(t, []string{"SMa"}, asked, "the others are not asked for in vain")
	asked, err = pass(15 * time.Second)
	require.NoError(t, err)
	require.Equal(t, []string{"SMb"}, asked, "and are not held up by the one")
	q.silent = nil
	asked, err = pass(45 * time.Second)
	require.NoError(t, err)
	require.Equal(t, []string{"SMa"}, asked)
	require.Equal(t, delivery.EventDelivered, q.told[0].Type)
}

// TestStaleHandsOverWhatNobodyLooksAfter: the dispatchers get an attempt of which
// nothing is heard, later than any that is looked after, and less and less often.
func TestStaleHandsOverWhatNobodyLooksAfter(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	for _, status := range []delivery.Status{delivery.StatusSending, delivery.StatusUnknown} {
		now := begun
		job, other := sentAt("a", begun), sentAt("b", begun)
		job.SID, job.Status = "", status
		other.SID, other.Status, other.Attempt = "", status, 3 // the log's last intent is of another attempt
		q := &silentProvider{records: []delivery.Record{job, other}}
		s := tracker.NewStale(q, q, q, q, q, q, tracker.StaleConfig{
			After: time.Minute, Unclear: time.Minute, Clock: func() time.Time { return now },
		})
		var ages []time.Duration
		for ; now.Sub(begun) < time.Hour; now = now.Add(time.Minute) {
			before := len(q.handed)
			require.NoError(t, s.Pass(t.Context()))
			if len(q.handed) > before {
				ages = append(ages, now.Sub(begun))
			}
		}
		require.Equal(t, []time.Duration{2 * time.Minute, 8 * time.Minute, 32 * time.Minute}, ages)
		require.Empty(t, q.asked, "there is no SID to ask for")
		require.Equal(t, delivery.Task{
			Job: delivery.Job{ID: "a", Body: "hello", ContentSID: "HX1"}, Attempt: 2, Announced: true,
		}, q.handed[0])
	}
}

// TestStaleBeginsAnewWithNews: what was asked before they came counts no more.
func TestStaleBeginsAnewWithNews(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	now := begun.Add(time.Hour)
	q := &silentProvider{records: []delivery.Record{sentAt("a", begun)}, reports: map[string]tracker.Report{"SMa": {Status: "sent"}}}
	s := tracker.NewStale(q, q, q, q, q, q, tracker.StaleConfig{After: time.Minute, Clock: func() time.Time { return now }})
	require.NoError(t, s.Pass(t.Context()))
	q.records[0].UpdatedAt = now
	now = now.Add(time.Minute)
	require.NoError(t, s.Pass(t.Context()))
	require.Len(t, q.asked, 2)
	now = now.Add(time.Minute)
	require.NoError(t, s.Pass(t.Context()))
	require.Len(t, q.asked, 2)
}

func TestStaleRunsUnderItsLeaseUntilToldToStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &silentProvider{records: []delivery.Record{sentAt("old", time.Now())}, reports: map[string]tracker.Report{"SMold": {Status: "read"}}}
		s := tracker.NewStale(q, q, q, q, q, q, tracker.StaleConfig{After: time.Minute})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		require.NoError(t, s.Run(ctx))
		require.NotEmpty(t, q.told)
	})
}
