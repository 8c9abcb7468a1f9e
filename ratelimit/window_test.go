package ratelimit_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/ratelimit"
)

// next is the following attempt of a job, with a token of its own.
func next(r ratelimit.Request) ratelimit.Request {
	r.Attempt++
	r.Token = fmt.Sprintf("token of %s/%d", r.Job, r.Attempt)
	return r
}

func TestPlaceComesBackAfterWindowAndMargin(t *testing.T) {
	t.Parallel()
	opts := ratelimit.Options{DefaultLimit: 2, Window: time.Hour, Margin: time.Minute}
	onEach(t, opts, func(t *testing.T, b *bench) {
		b.goes(t, job("a", sender, "+1"))
		b.clock.advance(10 * time.Minute)
		b.goes(t, job("b", sender, "+2"))

		back := startAt.Add(61 * time.Minute)
		v := b.parks(t, job("c", sender, "+3"), ratelimit.ReasonSenderLimit)
		require.Equal(t, back, v.At)
		require.Equal(t, back, b.pool(t, "pool").NextFreeAt)

		b.clock.advance(back.Sub(b.clock.Now()) - time.Microsecond)
		b.parks(t, job("c", sender, "+3"), ratelimit.ReasonSenderLimit)
		b.clock.advance(time.Microsecond)
		b.sets(t, ratelimit.SenderPolicy{Limit: limit(1)})
		again := job("a again", sender, "+1")
		again.Priority = ratelimit.High
		require.Equal(t, ratelimit.ReasonSenderLimit, b.reserve(t, again).Reason, "its own place is gone at the same moment")
		b.sets(t, ratelimit.SenderPolicy{})
		b.reserve(t, job("c", sender, "+3"))
		require.Equal(t, ratelimit.ReasonSenderLimit, b.reserve(t, job("d", sender, "+4")).Reason)
	})
}

// A limit lowered below what is used: the place needed is not the oldest one.
func TestParkNamesTheRightPlace(t *testing.T) {
	t.Parallel()
	opts := ratelimit.Options{Window: time.Hour, Margin: time.Minute}
	onEach(t, opts, func(t *testing.T, b *bench) {
		for i := range 4 {
			b.goes(t, job(fmt.Sprint(i), sender, customer(i)))
			b.clock.advance(time.Minute)
		}
		b.sets(t, ratelimit.SenderPolicy{Limit: limit(2)})
		v := b.parks(t, job("x", sender, "+9"), ratelimit.ReasonSenderLimit)
		require.Equal(t, startAt.Add(2*time.Minute+61*time.Minute), v.At, "when the third of four comes back")

		b.sets(t, ratelimit.SenderPolicy{Limit: limit(0)})
		v = b.parks(t, job("x", sender, "+9"), ratelimit.ReasonSenderLimit)
		require.Zero(t, v.At, "no time helps against a limit of none")

		b.sets(t, ratelimit.SenderPolicy{Limit: limit(4)})
		b.setsPool(t, ratelimit.PoolPolicy{Limit: limit(3)})
		v = b.parks(t, job("x", sender, "+9"), ratelimit.ReasonSenderLimit)
		require.Equal(t, startAt.Add(time.Minute+61*time.Minute), v.At, "the later of sender and pool")
	})
}

func TestCountedCustomerNeedsNoPlace(t *testing.T) {
	t.Parallel()
	opts := ratelimit.Options{DefaultLimit: 1, Window: time.Hour, Margin: time.Minute}
	onEach(t, opts, func(t *testing.T, b *bench) {
		b.goes(t, job("a", sender, "+1"))
		b.clock.advance(50 * time.Minute)
		v := b.goes(t, job("b", sender, "+1"))
		require.True(t, v.Counted)
		require.False(t, v.InWindow)
		require.Equal(t, 1, b.used(t))

		// Another sender of the pool reaches the same customer without a place
		// in the pool, and no other customer.
		b.clock.advance(20 * time.Minute)
		b.goes(t, job("c", other, "+1"))
		require.Equal(t, 1, b.used(t))
		v = b.parks(t, job("d", sender, "+2"), ratelimit.ReasonSenderLimit)
		require.Equal(t, startAt.Add(131*time.Minute), v.At, "when both windows have room")
		require.Equal(t, startAt.Add(111*time.Minute), b.pool(t, "pool").Senders[0].NextFreeAt,
			"the second send counts, not the first")
	})
}

func TestServiceWindow(t *testing.T) {
	t.Parallel()
	opts := ratelimit.Options{DefaultLimit: 1, ServiceWindow: time.Hour}
	onEach(t, opts, func(t *testing.T, b *bench) {
		b.writes(t, sender, "+1")
		free := job("free", sender, "+1")
		free.FreeForm, free.Template = true, false
		v := b.goes(t, free)
		require.True(t, v.InWindow)
		require.False(t, v.Counted)
		require.Zero(t, b.used(t), "what goes in a service window does not count")
		require.Equal(t, ratelimit.OutcomeNoWindow, b.reserveNew(t, other, "+1").Outcome, "windows are per sender")

		// A hundredth of the window early it is taken for shut.
		b.clock.advance(time.Hour - 36*time.Second - time.Microsecond)
		b.goes(t, job("template", sender, "+1"))
		require.Zero(t, b.used(t))
		b.clock.advance(time.Microsecond)
		v = b.goes(t, job("counted", sender, "+1"))
		require.True(t, v.Counted)
		require.Equal(t, 1, b.used(t))
	})
}

// reserveNew asks about a free-form job that the gate has not seen.
func (b *bench) reserveNew(t testing.TB, from, to string) ratelimit.Verdict {
	t.Helper()
	r := job(fmt.Sprint("new", b.version()), from, to)
	r.FreeForm, r.Template = true, false
	return b.reserve(t, r)
}

func TestGiveBack(t *testing.T) {
	t.Parallel()
	at := func(d time.Duration) time.Time { return startAt.Add(d) }
	proof := func(id, status string, t time.Time) ratelimit.Change {
		return ratelimit.Change{Kind: ratelimit.Progress, Job: id, Attempt: 1, At: t, Status: status}
	}
	fails := func(id string) ratelimit.Change {
		return ratelimit.Change{Kind: ratelimit.Failed, Job: id, Attempt: 1}
	}
	// Job a sends to +1 at the start, job b 10 minutes later. free is when the
	// customer's place comes back after what then happens; zero: it is free.
	const span = time.Hour
	cases := []struct {
		name string
		then []ratelimit.Change
		free time.Time
	}{
		{"nothing", nil, at(10*time.Minute + span)},
		{"the last one fails", []ratelimit.Change{fails("b")}, at(span)},
		{"twice", []ratelimit.Change{fails("b"), fails("b")}, at(span)},
		{"another counted since", []ratelimit.Change{fails("a")}, at(10*time.Minute + span)},
		{"both, last first", []ratelimit.Change{fails("b"), fails("a")}, time.Time{}},
		// b gave its place up to what a had; a is over, and its place stays: too
		// much is counted, never too little.
		{"both, first first", []ratelimit.Change{fails("a"), fails("b")}, at(span)},
		{"refreshed, then failed", []ratelimit.Change{proof("b", "queued", at(11*time.Minute)), fails("b")}, at(span)},
		{"the other refreshed in between", []ratelimit.Change{proof("a", "sent", at(12*time.Minute)), fails("b")}, at(12*time.Minute + span)},
		{"old proof of the other", []ratelimit.Change{proof("a", "sent", at(time.Minute)), fails("b")}, at(10*time.Minute + time.Microsecond + span)},
		{"the other refreshed, then failed", []ratelimit.Change{proof("a", "sent", at(12*time.Minute)), fails("a")}, at(10*time.Minute + span)},
		{"delivered, then failed", []ratelimit.Change{proof("b", "delivered", at(13*time.Minute)), fails("b")}, at(13*time.Minute + span)},
		{"failed, then late news of the way", []ratelimit.Change{fails("b"), proof("b", "sent", at(13*time.Minute))}, at(span)},
		{"failed, then delivered after all", []ratelimit.Change{fails("b"), proof("b", "delivered", at(13*time.Minute))}, at(13*time.Minute + span)},
		{"read long after delivery", []ratelimit.Change{proof("b", "delivered", at(13*time.Minute)), proof("b", "read", at(14*time.Minute))}, at(13*time.Minute + span)},
		{"read is delivered too", []ratelimit.Change{proof("b", "read", at(14*time.Minute))}, at(14*time.Minute + span)},
		{"from the future", []ratelimit.Change{proof("b", "sent", at(time.Hour*9))}, at(15*time.Minute + span)},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			opts := ratelimit.Options{Window: span - time.Second, Margin: time.Second}
			onEach(t, opts, func(t *testing.T, b *bench) {
				b.goes(t, job("a", sender, "+1"))
				b.clock.advance(10 * time.Minute)
				b.goes(t, job("b", sender, "+1"))
				b.clock.advance(5 * time.Minute)
				for _, change := range c.then {
					b.apply(t, change)
				}
				state := b.pool(t, "pool")
				require.Equal(t, c.free, state.NextFreeAt)
				require.Equal(t, c.free, state.Senders[0].NextFreeAt, "sender and pool agree")
			})
		})
	}
}

func TestGiveBackIsGuarded(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		b.goes(t, job("a", sender, "+1"))
		require.NoError(t, b.GiveBack(t.Context(), "a", 1, "not its token"))
		require.NoError(t, b.GiveBack(t.Context(), "a", 2, "token of a"))
		require.NoError(t, b.GiveBack(t.Context(), "unknown", 1, "token"))
		b.apply(t, ratelimit.Change{Kind: ratelimit.Failed, Job: "a", Attempt: 1, Token: "not its token"})
		require.Equal(t, 1, b.used(t))
		require.NoError(t, b.GiveBack(t.Context(), "a", 1, "token of a"))
		require.Zero(t, b.used(t))

		// The place is another's now; a second give-back must leave it alone.
		b.goes(t, job("b", sender, "+1"))
		require.NoError(t, b.GiveBack(t.Context(), "a", 1, "token of a"))
		require.Equal(t, 1, b.used(t))

		b.goes(t, next(job("a", sender, "+1")))
		require.Equal(t, 1, b.used(t), "a new attempt of a failed job counts again")
	})
}

// What stood before a grant is put back only while it would still count.
func TestGiveBackRestoresNothingOld(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{Window: time.Hour}, func(t *testing.T, b *bench) {
		b.goes(t, job("a", sender, "+1"))
		b.clock.advance(time.Hour)
		b.goes(t, job("b", sender, "+1"))
		b.clock.advance(time.Minute)
		require.NoError(t, b.GiveBack(t.Context(), "b", 1, "token of b"))
		require.Zero(t, b.used(t))
		require.Empty(t, b.dump(t)["{sluice}:window:pool:pool"])
	})
}

// Windows forget in small steps, and count rightly before they have forgotten.
func TestTrimIsBounded(t *testing.T) {
	t.Parallel()
	opts := ratelimit.Options{DefaultLimit: 1000, DefaultMPS: 1e6, Window: time.Hour}
	onEach(t, opts, func(t *testing.T, b *bench) {
		for i := range 600 {
			b.goes(t, job(fmt.Sprint(i), sender, customer(i)))
		}
		b.clock.advance(2 * time.Hour)
		left := func() int64 {
			n, err := b.rdb.ZCard(t.Context(), "{sluice}:window:pool:pool").Result()
			require.NoError(t, err)
			return n
		}
		for i, want := range []int64{600 - 256 + 1, 600 - 512 + 2, 3, 4} {
			b.goes(t, job(fmt.Sprint("late", i), sender, customer(1000+i)))
			require.Equal(t, i+1, b.used(t))
			require.Equal(t, want, left())
		}
	})
}
