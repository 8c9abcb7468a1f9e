package ratelimit_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/ratelimit"
)

const (
	sender = "15550001111"
	other  = "15550002222"
)

// Every outcome and every reason, each from a gate that is open and empty.
func TestAdmitOutcomes(t *testing.T) {
	t.Parallel()
	base := job("j", sender, "+1")
	with := func(change func(*ratelimit.Request)) ratelimit.Request {
		r := base
		change(&r)
		return r
	}
	cases := []struct {
		name    string
		given   func(t *testing.T, b *bench)
		ask     ratelimit.Request
		outcome ratelimit.Outcome
		reason  string
	}{
		{name: "go", ask: base, outcome: ratelimit.OutcomeGo},
		{
			name:  "closed",
			given: func(t *testing.T, b *bench) { require.NoError(t, b.Close(t.Context())) },
			ask:   base, outcome: ratelimit.OutcomeClosed,
		},
		{
			name:  "conflict by content",
			given: func(t *testing.T, b *bench) { b.claim(t, "j", "another digest", sender) },
			ask:   base, outcome: ratelimit.OutcomeConflict,
		},
		{
			name:  "conflict by sender",
			given: func(t *testing.T, b *bench) { b.claim(t, "j", base.Digest, other) },
			ask:   base, outcome: ratelimit.OutcomeConflict,
		},
		{
			name: "prior",
			given: func(t *testing.T, b *bench) {
				b.goes(t, with(func(r *ratelimit.Request) { r.Token = "another" }))
			},
			ask: base, outcome: ratelimit.OutcomePrior,
		},
		{
			name: "ended",
			given: func(t *testing.T, b *bench) {
				b.apply(t, ratelimit.Change{Kind: ratelimit.Ended, Job: "j", Attempt: 1, At: startAt, Status: "rejected"})
			},
			ask: base, outcome: ratelimit.OutcomeEnded, reason: "rejected",
		},
		{
			name: "canceled",
			given: func(t *testing.T, b *bench) {
				_, err := b.Cancel(t.Context(), "j")
				require.NoError(t, err)
			},
			ask: base, outcome: ratelimit.OutcomeCanceled,
		},
		{
			name: "expired", outcome: ratelimit.OutcomeExpired,
			ask: with(func(r *ratelimit.Request) { r.ExpiresAt = startAt }),
		},
		{
			name: "not expired yet", outcome: ratelimit.OutcomeGo,
			ask: with(func(r *ratelimit.Request) { r.ExpiresAt = startAt.Add(time.Microsecond) }),
		},
		{
			name:  "opted out of the sender",
			given: func(t *testing.T, b *bench) { b.says(t, "+1", sender, ratelimit.Out) },
			ask:   base, outcome: ratelimit.OutcomeSuppressed, reason: ratelimit.ReasonOptedOut,
		},
		{
			name:  "opted out of all",
			given: func(t *testing.T, b *bench) { b.says(t, "+1", ratelimit.Everyone, ratelimit.Out) },
			ask:   base, outcome: ratelimit.OutcomeSuppressed, reason: ratelimit.ReasonOptedOut,
		},
		{
			name:  "opted out of another sender",
			given: func(t *testing.T, b *bench) { b.says(t, "+1", other, ratelimit.Out) },
			ask:   base, outcome: ratelimit.OutcomeGo,
		},
		{
			name:  "not opted in",
			given: func(t *testing.T, b *bench) { b.sets(t, ratelimit.SenderPolicy{RequireOptIn: true}) },
			ask:   base, outcome: ratelimit.OutcomeSuppressed, reason: ratelimit.ReasonOptIn,
		},
		{
			name: "opted in",
			given: func(t *testing.T, b *bench) {
				b.sets(t, ratelimit.SenderPolicy{RequireOptIn: true})
				b.says(t, "+1", ratelimit.Everyone, ratelimit.In)
			},
			ask: base, outcome: ratelimit.OutcomeGo,
		},
		{
			name: "free form without a window", outcome: ratelimit.OutcomeNoWindow,
			ask: with(func(r *ratelimit.Request) { r.FreeForm, r.Template = true, false }),
		},
		{
			name:    "free form in a window",
			given:   func(t *testing.T, b *bench) { b.writes(t, sender, "+1") },
			outcome: ratelimit.OutcomeGo,
			ask:     with(func(r *ratelimit.Request) { r.FreeForm, r.Template = true, false }),
		},
		{
			name: "everything paused",
			given: func(t *testing.T, b *bench) {
				require.NoError(t, b.SetPause(t.Context(), true, "by hand", 1))
			},
			ask: base, outcome: ratelimit.OutcomePark, reason: ratelimit.ReasonPaused,
		},
		{
			name:  "sender paused",
			given: func(t *testing.T, b *bench) { b.sets(t, ratelimit.SenderPolicy{Paused: true}) },
			ask:   base, outcome: ratelimit.OutcomePark, reason: ratelimit.ReasonSenderPaused,
		},
		{
			name: "sender tripped",
			given: func(t *testing.T, b *bench) {
				require.NoError(t, b.Trip(t.Context(), sender, "401", startAt.Add(time.Minute)))
			},
			ask: base, outcome: ratelimit.OutcomePark, reason: ratelimit.ReasonSenderPaused,
		},
		{
			name:  "pool paused",
			given: func(t *testing.T, b *bench) { b.setsPool(t, ratelimit.PoolPolicy{Paused: true}) },
			ask:   base, outcome: ratelimit.OutcomePark, reason: ratelimit.ReasonPoolPaused,
		},
		{
			name:  "pool closed",
			given: func(t *testing.T, b *bench) { b.setsPool(t, ratelimit.PoolPolicy{Closed: true}) },
			ask:   base, outcome: ratelimit.OutcomePark, reason: ratelimit.ReasonPoolClosed,
		},
		{
			name:  "sender full",
			given: func(t *testing.T, b *bench) { b.sets(t, ratelimit.SenderPolicy{Limit: limit(0)}) },
			ask:   base, outcome: ratelimit.OutcomePark, reason: ratelimit.ReasonSenderLimit,
		},
		{
			name:  "pool full",
			given: func(t *testing.T, b *bench) { b.setsPool(t, ratelimit.PoolPolicy{Limit: limit(0)}) },
			ask:   base, outcome: ratelimit.OutcomePark, reason: ratelimit.ReasonPoolLimit,
		},
		{
			name: "pool reserved for high",
			given: func(t *testing.T, b *bench) {
				b.setsPool(t, ratelimit.PoolPolicy{Limit: limit(3), Reserve: 1})
			},
			ask: base, outcome: ratelimit.OutcomePark, reason: ratelimit.ReasonPoolLimit,
		},
		{
			name: "others wait",
			given: func(t *testing.T, b *bench) {
				b.setsPool(t, ratelimit.PoolPolicy{Paused: true})
				b.parks(t, job("before", sender, "+9"), ratelimit.ReasonPoolPaused)
				b.setsPool(t, ratelimit.PoolPolicy{})
			},
			ask: base, outcome: ratelimit.OutcomePark, reason: ratelimit.ReasonWaiting,
		},
		{
			name: "rate used up",
			given: func(t *testing.T, b *bench) {
				b.sets(t, ratelimit.SenderPolicy{MPS: 1})
				b.goes(t, job("before", sender, "+9"))
			},
			ask: base, outcome: ratelimit.OutcomePark, reason: ratelimit.ReasonRate,
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
				if c.given != nil {
					c.given(t, b)
				}
				v := b.admit(t, c.ask)
				require.Equal(t, c.outcome, v.Outcome, "%+v", v)
				require.Equal(t, c.reason, v.Reason)
				require.Equal(t, startAt, v.Now)
			})
		})
	}
}

// The order of the checks: each one hides all that come after it.
func TestAdmitOrder(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		// Everything is wrong at once; then it is put right from the first on.
		r := job("j", sender, "+1")
		r.FreeForm, r.Template, r.ExpiresAt = true, false, startAt
		b.setsPool(t, ratelimit.PoolPolicy{Limit: limit(0), Paused: true, Closed: true})
		b.sets(t, ratelimit.SenderPolicy{Limit: limit(0), Paused: true, RequireOptIn: true})
		require.NoError(t, b.SetPause(t.Context(), true, "", 1))
		b.says(t, "+1", sender, ratelimit.Out)
		require.NoError(t, b.Close(t.Context()))
		b.claim(t, "j", "another", sender)
		expect := func(outcome ratelimit.Outcome, reason string) {
			t.Helper()
			v := b.reserve(t, r)
			require.Equal(t, outcome, v.Outcome)
			require.Equal(t, reason, v.Reason)
		}

		expect(ratelimit.OutcomeClosed, "")
		b.open(t)
		expect(ratelimit.OutcomeConflict, "")
		r.Job = "k"
		_, err := b.Cancel(t.Context(), "k")
		require.NoError(t, err)
		expect(ratelimit.OutcomeCanceled, "")
		r.Job = "l"
		expect(ratelimit.OutcomeExpired, "")
		r.ExpiresAt = time.Time{}
		expect(ratelimit.OutcomeSuppressed, ratelimit.ReasonOptedOut)
		b.clock.advance(time.Second)
		b.says(t, "+1", sender, ratelimit.In)
		expect(ratelimit.OutcomeNoWindow, "")
		r.Template = true
		expect(ratelimit.OutcomePark, ratelimit.ReasonPaused)
		require.NoError(t, b.SetPause(t.Context(), false, "", 2))
		expect(ratelimit.OutcomePark, ratelimit.ReasonSenderPaused)
		b.sets(t, ratelimit.SenderPolicy{Limit: limit(0)})
		expect(ratelimit.OutcomePark, ratelimit.ReasonPoolPaused)
		b.setsPool(t, ratelimit.PoolPolicy{Limit: limit(0), Closed: true})
		expect(ratelimit.OutcomePark, ratelimit.ReasonPoolClosed)
		b.setsPool(t, ratelimit.PoolPolicy{Limit: limit(0)})
		expect(ratelimit.OutcomePark, ratelimit.ReasonSenderLimit)
		b.sets(t, ratelimit.SenderPolicy{})
		expect(ratelimit.OutcomePark, ratelimit.ReasonPoolLimit)
		b.setsPool(t, ratelimit.PoolPolicy{})
		expect(ratelimit.OutcomeGo, "")
	})
}

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

func TestClaim(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{Retention: time.Hour}, func(t *testing.T, b *bench) {
		require.NoError(t, b.Close(t.Context()), "claims work while the gate is closed")
		require.False(t, b.claim(t, "j", "d", sender))
		require.True(t, b.claim(t, "j", "d", sender))
		require.InDelta(t, time.Hour, b.ttl(t, "j"), float64(time.Minute))
		for _, c := range [][2]string{{"other", sender}, {"d", other}} {
			_, err := b.Claim(t.Context(), "j", c[0], c[1])
			require.ErrorIs(t, err, ratelimit.ErrConflict)
		}

		b.open(t)
		r := job("j", sender, "+1")
		r.Digest = "d"
		b.setsPool(t, ratelimit.PoolPolicy{Paused: true})
		b.parks(t, r, ratelimit.ReasonPoolPaused)
		require.Equal(t, time.Duration(-1), b.ttl(t, "j"), "a job that waits is kept")
	})
}

func TestCancel(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{DefaultLimit: 1}, func(t *testing.T, b *bench) {
		b.goes(t, job("sent", sender, "+1"))
		_, err := b.Cancel(t.Context(), "sent")
		require.ErrorIs(t, err, ratelimit.ErrGranted)
		b.goes(t, job("delivered", sender, "+1"))
		b.apply(t, ratelimit.Change{Kind: ratelimit.Progress, Job: "delivered", Attempt: 1, At: startAt, Status: "delivered"})
		_, err = b.Cancel(t.Context(), "delivered")
		require.ErrorIs(t, err, ratelimit.ErrGranted)

		require.NoError(t, b.GiveBack(t.Context(), "sent", 1, "token of sent"))
		status, err := b.Cancel(t.Context(), "sent")
		require.NoError(t, err, "between two attempts")
		require.Empty(t, status)
		second := job("sent", sender, "+1")
		second.Attempt = 2
		require.Equal(t, ratelimit.OutcomeCanceled, b.admit(t, second).Outcome)
		b.goes(t, next(second)) // redriven before the log has told the end
	})
}

func TestCancelOfAReservation(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{Retention: time.Hour}, func(t *testing.T, b *bench) {
		reserved := job("reserved", sender, "+2")
		require.Equal(t, ratelimit.OutcomeGo, b.reserve(t, reserved).Outcome)
		require.Equal(t, 1, b.used(t))
		_, err := b.Cancel(t.Context(), "reserved")
		require.NoError(t, err)
		require.Zero(t, b.used(t), "the reservation is given back at once")
		require.Equal(t, ratelimit.OutcomeCanceled, b.admit(t, reserved).Outcome)

		b.apply(t, ratelimit.Change{Kind: ratelimit.Ended, Job: "reserved", Attempt: 1, At: startAt, Status: "canceled"})
		status, err := b.Cancel(t.Context(), "reserved")
		require.NoError(t, err)
		require.Equal(t, "canceled", status)
		b.goes(t, next(reserved))

		// Flagged, and ended by something else: the flag goes with the end.
		_, err = b.Cancel(t.Context(), "unseen")
		require.NoError(t, err)
		require.InDelta(t, time.Hour, b.ttl(t, "unseen"), float64(time.Minute))
		b.apply(t, ratelimit.Change{Kind: ratelimit.Ended, Job: "unseen", Attempt: 1, At: startAt, Status: "expired"})
		b.goes(t, next(job("unseen", sender, "+3")))
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

func TestRequestsAreChecked(t *testing.T) {
	t.Parallel()
	b := onMini(t, ratelimit.Options{})
	for _, spoil := range []func(*ratelimit.Request){
		func(r *ratelimit.Request) { r.Job = "" },
		func(r *ratelimit.Request) { r.Digest = "" },
		func(r *ratelimit.Request) { r.Sender = "" },
		func(r *ratelimit.Request) { r.Customer = "" },
		func(r *ratelimit.Request) { r.Pool = "" },
		func(r *ratelimit.Request) { r.Token = "" },
		func(r *ratelimit.Request) { r.Attempt = 0 },
		func(r *ratelimit.Request) { r.Priority = 3 },
		func(r *ratelimit.Request) { r.Template = false },
	} {
		r := job("j", sender, "+1")
		spoil(&r)
		_, err := b.Admit(t.Context(), r)
		require.Error(t, err)
	}
}
