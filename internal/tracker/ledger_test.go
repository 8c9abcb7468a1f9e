package tracker_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/tracker"
)

// keeping runs a test beside a ledger projection under way.
func keeping(t *testing.T, entries int, test func(t *testing.T, log *tape, b *place, p *tracker.LedgerProjection)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, b := newTape(entries), newPlace()
		p := tracker.NewLedgerProjection(log, books{b}, b, "me", quiet)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		synctest.Wait()
		test(t, log, b, p)
		cancel()
		require.NoError(t, <-done)
	})
}

func TestRecordsComeBeforeThePosition(t *testing.T) {
	keeping(t, 300, func(t *testing.T, log *tape, b *place, p *tracker.LedgerProjection) {
		require.Equal(t, []string{"apply", "advance", "apply", "advance"}, b.all())
		require.EqualValues(t, 300, b.position)
		require.EqualValues(t, 300, p.Applied())
	})
}

func TestEventsNotAppliedDoNotCount(t *testing.T) {
	keeping(t, 0, func(t *testing.T, log *tape, b *place, p *tracker.LedgerProjection) {
		b.locked(func() { b.applyErr = errBroken })
		log.grow(10)
		after(2 * time.Second)
		require.False(t, b.has("advance"))
		require.Zero(t, p.Applied())
		b.locked(func() { b.applyErr = nil })
		after(time.Second)
		require.EqualValues(t, 10, p.Applied())
	})
}

// TestAnEmptiedLedgerIsRefilled: new events must not move its position past
// those it has lost.
func TestAnEmptiedLedgerIsRefilled(t *testing.T) {
	keeping(t, 10, func(t *testing.T, log *tape, b *place, p *tracker.LedgerProjection) {
		b.restart("", 0)
		log.grow(1)
		after(2 * time.Second)
		require.Equal(t, []uint64{1, 1}, log.began())
		require.EqualValues(t, 11, p.Applied())
	})
}

// TestALedgerEmptiedBetweenTwoWritesIsRefilled: the records of a batch went to
// a Redis that is gone when their position is written.
func TestALedgerEmptiedBetweenTwoWritesIsRefilled(t *testing.T) {
	keeping(t, 10, func(t *testing.T, log *tape, b *place, p *tracker.LedgerProjection) {
		b.locked(func() { b.applied = func() { b.position = 0 } })
		log.grow(1)
		synctest.Wait()
		require.True(t, b.has("moved"))
		b.locked(func() { b.applied = nil })
		after(2 * time.Second)
		require.Equal(t, []uint64{1, 1}, log.began())
		require.EqualValues(t, 11, b.position)
	})
}

func TestAnEmptiedLedgerIsNoticedWithoutNewEvents(t *testing.T) {
	keeping(t, 10, func(t *testing.T, log *tape, b *place, p *tracker.LedgerProjection) {
		b.restart("", 0)
		after(3 * time.Second)
		require.Equal(t, []uint64{1, 1}, log.began())
		require.EqualValues(t, 10, b.position)
	})
}

func TestALedgerThatIsAheadStays(t *testing.T) {
	keeping(t, 10, func(t *testing.T, log *tape, b *place, p *tracker.LedgerProjection) {
		b.restart("", 12) // another tracker was faster
		log.grow(3)
		after(10 * time.Second)
		require.Equal(t, []uint64{1, 13}, log.began())
		require.EqualValues(t, 13, b.position)
	})
}

func TestALostLeaseStopsTheBooks(t *testing.T) {
	keeping(t, 10, func(t *testing.T, log *tape, b *place, p *tracker.LedgerProjection) {
		b.locked(func() { b.holder = "another" })
		after(2 * time.Second)
		log.grow(5)
		after(time.Second)
		require.EqualValues(t, 10, p.Applied())
		b.locked(func() { b.holder = "me" })
		after(time.Second)
		require.EqualValues(t, 15, p.Applied())
	})
}
