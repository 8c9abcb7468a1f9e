package ratelimit_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluicehq/sluice/ratelimit"
)

// moved counts more customers than one step of a move copies.
const moved = 900

// countMany counts customers 0 to n-1 for the sender, by the log.
func (b *bench) countMany(t testing.TB, n int) {
	t.Helper()
	changes := make([]ratelimit.Change, n)
	for i := range changes {
		// Every third score is the one before: the steps must not lose ties.
		changes[i] = intent(job(fmt.Sprint("sent", i), sender, customer(i)), startAt.Add(time.Duration(i/3)*time.Microsecond), true)
	}
	b.clock.advance(time.Second)
	b.apply(t, changes...)
	require.Equal(t, n, b.used(t))
}

// A sender whose requests name another pool moves without anybody's help: each
// question takes it a step further. Until its customers are all in, the pool
// takes no new one, and those that it counts already are served.
func TestGainingPoolIsClosedUntilItsWindowIsWhole(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{Window: time.Hour, DefaultLimit: ratelimit.Unlimited}, func(t *testing.T, b *bench) {
		b.countMany(t, moved)
		in := func(id, from, customer string) ratelimit.Request {
			r := job(id, from, customer)
			r.Pool = "new"
			return r
		}
		b.goes(t, in("first", other, "+in"))
		granted := job("sent0", sender, customer(0))
		granted.Token = "another"

		v := b.parks(t, in("a", sender, "+new"), ratelimit.ReasonPoolClosed)
		require.Equal(t, "new", v.Pool)
		require.Equal(t, b.clock.Now().Add(100*time.Millisecond), v.At, "it opens by itself")
		require.True(t, b.pool(t, "new").Closed)
		b.parks(t, in("b", other, "+other"), ratelimit.ReasonPoolClosed)
		b.goes(t, in("c", sender, customer(moved-1)))
		require.True(t, b.pool(t, "new").Closed)
		b.goes(t, in("b", other, "+other"))
		require.False(t, b.pool(t, "new").Closed, "the fourth step copied the last ones")
		require.Equal(t, moved+2, b.pool(t, "new").Used)
		b.goes(t, in("a", sender, "+new"))

		v = b.admit(t, granted)
		require.Equal(t, ratelimit.OutcomePrior, v.Outcome, "a grant stays what it is")
		require.Equal(t, "pool", v.Pool)
		require.Equal(t, moved, b.used(t), "the pool that it left keeps them")
	})
}

// A policy that changes the pool returns when the customers have followed; one
// that was cut off is finished by whoever asks next.
func TestPolicyMovesAllCustomers(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{Window: time.Hour, DefaultLimit: ratelimit.Unlimited}, func(t *testing.T, b *bench) {
		b.countMany(t, moved)
		b.sets(t, ratelimit.SenderPolicy{Pool: "new", Limit: limit(ratelimit.Unlimited)})
		require.Equal(t, moved, b.pool(t, "new").Used)
		require.False(t, b.pool(t, "new").Closed)

		// A move that is broken off by the next one leaves no pool closed.
		require.NoError(t, b.rdb.HDel(t.Context(), "{sluice}:sender:"+sender, "pool").Err())
		b.parks(t, requestIn("a", sender, "+1", "between"), ratelimit.ReasonPoolClosed)
		require.True(t, b.pool(t, "between").Closed)
		b.sets(t, ratelimit.SenderPolicy{Pool: "last", Limit: limit(ratelimit.Unlimited)})
		require.False(t, b.pool(t, "between").Closed)
		require.Equal(t, moved, b.pool(t, "last").Used)
	})
}

// requestIn names a pool.
func requestIn(id, from, to, pool string) ratelimit.Request {
	r := job(id, from, to)
	r.Pool = pool
	return r
}

// Whatever happens to its customers while a sender moves, the new pool counts
// each of them at least as long as the sender does.
func TestNobodyIsLostInAMove(t *testing.T) {
	t.Parallel()
	opts := ratelimit.Options{Window: time.Hour, DefaultLimit: ratelimit.Unlimited, DefaultMPS: 1e6, PairSpacing: -1}
	onEach(t, opts, func(t *testing.T, b *bench) {
		const few = 300 // one step and a bit
		rapid.Check(t, func(rt *rapid.T) {
			b.reset(t)
			b.countMany(t, few)
			n := 0
			again := func(i int) ratelimit.Request {
				n++
				return requestIn(fmt.Sprint("again", n), sender, customer(i), "new")
			}
			some := rapid.IntRange(0, few-1)
			var late []ratelimit.Request
			for b.pool(t, "new").Closed || n < 4 {
				b.clock.advance(time.Millisecond)
				i := some.Draw(rt, "customer")
				switch rapid.IntRange(0, 3).Draw(rt, "event") {
				case 0: // one step on
					b.reserve(t, again(few+n))
				case 1: // one that may or may not be in yet
					r := again(i)
					if b.admit(t, r).Outcome == ratelimit.OutcomeGo {
						late = append(late, r)
					}
				case 2: // its first message fails
					b.apply(t, ratelimit.Change{Kind: ratelimit.Failed, Job: fmt.Sprint("sent", i), Attempt: 1})
				case 3: // so does a later one, and the earlier place counts again
					if len(late) > 0 {
						r := late[len(late)-1]
						require.NoError(t, b.GiveBack(t.Context(), r.Job, 1, r.Token))
					}
				}
			}
			own, err := b.rdb.ZRangeWithScores(t.Context(), "{sluice}:window:sender:"+sender, 0, -1).Result()
			require.NoError(t, err)
			for _, z := range own {
				score, err := b.rdb.ZScore(t.Context(), "{sluice}:window:pool:new", z.Member.(string)).Result()
				require.NoError(t, err, "%s is not in the new pool", z.Member)
				require.GreaterOrEqual(t, score, z.Score, "%s", z.Member)
			}
		})
	})
}
