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

// archive is what the ledger knows.
type archive struct {
	*place
	sids map[string]string
	err  error
}

func (a archive) Get(context.Context, string) (delivery.Record, bool, error) {
	if a.position < 10 {
		return delivery.Record{}, false, nil
	}
	return delivery.Record{ID: "a", Status: delivery.StatusSent}, true, nil
}

func (a archive) BySID(_ context.Context, sid string) (job string, attempt int, ok bool, err error) {
	job, ok = a.sids[sid]
	return job, 1, ok, a.err
}

// bonds binds SIDs to the first job that asks.
type bonds map[string]string

func (b bonds) Own(_ context.Context, sid, job string) (bool, error) {
	if b[sid] == "" {
		b[sid] = job
	}
	return b[sid] == job, nil
}

func TestEvidenceWaitsForTheLedger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := archive{place: newPlace()}
		a.position = 9
		e := tracker.Evidence{Log: newTape(10), Records: a}
		go func() {
			time.Sleep(4 * time.Second) // the tracker needs its time
			a.restart("", 10)
		}()
		begun := time.Now()
		record, err := e.Record(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, delivery.StatusSent, record.Status)
		require.InDelta(t, 4*time.Second, time.Since(begun), float64(50*time.Millisecond))
	})
}

func TestALaggingLedgerIsAnError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := archive{place: newPlace()}
		a.position = 9
		begun := time.Now()
		_, err := tracker.Evidence{Log: newTape(10), Records: a}.Record(t.Context(), "a")
		require.ErrorContains(t, err, "at 9 of the log's 10")
		require.Equal(t, 5*time.Second, time.Since(begun))

		_, err = tracker.Evidence{Log: newTape(10), Records: a, Wait: time.Second}.Record(t.Context(), "a")
		require.Error(t, err)
		require.Equal(t, 6*time.Second, time.Since(begun))
	})
}

func TestNothingKnownIsAnEmptyRecord(t *testing.T) {
	t.Parallel()
	record, err := tracker.Evidence{Log: newTape(0), Records: archive{place: newPlace()}}.Record(t.Context(), "a")
	require.NoError(t, err)
	require.Zero(t, record)
}

// TestASIDOfTheLogIsTaken: a message that another job is known to have sent is
// not the lost one, although nobody has looked for it.
func TestASIDOfTheLogIsTaken(t *testing.T) {
	t.Parallel()
	bound := bonds{}
	e := tracker.Evidence{Log: newTape(0), Owners: bound, Records: archive{place: newPlace(), sids: map[string]string{"SM1": "a", "SM2": "b"}}}
	own := func(sid, job string) bool {
		mine, err := e.Own(t.Context(), sid, job)
		require.NoError(t, err)
		return mine
	}
	require.True(t, own("SM1", "a"))
	require.False(t, own("SM2", "a"))
	require.Empty(t, bound)
	require.True(t, own("SM3", "a"))
	require.False(t, own("SM3", "b"))

	e.Records = archive{err: errBroken}
	_, err := e.Own(t.Context(), "SM4", "a")
	require.ErrorIs(t, err, errBroken)
}

// forgets loses its records between the look at its position and the read.
type forgets struct{ archive }

func (f forgets) Get(ctx context.Context, id string) (delivery.Record, bool, error) {
	f.restart("", 0)
	return f.archive.Get(ctx, id)
}

func TestALedgerThatWasJustEmptiedProvesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := archive{place: newPlace()}
		a.position = 10
		_, err := tracker.Evidence{Log: newTape(10), Records: forgets{a}}.Record(t.Context(), "a")
		require.ErrorContains(t, err, "at 0 of the log's 10")
	})
}

// shelf is the log's intents, and the jobs whose outcome is open.
type shelf map[string]delivery.Intent

func (s shelf) LastIntent(_ context.Context, _, job string) (delivery.Intent, bool, error) {
	intent, found := s[job]
	return intent, found, nil
}

func (s shelf) Open(context.Context, string, string) ([]delivery.Record, error) {
	return []delivery.Record{{ID: "a"}, {ID: "b"}, {ID: "without intent"}}, nil
}

func TestRivalsAreTheOthersWithAnIntent(t *testing.T) {
	t.Parallel()
	job := delivery.Job{ID: "a"}
	s := shelf{"a": {Token: "own"}, "b": {Token: "other"}}
	e := tracker.Evidence{Log: newTape(10), Records: archive{place: newPlace()}, Intents: s, Pairs: s, Wait: time.Millisecond}
	_, err := e.Rivals(t.Context(), job)
	require.ErrorContains(t, err, "at 0 of the log's 10", "an emptied ledger knows of no rival")
	e.Log = newTape(0)
	rivals, err := e.Rivals(t.Context(), job)
	require.NoError(t, err)
	require.Equal(t, []delivery.Intent{{Token: "other"}}, rivals)
	own, found, err := e.LastIntent(t.Context(), job)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, "own", own.Token)
}
