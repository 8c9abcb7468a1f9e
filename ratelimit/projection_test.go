package ratelimit_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/ratelimit"
)

// intent is a grant of r as the log tells it.
func intent(r ratelimit.Request, at time.Time, counted bool) ratelimit.Change {
	return ratelimit.Change{
		Kind: ratelimit.Intent, Job: r.Job, Attempt: r.Attempt, At: at, Token: r.Token, Digest: r.Digest,
		Sender: r.Sender, Pool: r.Pool, Customer: r.Customer, Counted: counted,
	}
}

func TestApplyIsFenced(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		ctx := t.Context()
		position := func() uint64 {
			p, err := b.Position(ctx)
			require.NoError(t, err)
			return p
		}
		change := []ratelimit.Change{intent(job("j", sender, "+1"), startAt, true)}
		require.Zero(t, position())
		require.ErrorIs(t, b.Apply(ctx, 1, 2, change), ratelimit.ErrFenced)
		require.Zero(t, b.used(t))
		require.NoError(t, b.Apply(ctx, 0, 1<<60+1, change))
		require.Equal(t, uint64(1<<60+1), position(), "sequences are not Lua numbers")
		require.Equal(t, 1, b.used(t))
		require.ErrorIs(t, b.Apply(ctx, 0, 1, nil), ratelimit.ErrFenced)
		require.NoError(t, b.Close(ctx), "applies while closed")
		require.NoError(t, b.Apply(ctx, 1<<60+1, 1<<60+2, nil))
		require.Error(t, b.Apply(ctx, 1<<60+2, 1, nil))
		require.Error(t, b.Apply(ctx, 1<<60+2, 1<<60+3, make([]ratelimit.Change, ratelimit.MaxChanges+1)))
		require.Error(t, b.Apply(ctx, 1<<60+2, 1<<60+3, []ratelimit.Change{{Kind: "?"}}))
		require.Equal(t, uint64(1<<60+2), position())
	})
}

// What the admission has done itself changes nothing when the log tells it, nor
// does a batch that is told twice.
func TestApplyIsIdempotent(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		v := b.goes(t, job("j", sender, "+1"))
		state := b.dump(t)
		b.apply(t, intent(job("j", sender, "+1"), v.At, true))
		require.Equal(t, without(state), without(b.dump(t)))

		b.goes(t, job("k", sender, "+1"))
		b.clock.advance(time.Minute)
		batch := []ratelimit.Change{
			intent(job("new", sender, "+2"), startAt, true),
			intent(job("free", sender, "+3"), startAt, false),
			{Kind: ratelimit.Progress, Job: "j", Attempt: 1, At: b.clock.Now(), SID: "SM1", Status: "queued"},
			{Kind: ratelimit.Failed, Job: "k", Attempt: 1, Token: "token of k"},
			{Kind: ratelimit.Failed, Job: "j", Attempt: 1, Token: "not its token"},
			{Kind: ratelimit.Progress, Job: "unknown", Attempt: 1, At: startAt, Status: "sent"},
			{Kind: ratelimit.Progress, Job: "new", Attempt: 1, At: b.clock.Now(), Status: "delivered"},
			{Kind: ratelimit.Ended, Job: "k", Attempt: 1, At: startAt, Status: "failed"},
			{Kind: ratelimit.Inbound, Sender: sender, Customer: "+4", At: startAt},
			{Kind: ratelimit.Inbound, Sender: sender, Customer: "+4", At: startAt.Add(-time.Hour)},
			{Kind: ratelimit.Consent, Sender: sender, Customer: "+4", At: startAt, Status: "out"},
		}
		b.apply(t, batch...)
		require.Equal(t, 2, b.used(t))
		state = b.dump(t)
		b.apply(t, batch...)
		require.Equal(t, without(state), without(b.dump(t)))
	})
}

// without takes the position away.
func without(state map[string]any) map[string]any {
	delete(state, "{sluice}:pos")
	return state
}

// A gate rebuilt from the log gives the verdicts that the lost one would have.
func TestRefillEqualsWhatWasLost(t *testing.T) {
	t.Parallel()
	opts := ratelimit.Options{DefaultLimit: 6, Window: time.Hour, ServiceWindow: time.Hour}
	onEach(t, opts, func(t *testing.T, b *bench) {
		var log []ratelimit.Change
		note := func(c ratelimit.Change) { log = append(log, c); b.apply(t, c) }
		for i := range 6 {
			r := job(fmt.Sprint("j", i), sender, customer(i%5))
			v := b.goes(t, r)
			note(intent(r, v.At, v.Counted))
			b.clock.advance(5 * time.Minute)
		}
		note(ratelimit.Change{Kind: ratelimit.Progress, Job: "j1", Attempt: 1, At: b.clock.Now(), Status: "delivered", SID: "SM1"})
		note(ratelimit.Change{Kind: ratelimit.Failed, Job: "j2", Attempt: 1})
		note(ratelimit.Change{Kind: ratelimit.Failed, Job: "j5", Attempt: 1})
		note(ratelimit.Change{Kind: ratelimit.Inbound, Sender: sender, Customer: "+in", At: b.clock.Now()})
		free := job("free", sender, "+in")
		v := b.goes(t, free)
		require.False(t, v.Counted)
		note(intent(free, v.At, v.Counted))
		note(ratelimit.Change{Kind: ratelimit.Ended, Job: "j2", Attempt: 1, At: b.clock.Now(), Status: "failed"})
		note(ratelimit.Change{Kind: ratelimit.Consent, Sender: sender, Customer: "+out", At: b.clock.Now(), Status: "out"})
		before := b.dump(t)

		require.NoError(t, b.rdb.FlushDB(t.Context()).Err())
		require.Equal(t, ratelimit.OutcomeClosed, b.admit(t, job("x", sender, "+9")).Outcome)
		require.NoError(t, b.Apply(t.Context(), 0, uint64(len(log)), log))
		b.open(t)
		after := b.dump(t)
		// The rate and the pace are not in the log; nothing was sent while they
		// were lost.
		for _, booked := range []string{"rate", "sent"} {
			delete(before["{sluice}:sender:"+sender].(map[string]string), booked)
		}
		for key := range before {
			if strings.HasPrefix(key, "{sluice}:pair:") {
				delete(before, key)
			}
		}
		delete(before, "{sluice}:waiting:pool")
		require.Equal(t, before, after)
	})
}

func TestIntentOfAnotherTokenCounts(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{Window: time.Hour, Margin: time.Minute}, func(t *testing.T, b *bench) {
		r := job("j", sender, "+1")
		b.goes(t, r)
		b.clock.advance(time.Second)
		r.Token = "another"
		b.apply(t, intent(r, b.clock.Now(), true))
		require.Equal(t, b.clock.Now().Add(61*time.Minute), b.pool(t, "pool").NextFreeAt)
		require.Equal(t, ratelimit.OutcomeGo, b.admit(t, job("j", sender, "+1")).Outcome, "the first grant stands")
	})
}

// The log's word on who owns an id stands above a claim made while the gate was
// being refilled.
func TestIntentOwnsTheID(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		b.claim(t, "j", "new content", sender)
		b.apply(t, intent(job("j", sender, "+1"), startAt, true))
		_, err := b.Claim(t.Context(), "j", "new content", sender, time.Time{})
		require.ErrorIs(t, err, ratelimit.ErrConflict)
		require.True(t, b.claim(t, "j", "digest of j", sender))
	})
}

// Whatever order attempts are told in, the latest one is known.
func TestIntentsOutOfOrder(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		first := job("j", sender, "+1")
		third := next(next(first))
		b.apply(t, intent(third, startAt, true), intent(first, startAt, true))
		v := b.admit(t, next(first))
		require.Equal(t, ratelimit.OutcomePrior, v.Outcome)
		require.True(t, v.Settled)
		b.apply(t, ratelimit.Change{Kind: ratelimit.Ended, Job: "j", Attempt: 1, At: startAt, Status: "failed"})
		require.Equal(t, time.Duration(-1), b.ttl(t, "j"), "the third attempt lives")
	})
}

func TestIntentTakesTheReservationOver(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		r := job("j", sender, "+1")
		b.reserve(t, r)
		b.clock.advance(time.Second)
		b.apply(t, intent(r, b.clock.Now(), true))
		require.Equal(t, 1, b.used(t))
		require.NoError(t, b.GiveBack(t.Context(), "j", 1, r.Token))
		require.Zero(t, b.used(t))
	})
}

// A send older than the window is known, to stop its late copies, and counts
// nowhere, until proof of a later delivery comes.
func TestOldIntent(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		b.apply(t, intent(job("j", sender, "+1"), startAt.Add(-48*time.Hour), true))
		require.Zero(t, b.used(t))
		r := job("j", sender, "+1")
		r.Token = "another"
		require.Equal(t, ratelimit.OutcomePrior, b.admit(t, r).Outcome)
		b.apply(t, ratelimit.Change{Kind: ratelimit.Progress, Job: "j", Attempt: 1, At: startAt.Add(-time.Hour), Status: "delivered"})
		require.Equal(t, 1, b.used(t))
	})
}

func TestEnded(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{Retention: time.Hour}, func(t *testing.T, b *bench) {
		ends := func(id string, attempt int, ago time.Duration) {
			b.apply(t, ratelimit.Change{Kind: ratelimit.Ended, Job: id, Attempt: attempt, At: startAt.Add(-ago), Status: "failed"})
		}
		r := job("j", sender, "+1")
		b.goes(t, r)
		require.Equal(t, time.Duration(-1), b.ttl(t, "j"))
		ends("j", 1, 20*time.Minute)
		require.InDelta(t, 40*time.Minute, b.ttl(t, "j"), float64(time.Minute))
		require.Equal(t, 1, b.used(t), "an end gives nothing back")

		b.goes(t, next(r))
		require.Equal(t, time.Duration(-1), b.ttl(t, "j"), "redriven")
		ends("j", 1, 0) // told late
		require.Equal(t, time.Duration(-1), b.ttl(t, "j"), "the end of an earlier attempt")
		ends("j", 2, time.Hour)
		require.Equal(t, time.Duration(-2), b.ttl(t, "j"), "forgotten: its end is older than the retention")

		// Nothing more may be told of a message that the provider has.
		sent := job("sent", sender, "+1")
		b.goes(t, sent)
		b.apply(t, ratelimit.Change{Kind: ratelimit.Progress, Job: "sent", Attempt: 1, At: startAt, Status: "unknown"})
		require.Equal(t, time.Duration(-1), b.ttl(t, "sent"), "more has to be done")
		b.apply(t, ratelimit.Change{Kind: ratelimit.Progress, Job: "sent", Attempt: 1, At: startAt, Status: "sent", SID: "SM1"})
		require.InDelta(t, time.Hour, b.ttl(t, "sent"), float64(time.Minute))
		b.apply(t, ratelimit.Change{Kind: ratelimit.Failed, Job: "sent", Attempt: 1})
		b.goes(t, next(sent))
		require.Equal(t, time.Duration(-1), b.ttl(t, "sent"), "refused for its limit after all")

		// An end of a job that the gate never saw stops late copies too.
		ends("k", 0, 0)
		require.Equal(t, ratelimit.OutcomeEnded, b.admit(t, job("k", sender, "+1")).Outcome)
		b.goes(t, next(job("k", sender, "+1")))
	})
}

func TestInboundOpensForItsTime(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{ServiceWindow: time.Hour}, func(t *testing.T, b *bench) {
		key := "{sluice}:inbound:" + sender + ":+1"
		b.apply(t, ratelimit.Change{Kind: ratelimit.Inbound, Sender: sender, Customer: "+1", At: startAt.Add(-2 * time.Hour)})
		require.Zero(t, b.rdb.Exists(t.Context(), key).Val(), "an old message leaves nothing")
		b.apply(t, ratelimit.Change{Kind: ratelimit.Inbound, Sender: sender, Customer: "+1", At: startAt.Add(-20 * time.Minute)})
		for range 2 {
			require.InDelta(t, 40*time.Minute, b.rdb.PTTL(t.Context(), key).Val(), float64(2*time.Minute))
			b.apply(t, ratelimit.Change{Kind: ratelimit.Inbound, Sender: sender, Customer: "+1", At: startAt.Add(-30 * time.Minute)})
		}
	})
}

func TestChangesAreChecked(t *testing.T) {
	t.Parallel()
	b := onMini(t, ratelimit.Options{})
	full := ratelimit.Change{
		Job: "j", Attempt: 1, At: startAt, Token: "t", Digest: "d", Sender: "s", Pool: "p", Customer: "c", Status: "out",
	}
	needs := map[ratelimit.ChangeKind][]func(*ratelimit.Change){
		ratelimit.Intent: {
			func(c *ratelimit.Change) { c.Job = "" }, func(c *ratelimit.Change) { c.Attempt = 0 },
			func(c *ratelimit.Change) { c.At = time.Time{} }, func(c *ratelimit.Change) { c.Token = "" },
			func(c *ratelimit.Change) { c.Digest = "" }, func(c *ratelimit.Change) { c.Sender = "" },
			func(c *ratelimit.Change) { c.Pool = "" }, func(c *ratelimit.Change) { c.Customer = "" },
		},
		ratelimit.Progress: {func(c *ratelimit.Change) { c.Status = "" }, func(c *ratelimit.Change) { c.Attempt = 0 }},
		ratelimit.Failed:   {func(c *ratelimit.Change) { c.Job = "" }},
		ratelimit.Ended:    {func(c *ratelimit.Change) { c.Status = "" }, func(c *ratelimit.Change) { c.Attempt = -1 }},
		ratelimit.Inbound:  {func(c *ratelimit.Change) { c.Customer = "" }},
		ratelimit.Consent:  {func(c *ratelimit.Change) { c.Status = "maybe" }},
		"gossip":           {func(*ratelimit.Change) {}},
	}
	for kind, spoils := range needs {
		for _, spoil := range spoils {
			c := full
			c.Kind = kind
			spoil(&c)
			require.Error(t, b.Apply(t.Context(), 0, 1, []ratelimit.Change{c}), "%+v", c)
		}
	}
}
