package tracker_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/tracker"
)

const settle = 15 * time.Second

// opening is a gate projection under way.
type opening struct {
	log      *tape
	gate     *place
	standing *standing
	tracker  *tracker.GateProjection
}

// opens runs a test in a bubble, beside a projection that has not begun.
func opens(t *testing.T, entries int, settle time.Duration, test func(t *testing.T, o *opening)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := &opening{log: newTape(entries), gate: newPlace()}
		o.standing = &standing{steps: o.gate.steps}
		o.tracker = tracker.NewGateProjection(o.log, server{o.gate}, o.standing, tracker.GateConfig{Holder: "me", Settle: settle})
		test(t, o)
	})
}

// run starts the projection; it ends with the test.
func (o *opening) run(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- o.tracker.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	synctest.Wait()
}

// after lets time pass.
func after(d time.Duration) {
	time.Sleep(d) // of the bubble: nothing is waited for
	synctest.Wait()
}

func TestTheGateOpensWhenItKnowsEveryGrant(t *testing.T) {
	opens(t, 1000, settle, func(t *testing.T, o *opening) {
		o.run(t)
		after(settle - 100*time.Millisecond)
		require.EqualValues(t, 1000, o.tracker.Applied())
		require.False(t, o.gate.isOpen(), "a worker may still send under a grant of the old Redis")

		o.log.grow(50) // and tells of it in time
		after(200 * time.Millisecond)
		require.True(t, o.gate.isOpen())
		require.EqualValues(t, 1050, o.gate.had)
		require.Equal(t, []string{"restore", "open life 1"}, o.gate.all())
	})
}

// TestTheTargetIsReadAfterTheSettlingTime: what was logged in it must be applied
// too, however far the follower is behind.
func TestTheTargetIsReadAfterTheSettlingTime(t *testing.T) {
	opens(t, 10, settle, func(t *testing.T, o *opening) {
		o.run(t)
		after(settle - 100*time.Millisecond)
		o.log.change(50, 10)
		after(settle)
		require.False(t, o.gate.isOpen())
		o.log.change(0, 59)
		after(settle)
		require.False(t, o.gate.isOpen())
		o.log.change(1, 60)
		after(time.Second)
		require.True(t, o.gate.isOpen(), "what comes later is not waited for")
		require.EqualValues(t, 60, o.gate.had)
	})
}

func TestWithoutOtherProcessesNothingIsWaitedFor(t *testing.T) {
	opens(t, 10, 0, func(t *testing.T, o *opening) {
		begun := time.Now()
		o.run(t)
		after(time.Second)
		require.True(t, o.gate.isOpen())
		require.LessOrEqual(t, o.gate.openedAt.Sub(begun), 200*time.Millisecond)
		require.EqualValues(t, 10, o.gate.had)
	})
}

func TestAnEmptyLogOpensAtOnce(t *testing.T) {
	opens(t, 0, settle, func(t *testing.T, o *opening) {
		o.run(t)
		after(time.Second)
		require.True(t, o.gate.isOpen())
	})
}

func TestAnotherEpochInBetweenBeginsAnew(t *testing.T) {
	opens(t, 10, settle, func(t *testing.T, o *opening) {
		o.run(t)
		after(settle - time.Second)
		o.gate.restart("life 2", 10)
		after(settle - time.Second)
		require.False(t, o.gate.isOpen())
		after(2 * time.Second)
		require.True(t, o.gate.isOpen())
		require.Equal(t, []string{"restore", "open life 2"}, o.gate.all())
	})
}

func TestAnotherEpochDuringTheRestoreIsNotOpened(t *testing.T) {
	opens(t, 10, 0, func(t *testing.T, o *opening) {
		o.standing.during = func() {
			o.standing.during = nil
			o.gate.restart("life 2", 10)
		}
		o.run(t)
		after(5 * time.Second)
		require.True(t, o.gate.isOpen())
		require.Equal(t, []string{"restore", "let go gate", "restore", "open life 2"}, o.gate.all())
	})
}

// Emptied while it is refilled, Redis lives on under the same epoch.
func TestARedisEmptiedDuringTheRestoreIsNotOpened(t *testing.T) {
	opens(t, 10, 0, func(t *testing.T, o *opening) {
		o.standing.during = func() {
			o.standing.during = nil
			o.gate.empty()
		}
		o.run(t)
		after(5 * time.Second)
		require.True(t, o.gate.isOpen())
		require.EqualValues(t, 10, o.gate.had)
		require.Equal(t, []string{"restore", "let go gate", "restore", "open life 1"}, o.gate.all())
	})
}

// TestAnEmptiedRedisIsRefilled: what was applied to the one before counts for
// nothing, although no new entry shows that it is gone.
func TestAnEmptiedRedisIsRefilled(t *testing.T) {
	for name, c := range map[string]struct {
		left   uint64
		settle time.Duration
	}{
		"empty": {0, settle}, "an older copy": {4, settle},
		"empty, at once": {0, 0}, "an older copy, at once": {4, 0},
	} {
		t.Run(name, func(t *testing.T) {
			opens(t, 10, c.settle, func(t *testing.T, o *opening) {
				o.run(t)
				after(2 * settle)
				require.True(t, o.gate.isOpen())

				o.gate.restart("life 2", c.left)
				after(3 * settle)
				require.True(t, o.gate.isOpen())
				require.EqualValues(t, 10, o.gate.had, "opened without what the log holds")
				began := o.log.began()
				require.Equal(t, c.left+1, began[len(began)-1])
			})
		})
	}
}

func TestAFencedReaderBeginsAgainFromThePosition(t *testing.T) {
	opens(t, 10, 0, func(t *testing.T, o *opening) {
		o.run(t)
		after(time.Second)
		o.gate.restart("life 1", 12) // another tracker was faster
		o.log.grow(5)
		after(2 * time.Second)
		require.True(t, o.gate.has("fenced"))
		require.Equal(t, []uint64{1, 13}, o.log.began())
		require.EqualValues(t, 15, o.tracker.Applied())
	})
}

func TestAFailedApplyIsRepeated(t *testing.T) {
	opens(t, 10, 0, func(t *testing.T, o *opening) {
		o.gate.applyErr = errBroken
		o.run(t)
		after(5 * time.Second)
		require.False(t, o.gate.isOpen())
		require.Zero(t, o.tracker.Applied())
		o.gate.locked(func() { o.gate.applyErr = nil })
		after(time.Second)
		require.True(t, o.gate.isOpen())
	})
}

func TestAFailedRestoreLeavesTheGateClosed(t *testing.T) {
	opens(t, 10, 0, func(t *testing.T, o *opening) {
		o.standing.err = errBroken
		o.run(t)
		after(5 * time.Second)
		require.False(t, o.gate.isOpen())
		require.True(t, o.gate.has("restore"))
		require.False(t, o.gate.has("open life 1"))
	})
}

func TestWithoutTheLeaseNothingIsDone(t *testing.T) {
	opens(t, 10, 0, func(t *testing.T, o *opening) {
		o.gate.holder = "another"
		o.run(t)
		after(10 * time.Second)
		require.Empty(t, o.log.began())
		o.gate.locked(func() { o.gate.holder = "me" })
		after(time.Second)
		require.True(t, o.gate.isOpen())
	})
}

func TestALostLeaseStopsTheWork(t *testing.T) {
	opens(t, 10, 0, func(t *testing.T, o *opening) {
		o.run(t)
		after(time.Second)
		o.gate.locked(func() { o.gate.holder = "another" })
		after(2 * time.Second)
		o.log.grow(5)
		after(2 * time.Second)
		require.EqualValues(t, 10, o.tracker.Applied())
	})
}

// TestTheLeaseIsKeptDuringALongRestore: with many jobs waiting it takes longer
// than the lease lasts, and two trackers would keep interrupting each other.
func TestTheLeaseIsKeptDuringALongRestore(t *testing.T) {
	opens(t, 10, 0, func(t *testing.T, o *opening) {
		o.standing.takes = time.Minute
		o.run(t)
		after(62 * time.Second)
		require.True(t, o.gate.isOpen())
		require.Less(t, o.gate.gap, 5*time.Second)
	})
}

// TestALogOlderThanTheGateClosesIt: NATS was restored from a backup, and what
// comes next would have sequences that the gate takes for known.
func TestALogOlderThanTheGateClosesIt(t *testing.T) {
	opens(t, 100, settle, func(t *testing.T, o *opening) {
		o.run(t)
		after(2 * settle)
		require.True(t, o.gate.isOpen())
		o.log.shorten(60)
		after(5 * time.Second)
		require.False(t, o.gate.isOpen())
		o.log.grow(20)
		after(10 * settle)
		require.False(t, o.gate.isOpen(), "until a person rebuilds it")

		o.gate.restart("life 1", 0) // sluice rebuild
		after(3 * settle)
		require.True(t, o.gate.isOpen())
		require.EqualValues(t, 80, o.gate.had)
	})
}
