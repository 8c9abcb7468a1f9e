package ratelimit_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/redistest"
	"github.com/sluicehq/sluice/ratelimit"
)

// A failover closes the gate, whatever the new primary has or has not; refilled
// from the log, it opens and no limit is exceeded.
func TestFailoverClosesTheGateUntilItIsRefilled(t *testing.T) {
	t.Parallel()
	w, client := engines.Watched(t)
	ctx := t.Context()
	b := newBenchOn(t, client, w.Replica.Client(0), ratelimit.Options{DefaultLimit: 5}, true)
	var log []ratelimit.Change
	sends := func(i int) {
		r := job(fmt.Sprint("job", i), sender, customer(i))
		v := b.goes(t, r)
		log = append(log, intent(r, v.At, true))
	}
	for i := range 3 {
		sends(i)
	}
	require.NoError(t, b.Apply(ctx, 0, 2, log[:2]))
	require.NoError(t, client.Wait(ctx, 1, 0).Err())
	for i := 3; i < 5; i++ {
		sends(i) // these may never reach the replica
	}
	w.Primary.Kill()

	fresh := job("fresh", sender, "+fresh")
	redistest.Until(t, func() bool {
		v, err := b.Admit(ctx, fresh)
		require.False(t, err == nil && v.Outcome != ratelimit.OutcomeClosed, "%+v", v)
		return err == nil
	})
	current, opened, err := b.Epoch(ctx)
	require.NoError(t, err)
	require.NotEqual(t, current, opened)

	position, err := b.Position(ctx)
	require.NoError(t, err)
	require.Equal(t, uint64(2), position)
	require.NoError(t, b.Apply(ctx, position, uint64(len(log)), log[position:]))
	b.open(t)
	require.Equal(t, 5, b.used(t))
	b.parks(t, fresh, ratelimit.ReasonSenderLimit)
	for i := range 5 {
		late := job(fmt.Sprint("job", i), sender, customer(i))
		late.Token = "the redelivery"
		require.Equal(t, ratelimit.OutcomePrior, b.admit(t, late).Outcome)
	}
}
