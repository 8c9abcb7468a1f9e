package ratelimit_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/ratelimit"
)

const (
	phone  = "15551230000"
	opaque = "US.abc123"
)

func (b *bench) aliases(t testing.TB, alias, customer string) {
	t.Helper()
	require.NoError(t, b.SetAlias(t.Context(), alias, customer, b.version()))
}

// Once two addresses are known to be one customer's, they take one place and
// share what the customer has said and written.
func TestTwoAddressesAreOneCustomer(t *testing.T) {
	t.Parallel()
	opts := ratelimit.Options{DefaultLimit: 2, Window: time.Hour, Margin: time.Minute, ServiceWindow: time.Hour}
	onEach(t, opts, func(t *testing.T, b *bench) {
		b.goes(t, job("a", sender, phone))
		b.clock.advance(time.Minute)
		b.goes(t, job("b", sender, opaque))
		b.parks(t, job("c", sender, "+2"), ratelimit.ReasonSenderLimit)
		require.Equal(t, 2, b.used(t))

		for range 2 {
			b.aliases(t, opaque, phone)
			require.Equal(t, 1, b.used(t))
			require.Equal(t, 1, b.pool(t, "pool").Senders[0].Used)
		}
		require.Equal(t, startAt.Add(62*time.Minute+time.Microsecond), b.pool(t, "pool").NextFreeAt, "the later place")
		b.goes(t, job("d", sender, opaque))
		b.goes(t, job("e", other, opaque))
		require.Equal(t, 1, b.used(t))

		b.writes(t, sender, opaque)
		free := job("free", sender, phone)
		free.FreeForm, free.Template = true, false
		require.True(t, b.goes(t, free).InWindow)

		b.clock.advance(time.Second)
		b.says(t, opaque, sender, ratelimit.Out)
		for i, to := range []string{phone, opaque} {
			require.Equal(t, ratelimit.OutcomeSuppressed, b.admit(t, job(fmt.Sprint("out", i), sender, to)).Outcome)
		}
		b.clock.advance(time.Second)
		b.says(t, phone, sender, ratelimit.In)
		b.goes(t, job("in", sender, opaque))
	})
}

// What was known of the other address before it was known as one is the
// customer's too.
func TestAliasBringsWhatWasKnown(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{DefaultLimit: 1, PairBurst: 1}, func(t *testing.T, b *bench) {
		b.goes(t, job("before", sender, phone))
		require.NoError(t, b.GiveBack(t.Context(), "before", 1, "token of before"))
		b.clock.advance(time.Minute)
		b.writes(t, sender, opaque)
		b.says(t, opaque, ratelimit.Everyone, ratelimit.Out)
		b.clock.advance(time.Second)
		b.says(t, phone, ratelimit.Everyone, ratelimit.In)
		b.aliases(t, opaque, phone)
		b.goes(t, job("a", sender, phone))
		require.Zero(t, b.used(t), "in the service window")
		b.parks(t, job("b", sender, opaque), ratelimit.ReasonPairRate)

		// The alias proves to be another customer's: the no that was said under it
		// goes along.
		b.aliases(t, opaque, "15559990000")
		require.Equal(t, ratelimit.OutcomeSuppressed, b.admit(t, job("c", sender, "15559990000")).Outcome)
		require.Equal(t, ratelimit.OutcomeSuppressed, b.admit(t, job("d", sender, opaque)).Outcome)
	})
}

// An attempt that fails after the merger gives back its own place at most.
func TestAliasNeverUnderCounts(t *testing.T) {
	t.Parallel()
	opts := ratelimit.Options{Window: time.Hour, Margin: time.Minute}
	fails := func(id string) ratelimit.Change {
		return ratelimit.Change{Kind: ratelimit.Failed, Job: id, Attempt: 1}
	}
	onEach(t, opts, func(t *testing.T, b *bench) {
		// Alone, the place moves with its history.
		b.goes(t, job("alone", sender, "US.alone"))
		b.aliases(t, "US.alone", "15550000001")
		require.Equal(t, 1, b.used(t))
		b.apply(t, fails("alone"))
		require.Zero(t, b.used(t))

		// Beside another one it is nobody's.
		b.goes(t, job("by phone", sender, phone))
		b.clock.advance(time.Minute)
		b.goes(t, job("by id", sender, opaque))
		b.aliases(t, opaque, phone)
		b.apply(t, fails("by id"))
		require.Equal(t, 1, b.used(t))
		b.apply(t, fails("by phone"))
		require.Equal(t, 1, b.used(t), "kept until it ages out")

		// Proof for either is proof for the customer.
		b.clock.advance(time.Minute)
		b.goes(t, job("c", sender, opaque))
		b.clock.advance(time.Minute)
		b.apply(t, ratelimit.Change{Kind: ratelimit.Progress, Job: "c", Attempt: 1, At: b.clock.Now(), Status: "sent"})
		require.Equal(t, b.clock.Now().Add(61*time.Minute), b.pool(t, "pool").NextFreeAt)
	})
}

func TestAliasesHaveNoCircles(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		b.aliases(t, "A.1", "A.2")
		b.aliases(t, "A.2", phone)
		before := b.dump(t)
		b.aliases(t, phone, "A.1")
		b.aliases(t, phone, phone)
		require.NoError(t, b.SetAlias(t.Context(), "A.1", "another", 0), "an old version")
		require.Equal(t, before, b.dump(t))
		for i, to := range []string{"A.1", "A.2", phone} {
			b.goes(t, job(fmt.Sprint(i), sender, to))
		}
		require.Equal(t, 1, b.used(t))
		require.Error(t, b.SetAlias(t.Context(), "", phone, 9))
		require.Error(t, b.SetAlias(t.Context(), opaque, "", 9))
	})
}

// An address that proves to be another customer's than was thought counts for
// both: what was sent to which of the two is no longer known.
func TestAliasThatChangesItsCustomer(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{Window: time.Hour, Margin: time.Minute}, func(t *testing.T, b *bench) {
		b.aliases(t, opaque, phone)
		b.goes(t, job("a", sender, opaque))
		b.aliases(t, opaque, "15559990000")
		require.Equal(t, 2, b.used(t))
		b.setsPool(t, ratelimit.PoolPolicy{Limit: limit(2)})
		for i, to := range []string{opaque, phone, "15559990000"} {
			b.goes(t, job(fmt.Sprint("again", i), sender, to))
		}
	})
}
