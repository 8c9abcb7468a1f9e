package ratelimit_test

import (
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
			name: "paused template without a window", outcome: ratelimit.OutcomePark, reason: ratelimit.ReasonTemplatePaused,
			ask: with(func(r *ratelimit.Request) { r.TemplatePaused = true }),
		},
		{
			name:    "paused template in a window",
			given:   func(t *testing.T, b *bench) { b.writes(t, sender, "+1") },
			outcome: ratelimit.OutcomeGo,
			ask:     with(func(r *ratelimit.Request) { r.TemplatePaused = true }),
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
