package ratelimit_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/ratelimit"
)

func (b *bench) shelves(t testing.TB, r ratelimit.Request, seq uint64) {
	t.Helper()
	require.NoError(t, b.Shelve(t.Context(), r, seq))
}

func (b *bench) ready(t testing.TB, senders ...string) map[string][]ratelimit.ReadyJob {
	t.Helper()
	ready, err := b.Ready(t.Context(), senders, 10)
	require.NoError(t, err)
	return ready
}

// A job that waits for a place is found when its customer is counted through
// another job or writes in, and forgotten when it goes.
func TestReadyWhenCountedOrWrittenIn(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		b.setsPool(t, ratelimit.PoolPolicy{Limit: limit(1), Reserve: 1})
		one, two, low := at(ratelimit.Normal, "one", "+1"), at(ratelimit.Normal, "two", "+2"), at(ratelimit.Low, "low", "+1")
		for i, r := range []ratelimit.Request{two, low, one} {
			b.parks(t, r, ratelimit.ReasonPoolLimit)
			for range 2 {
				b.shelves(t, r, uint64(10+i))
			}
		}
		require.Empty(t, b.ready(t, sender, other))

		b.goes(t, at(ratelimit.High, "high", "+1"))
		normal, later := ratelimit.ReadyJob{Seq: 12, Priority: ratelimit.Normal}, ratelimit.ReadyJob{Seq: 11, Priority: ratelimit.Low}
		require.Equal(t, map[string][]ratelimit.ReadyJob{sender: {normal, later}}, b.ready(t, sender, other))
		b.writes(t, sender, "+2")
		second := ratelimit.ReadyJob{Seq: 10, Priority: ratelimit.Normal}
		require.Equal(t, []ratelimit.ReadyJob{second, normal, later}, b.ready(t, sender)[sender])

		require.Equal(t, ratelimit.OutcomeGo, b.reserve(t, one).Outcome)
		b.goes(t, two)
		_, err := b.Cancel(t.Context(), low.Job)
		require.NoError(t, err)
		require.Equal(t, ratelimit.OutcomeCanceled, b.admit(t, low).Outcome)
		require.Empty(t, b.ready(t, sender))
		for _, r := range []ratelimit.Request{one, two, low} {
			b.shelves(t, r, 20)
		}
		require.Empty(t, b.ready(t, sender), "they wait no longer")
		for key := range b.dump(t) {
			require.NotContains(t, key, ":ready:")
			require.NotContains(t, key, ":customer:")
		}
	})
}

// A job that is canceled where it lies does not wait for its turn in the room's
// order: it would be counted among those that wait for as long as the window.
func TestReadyWhenEnded(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{DefaultLimit: 1}, func(t *testing.T, b *bench) {
		b.goes(t, job("before", sender, "+1"))
		r := at(ratelimit.Low, "r", "+2")
		b.parks(t, r, ratelimit.ReasonSenderLimit)
		b.shelves(t, r, 7)
		_, err := b.Cancel(t.Context(), r.Job)
		require.NoError(t, err)
		b.apply(t, ratelimit.Change{Kind: ratelimit.Ended, Job: r.Job, Attempt: 1, At: startAt, Status: "canceled"})
		require.Equal(t, []ratelimit.ReadyJob{{Seq: 7, Priority: ratelimit.Low}}, b.ready(t, sender)[sender])

		b.setsPool(t, ratelimit.PoolPolicy{Paused: true})
		require.Equal(t, ratelimit.OutcomeEnded, b.reserve(t, r).Outcome, "a pause does not keep it")
		require.NoError(t, b.Unshelve(t.Context(), sender, 7))
		require.Empty(t, b.ready(t, sender))
	})
}

// A job that needs no place is ready as soon as it lies in the room; one that
// needs a place after all leaves the list.
func TestReadyFollowsTheNeed(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{DefaultLimit: 1}, func(t *testing.T, b *bench) {
		b.goes(t, job("before", sender, "+1"))
		b.setsPool(t, ratelimit.PoolPolicy{Paused: true})
		r := at(ratelimit.High, "r", "+1")
		b.parks(t, r, ratelimit.ReasonPoolPaused)
		b.shelves(t, r, 7)
		require.Equal(t, []ratelimit.ReadyJob{{Seq: 7}}, b.ready(t, sender)[sender])

		b.clock.advance(b.opts.Window + b.opts.Margin)
		require.Equal(t, ratelimit.ReasonPoolPaused, b.reserve(t, r).Reason)
		require.Empty(t, b.ready(t, sender))
		b.writes(t, sender, "+1")
		require.Empty(t, b.ready(t, sender), "found by the customer only while it was parked in need")

		require.Equal(t, ratelimit.ReasonPoolPaused, b.reserve(t, r).Reason)
		require.Equal(t, []ratelimit.ReadyJob{{Seq: 7}}, b.ready(t, sender)[sender])
		require.NoError(t, b.Unshelve(t.Context(), sender, 7))
		require.Empty(t, b.ready(t, sender))
	})
}

// Only so many jobs of a customer are found by it, whatever their number.
func TestShelfIsBounded(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{DefaultLimit: 1}, func(t *testing.T, b *bench) {
		b.goes(t, job("before", sender, "+2"))
		for i := range 300 {
			r := job(fmt.Sprint(i), sender, "+1")
			b.parks(t, r, ratelimit.ReasonSenderLimit)
			b.shelves(t, r, uint64(i+1))
		}
		require.Len(t, b.dump(t)["{sluice}:customer:+1"], 257)
		b.writes(t, sender, "+1")
		ready, err := b.Ready(t.Context(), []string{sender}, 1000)
		require.NoError(t, err)
		require.Len(t, ready[sender], 256)
	})
}

// A room that is read again after Redis was lost puts its jobs on the shelf
// before the gate has seen them.
func TestShelveUnknownJob(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		r := job("unknown", sender, "+1")
		b.shelves(t, r, 3)
		b.writes(t, sender, "+1")
		require.Equal(t, []ratelimit.ReadyJob{{Seq: 3, Priority: ratelimit.Normal}}, b.ready(t, sender)[sender])
		b.shelves(t, r, 9)
		b.aliases(t, "+1", "+2")
		require.Equal(t, uint64(9), b.ready(t, sender)[sender][0].Seq, "moved with its customer")
		require.Equal(t, ratelimit.OutcomeGo, b.reserve(t, r).Outcome)
		require.Empty(t, b.ready(t, sender))
		for key, value := range b.dump(t) {
			if strings.Contains(key, ":customer:") {
				require.NotContains(t, value, "#")
			}
		}
		require.Error(t, b.Shelve(t.Context(), r, 0))
		require.Error(t, b.Shelve(t.Context(), ratelimit.Request{}, 1))
		require.Error(t, b.Unshelve(t.Context(), "", 1))
	})
}
