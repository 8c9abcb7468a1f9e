package ledger_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/delivery/ledger"
	"github.com/sluicehq/sluice/internal/redistest"
)

// A failover may lose what the replica had not seen: the position goes back
// with it, so that an applier of before is fenced off, and one that begins anew
// applies just what is missing.
func TestFailoverLosesNothingThatTheLogHas(t *testing.T) {
	t.Parallel()
	w, rdb := engines.Watched(t)
	ctx := t.Context()
	l, _ := newLedger(rdb)
	var log []delivery.Event
	for i := range 20 {
		job := fmt.Sprint("job-", i%10)
		if i < 10 {
			log = append(log, happened(job, delivery.EventAccepted, 1, i))
		} else {
			log = append(log, withSID(happened(job, delivery.EventQueued, 1, i), "SM-"+job))
		}
	}
	applies := func(from, upTo int) {
		require.NoError(t, l.Apply(ctx, log[from:upTo]))
		require.NoError(t, l.Advance(ctx, uint64(from), uint64(upTo)))
	}
	applies(0, 5)
	seen, err := rdb.Wait(ctx, 1, 0).Result()
	require.NoError(t, err)
	require.EqualValues(t, 1, seen)
	w.CutOff(t) // the replica is told no more
	applies(5, 15)
	w.Primary.Kill()

	var at uint64
	redistest.Until(t, func() bool {
		at, err = l.Position(ctx)
		return err == nil
	})
	require.EqualValues(t, 5, at, "what the replica knew")
	require.ErrorIs(t, l.Advance(ctx, 15, 20), ledger.ErrMoved)
	applies(5, 20)
	for id, want := range folded(log) {
		got, ok, err := l.Get(ctx, id)
		require.NoError(t, err)
		require.True(t, ok, id)
		require.Equal(t, want, got)
	}
	counts, err := l.Counts(ctx)
	require.NoError(t, err)
	require.Equal(t, map[delivery.Status]int64{delivery.StatusQueued: 10}, counts)
}
