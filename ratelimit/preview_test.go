package ratelimit_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/ratelimit"
)

func TestPreviewSortsCustomers(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{DefaultLimit: 3}, func(t *testing.T, b *bench) {
		b.goes(t, job("a", "alpha", "known"))
		b.goes(t, job("b", "beta", "of beta"))
		b.apply(t, ratelimit.Change{Kind: ratelimit.Inbound, Sender: "alpha", Customer: "wrote", At: b.clock.Now()})
		require.NoError(t, b.SetConsent(t.Context(), "gone", "*", ratelimit.Out, b.clock.Now(), b.versions.Add(1)))

		p, err := b.Preview(t.Context(), "alpha", "pool", []string{"known", "of beta", "wrote", "gone", "new"})
		require.NoError(t, err)
		require.Equal(t, []int{1, 1, 1, 2}, []int{p.OptedOut, p.InWindow, p.Known, p.New})
		require.Equal(t, []int{3, 2, 1, 3, 1, 2}, []int{p.Pool.Limit, p.Pool.Used, p.Pool.Free, p.Sender.Limit, p.Sender.Used, p.Sender.Free})
		require.Equal(t, "pool", p.Pool.Pool)
		require.InDelta(t, 80, p.Sender.MPS, 0)

		require.NoError(t, b.SetSender(t.Context(), "alpha", ratelimit.SenderPolicy{Pool: "pool", RequireOptIn: true}, b.versions.Add(1)))
		p, err = b.Preview(t.Context(), "alpha", "pool", []string{"known", "new"})
		require.NoError(t, err)
		require.Equal(t, 2, p.OptedOut)
	})
}

// TestPreviewOfASenderThatNeverSent: its first job would make it a member.
func TestPreviewOfASenderThatNeverSent(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{DefaultLimit: 250}, func(t *testing.T, b *bench) {
		var many []string
		for i := range 2*ratelimit.MaxPreview + 1 {
			many = append(many, fmt.Sprint("c", i))
		}
		p, err := b.Preview(t.Context(), "alpha", "pool", many)
		require.NoError(t, err)
		require.Equal(t, len(many), p.New)
		require.Equal(t, []int{250, 250}, []int{p.Pool.Limit, p.Pool.Free})
		require.NoError(t, b.SetPause(t.Context(), true, "", b.versions.Add(1)))
		require.NoError(t, b.Trip(t.Context(), "alpha", "fault", b.clock.Now().Add(time.Minute)))
		p, err = b.Preview(t.Context(), "alpha", "pool", nil)
		require.NoError(t, err)
		require.True(t, p.Pool.Paused)
		require.True(t, p.Sender.Paused)
		require.Equal(t, b.clock.Now().Add(time.Minute), p.Sender.TrippedUntil)
		pools, err := b.Pools(t.Context())
		require.NoError(t, err)
		require.Empty(t, pools, "looking wrote something")
	})
}

func TestReturnsOfAWindow(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{DefaultLimit: ratelimit.Unlimited, Window: time.Hour, Margin: time.Second}, func(t *testing.T, b *bench) {
		b.goes(t, job("old", "alpha", "old"))
		b.clock.advance(30 * time.Minute)
		var want []ratelimit.Return
		for i := range 5 {
			v := b.goes(t, job(fmt.Sprint("j", i), "alpha", fmt.Sprint("c", i)))
			want = append(want, ratelimit.Return{At: v.Now.Add(time.Hour + time.Second), Places: 1})
			b.clock.advance(time.Minute)
		}
		b.clock.advance(27 * time.Minute) // the old one has come back
		for _, sender := range []string{"alpha", ""} {
			got, err := b.Returns(t.Context(), "pool", sender, 9)
			require.NoError(t, err)
			require.Equal(t, want, got)
			got, err = b.Returns(t.Context(), "pool", sender, 2)
			require.NoError(t, err)
			require.Equal(t, want[:2], got)
		}
		none, err := b.Returns(t.Context(), "pool", "nobody", 0)
		require.NoError(t, err)
		require.Empty(t, none)
	})
}

// TestReturnsInPortions: a big window is told in portions, none of them early. The
// embedded server sorts a window for each of them; it gets a small one.
func TestReturnsInPortions(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{DefaultLimit: ratelimit.Unlimited, Window: time.Hour, Margin: time.Second}, func(t *testing.T, b *bench) {
		places, told := 4500, 1500
		if !b.real {
			places, told = 600, 600
		}
		begin := b.clock.Now()
		var changes []ratelimit.Change
		for i := range places {
			changes = append(changes, ratelimit.Change{
				Kind: ratelimit.Intent, Job: fmt.Sprint("j", i), Attempt: 1, At: begin.Add(time.Duration(i-places) * time.Millisecond),
				Token: "t", Digest: "d", Sender: "alpha", Pool: "pool", Customer: fmt.Sprint("c", i), Counted: true,
			})
			if len(changes) == 100 || i == places-1 { // few: the embedded server takes its time over a script
				b.apply(t, changes...)
				changes = nil
			}
		}
		got, err := b.Returns(t.Context(), "pool", "", places)
		require.NoError(t, err)
		require.Len(t, got, told)
		sum := 0
		for _, r := range got {
			sum += r.Places
			last := begin.Add(time.Duration(sum-1-places) * time.Millisecond)
			require.Equal(t, last.Add(time.Hour+time.Second), r.At)
		}
		require.Equal(t, places, sum)
	})
}
