package ratelimit_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/ratelimit"
)

// lasting is what Redis holds, without what a loss may take: rates, paces and how
// often something was changed.
func (b *bench) lasting(t testing.TB) map[string]any {
	t.Helper()
	all := b.dump(t)
	for key, value := range all {
		if strings.Contains(key, ":pair:") {
			delete(all, key)
		}
		if fields, ok := value.(map[string]string); ok {
			delete(fields, "version")
			delete(fields, "rate")
			delete(fields, "sent")
		}
	}
	return all
}

// A Redis that was emptied and refilled from the log and the stored jobs knows
// what it knew: who waits, who of them needs a place, where they lie.
func TestRestoreBringsBackWhoWaits(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		policies := func() {
			b.setsPool(t, ratelimit.PoolPolicy{Limit: limit(2)})
			b.sets(t, ratelimit.SenderPolicy{Pool: "pool", MPS: 1000})
		}
		policies()
		sent := job("sent", sender, "+known")
		log := []ratelimit.Change{
			intent(sent, b.goes(t, sent).At, true),
			{Kind: ratelimit.Inbound, Sender: sender, Customer: "+writes", At: b.clock.Now()},
		}
		b.apply(t, log[1:]...)
		b.setsPool(t, ratelimit.PoolPolicy{Limit: limit(2), Paused: true})
		var stored []ratelimit.Stored
		for i, customer := range []string{"+known", "+writes", "+1", "+2", "+2"} {
			r := at(ratelimit.Priority(i%3), fmt.Sprint("waits-", i), customer)
			b.parks(t, r, ratelimit.ReasonPoolPaused)
			b.shelves(t, r, uint64(10+i))
			stored = append(stored, ratelimit.Stored{Request: r, Seq: uint64(10 + i)})
		}
		queued := job("queued", sender, "+3")
		b.claim(t, queued.Job, queued.Digest, queued.Sender)
		stored = append(stored, ratelimit.Stored{Request: queued})
		scheduled := job("scheduled", sender, "+3")
		later := startAt.Add(30 * 24 * time.Hour)
		_, err := b.Claim(t.Context(), scheduled.Job, scheduled.Digest, scheduled.Sender, later)
		require.NoError(t, err)
		stored = append(stored, ratelimit.Stored{Request: scheduled, Copies: later})
		b.setsPool(t, ratelimit.PoolPolicy{Limit: limit(2)})
		want := b.lasting(t)
		require.Equal(t, [3]int64{2, 2, 1}, b.waiting(t, "pool"))
		require.Len(t, b.ready(t, sender)[sender], 2)

		require.NoError(t, b.rdb.FlushDB(t.Context()).Err())
		policies()
		b.apply(t, log...)
		for range 2 {
			require.NoError(t, b.Restore(t.Context(), stored))
		}
		b.open(t)
		got := b.lasting(t)
		delete(got, "{sluice}:pos")
		delete(want, "{sluice}:pos")
		require.Equal(t, want, got)
		require.InDelta(t, later.Sub(startAt)+b.opts.Retention, b.ttl(t, "scheduled"), float64(time.Minute))
		require.Equal(t, time.Duration(-1), b.ttl(t, "waits-0"))
		require.NoError(t, b.Restore(t.Context(), stored[:5]))
		require.Equal(t, got["{sluice}:waiting:pool"], b.lasting(t)["{sluice}:waiting:pool"])

		// It works on from there: a newcomer holds back, those who need no place go,
		// the first who needs one takes the last.
		b.parks(t, job("newcomer", sender, "+4"), ratelimit.ReasonWaiting)
		for i, outcome := range []ratelimit.Outcome{ratelimit.OutcomeGo, ratelimit.OutcomeGo, ratelimit.OutcomeGo, ratelimit.OutcomePark, ratelimit.OutcomePark} {
			b.clock.advance(time.Second)
			require.Equal(t, outcome, b.reserve(t, stored[i].Request).Outcome, i)
		}
	})
}

// What goes on, has ended, or is another's is left as it is.
func TestRestoreLeavesAloneWhatGoesOn(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		sent, reserved, ended, foreign := job("sent", sender, "+1"), job("reserved", sender, "+2"), job("ended", sender, "+3"), job("foreign", sender, "+4")
		b.goes(t, sent)
		b.clock.advance(time.Second)
		require.Equal(t, ratelimit.OutcomeGo, b.reserve(t, reserved).Outcome)
		b.apply(t, ratelimit.Change{Kind: ratelimit.Ended, Job: "ended", Attempt: 1, At: startAt, Status: "expired"})
		b.claim(t, "foreign", "other content", sender)
		invalid := job("invalid", sender, "+5")
		invalid.Attempt = 0
		want := b.dump(t)
		var stored []ratelimit.Stored
		for i, r := range []ratelimit.Request{sent, reserved, invalid} {
			stored = append(stored, ratelimit.Stored{Request: r, Seq: uint64(1 + i)})
		}
		stored = append(stored, ratelimit.Stored{Request: foreign})
		require.NoError(t, b.Restore(t.Context(), stored))
		require.NoError(t, b.Restore(t.Context(), nil))
		require.Equal(t, want, b.dump(t))

		require.NoError(t, b.Restore(t.Context(), []ratelimit.Stored{{Request: ended, Seq: 9}}))
		require.Equal(t, [3]int64{}, b.waiting(t, "pool"))
		require.Equal(t, ratelimit.OutcomeEnded, b.admit(t, ended).Outcome)
	})
}

// While those who wait are still being told, nobody counts them.
func TestNobodyIsCountedBeforeTheGateOpens(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		require.NoError(t, b.Close(t.Context()))
		applied, err := b.SetWaiting(t.Context(), "pool", [3]int64{1, 2, 3}, 0)
		require.NoError(t, err)
		require.False(t, applied)
		b.open(t)
		applied, err = b.SetWaiting(t.Context(), "pool", [3]int64{1, 2, 3}, 0)
		require.NoError(t, err)
		require.True(t, applied)
	})
}

// Some thousands a second have to be told.
func BenchmarkRestore(b *testing.B) {
	engines.Need(b)
	const batch = 256
	g := &bench{Gate: ratelimit.New(engines.Single(b), ratelimit.Options{})}
	n := 0
	for b.Loop() {
		stored := make([]ratelimit.Stored, batch)
		for i := range stored {
			n++
			stored[i] = ratelimit.Stored{Request: job(fmt.Sprint("job-", n), sender, customer(n)), Seq: uint64(n)}
		}
		if err := g.Restore(b.Context(), stored); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "jobs/s")
}

// An id that was claimed for other content, while Redis knew of nothing, is still
// that of the job which waits; the other one is told so.
func TestAWaitingJobKeepsItsID(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		waits, other := job("j", sender, "+1"), job("j", sender, "+1")
		other.Digest = "another"
		b.claim(t, other.Job, other.Digest, other.Sender)
		require.NoError(t, b.Restore(t.Context(), []ratelimit.Stored{{Request: waits, Seq: 7}}))
		require.NoError(t, b.Restore(t.Context(), []ratelimit.Stored{{Request: other}}))
		require.NoError(t, b.Restore(t.Context(), []ratelimit.Stored{{Request: other, Seq: 8}}), "it is known to wait by now")
		require.Equal(t, ratelimit.OutcomeConflict, b.admit(t, other).Outcome)
		require.Equal(t, ratelimit.OutcomeGo, b.reserve(t, waits).Outcome)
		b.goes(t, waits)
	})
}
