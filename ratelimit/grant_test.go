package ratelimit_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/ratelimit"
)

func TestAdmitIsIdempotentByToken(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{GrantLife: 15 * time.Second}, func(t *testing.T, b *bench) {
		b.sets(t, ratelimit.SenderPolicy{MPS: 20})
		b.goes(t, job("before", sender, "+9"))
		first := b.goes(t, job("j", sender, "+1"))
		require.Equal(t, startAt.Add(50*time.Millisecond), first.At)
		state := b.dump(t)

		b.clock.advance(15 * time.Second)
		require.Equal(t, first, b.admit(t, job("j", sender, "+1")), "the same verdict again")
		require.Equal(t, state, b.dump(t), "and nothing written")

		stranger := job("j", sender, "+1")
		stranger.Token = "another"
		v := b.admit(t, stranger)
		require.Equal(t, ratelimit.OutcomePrior, v.Outcome)
		require.Equal(t, startAt, v.At, "when the grant was given")
		require.False(t, v.Settled)
		require.Equal(t, state, b.dump(t))

		b.clock.advance(time.Microsecond)
		v = b.admit(t, job("j", sender, "+1"))
		require.Equal(t, ratelimit.OutcomePrior, v.Outcome, "a token must not send after the grant's life")
	})
}

func TestPriorTellsWhatIsKnown(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		again := func(id string) ratelimit.Verdict {
			r := job(id, sender, "+1")
			r.Token = "another"
			v := b.admit(t, r)
			require.Equal(t, ratelimit.OutcomePrior, v.Outcome)
			return v
		}
		b.goes(t, job("receipt", sender, "+1"))
		b.apply(t, ratelimit.Change{Kind: ratelimit.Progress, Job: "receipt", Attempt: 1, At: startAt, SID: "SM1", Status: "queued"})
		v := again("receipt")
		require.Equal(t, "SM1", v.SID)
		require.True(t, v.Settled)
		require.Equal(t, ratelimit.OutcomePrior, b.admit(t, job("receipt", sender, "+1")).Outcome,
			"what has a receipt has been sent: not even its own token may send again")

		b.goes(t, job("back", sender, "+1"))
		require.NoError(t, b.GiveBack(t.Context(), "back", 1, "token of back"))
		require.False(t, again("back").Settled, "the log does not know yet what became of it")
		require.Equal(t, ratelimit.OutcomePrior, b.admit(t, job("back", sender, "+1")).Outcome, "its own token may not send again")

		b.goes(t, job("end", sender, "+1"))
		b.apply(t, ratelimit.Change{Kind: ratelimit.Ended, Job: "end", Attempt: 1, At: startAt, Status: "failed"})
		require.True(t, again("end").Settled)

		b.goes(t, job("later", sender, "+1"))
		second := job("later", sender, "+1")
		second.Attempt, second.Token = 2, "second"
		b.goes(t, second)
		require.True(t, again("later").Settled, "a later attempt is known")
	})
}

// The gate's own ends repeat until the log has told them: a crash between the
// decision and its event must not swallow the event.
func TestEndRepeatsUntilTheLogTellsIt(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		r := job("j", sender, "+1")
		b.says(t, "+1", sender, ratelimit.Out)
		require.Equal(t, ratelimit.OutcomeSuppressed, b.admit(t, r).Outcome)
		b.clock.advance(time.Second)
		b.says(t, "+1", sender, ratelimit.In)
		r.Token = "another"
		v := b.admit(t, r)
		require.Equal(t, ratelimit.OutcomeSuppressed, v.Outcome, "whatever has changed since")
		require.Equal(t, ratelimit.ReasonOptedOut, v.Reason)

		status, err := b.Cancel(t.Context(), "j")
		require.NoError(t, err)
		require.Equal(t, "suppressed", status)

		b.apply(t, ratelimit.Change{Kind: ratelimit.Ended, Job: "j", Attempt: 1, At: b.clock.Now(), Status: "suppressed"})
		v = b.admit(t, r)
		require.Equal(t, ratelimit.OutcomeEnded, v.Outcome)
		require.Equal(t, "suppressed", v.Reason)

		r.Attempt = 2
		b.goes(t, r) // a redrive begins a new life
		require.Equal(t, time.Duration(-1), b.ttl(t, "j"), "and is kept while it lives")
	})
}

// 16 replicas want the last place at the same moment.
func TestOneOfManyGetsTheLastPlace(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{DefaultLimit: 3, DefaultMPS: 1e6}, func(t *testing.T, b *bench) {
		for round := range 20 {
			b.clock.advance(25 * time.Hour)
			for i := range 2 {
				b.goes(t, job(fmt.Sprint(round, "first", i), sender, customer(i)))
			}
			var wg sync.WaitGroup
			outcomes := make([]ratelimit.Verdict, 16)
			errs := make([]error, 16)
			for i := range outcomes {
				wg.Go(func() {
					r := job(fmt.Sprint(round, "racer", i), sender, customer(100+i))
					r.Priority = ratelimit.High
					outcomes[i], errs[i] = b.Admit(t.Context(), r)
				})
			}
			wg.Wait()
			won := 0
			for i, v := range outcomes {
				require.NoError(t, errs[i])
				if v.Outcome == ratelimit.OutcomeGo {
					won++
				} else {
					require.Equal(t, ratelimit.ReasonSenderLimit, v.Reason)
				}
			}
			require.Equal(t, 1, won)
			require.Equal(t, 3, b.used(t))
			require.NoError(t, b.rdb.FlushDB(t.Context()).Err())
			b.open(t)
		}
	})
}

// 16 deliveries of one job: one grant.
func TestOneOfManyGetsTheGrant(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		for round := range 20 {
			var wg sync.WaitGroup
			granted := make([]bool, 16)
			for i := range granted {
				wg.Go(func() {
					r := job(fmt.Sprint("j", round), sender, "+1")
					r.Token = fmt.Sprint("token", i)
					v, err := b.Admit(t.Context(), r)
					granted[i] = err == nil && v.Outcome == ratelimit.OutcomeGo
				})
			}
			wg.Wait()
			won := 0
			for _, g := range granted {
				if g {
					won++
				}
			}
			require.Equal(t, 1, won)
			b.clock.advance(time.Second)
		}
	})
}
