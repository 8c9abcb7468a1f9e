package ratelimit_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/ratelimit"
)

func TestAttemptIsNotSentWhenTheOneBeforeArrived(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		again := func(id string) ratelimit.Verdict {
			second := job(id, sender, "+"+id)
			second.Attempt, second.Token = 2, "second"
			return b.admit(t, second)
		}
		told := func(id string, kind ratelimit.ChangeKind, status string) {
			b.apply(t, ratelimit.Change{Kind: kind, Job: id, Attempt: 1, At: startAt, SID: "SM" + id, Status: status})
		}
		for _, id := range []string{"1", "2", "3", "4"} {
			b.goes(t, job(id, sender, "+"+id))
		}
		told("1", ratelimit.Progress, "sent")
		told("2", ratelimit.Progress, "delivered")
		told("3", ratelimit.Progress, "queued")
		told("3", ratelimit.Failed, "")

		for _, id := range []string{"1", "2"} {
			v := again(id)
			require.Equal(t, ratelimit.OutcomePrior, v.Outcome)
			require.Equal(t, ratelimit.ReasonArrived, v.Reason)
			require.Equal(t, "SM"+id, v.SID)
		}
		require.Equal(t, ratelimit.OutcomeGo, again("3").Outcome, "it failed for certain")
		require.Equal(t, ratelimit.OutcomeGo, again("4").Outcome, "nobody knows of it")
	})
}

func TestAnAttemptIsNotSentWhenAnyBeforeItArrived(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{}, func(t *testing.T, b *bench) {
		b.goes(t, job("1", sender, "+1"))
		second := job("1", sender, "+1")
		second.Attempt, second.Token = 2, "second"
		b.goes(t, second)
		b.apply(t, ratelimit.Change{Kind: ratelimit.Progress, Job: "1", Attempt: 1, At: startAt, SID: "SM1", Status: "sent"})
		third := job("1", sender, "+1")
		third.Attempt, third.Token = 3, "third"
		v := b.admit(t, third)
		require.Equal(t, ratelimit.OutcomePrior, v.Outcome)
		require.Equal(t, ratelimit.ReasonArrived, v.Reason)
		require.Equal(t, "SM1", v.SID)
	})
}
