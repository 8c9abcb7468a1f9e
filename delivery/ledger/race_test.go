package ledger_test

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/delivery/ledger"
)

// interruption is a hook that lets something else happen right before the nth
// round trip that starts with a given command.
type interruption struct {
	before string
	skip   int
	do     func()
}

func (i *interruption) strike(command string) {
	if i.do == nil || command != i.before {
		return
	}
	if i.skip > 0 {
		i.skip--
		return
	}
	do := i.do
	i.do = nil // what it does makes round trips too
	do()
}

func (i *interruption) DialHook(next redis.DialHook) redis.DialHook { return next }

func (i *interruption) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		i.strike(cmd.Name())
		return next(ctx, cmd)
	}
}

func (i *interruption) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		i.strike(cmds[0].Name())
		return next(ctx, cmds)
	}
}

func TestOrphanThatComesWhileItsJobIsWritten(t *testing.T) {
	onEach(t, func(t *testing.T, rdb redis.UniversalClient) {
		l, _ := newLedger(rdb)
		rdb.AddHook(&interruption{before: "evalsha", do: func() {
			require.NoError(t, l.Apply(t.Context(), []delivery.Event{loose("SM1", delivery.EventSent, 3)}))
		}})
		require.NoError(t, l.Apply(t.Context(), []delivery.Event{withSID(happened("a", delivery.EventQueued, 1, 2), "SM1")}))
		record, _, err := l.Get(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, delivery.StatusSent, record.Status)
	})
}

func TestOrphansToldAgainKeepTheFirstTelling(t *testing.T) {
	onEach(t, func(t *testing.T, rdb redis.UniversalClient) {
		l, _ := newLedger(rdb)
		for _, second := range []int{5, 3, 8} {
			require.NoError(t, l.Apply(t.Context(), []delivery.Event{loose("SM1", delivery.EventSent, second)}))
		}
		require.NoError(t, l.Apply(t.Context(), []delivery.Event{withSID(happened("a", delivery.EventQueued, 1, 2), "SM1")}))
		record, _, err := l.Get(t.Context(), "a")
		require.NoError(t, err)
		require.Len(t, record.Timeline, 2)
		require.Equal(t, happened("", "", 0, 3).At, record.Timeline[1].At)
	})
}

func TestJobRedrivenWhileItIsTrimmed(t *testing.T) {
	for name, before := range map[string]string{"before its record is read": "hmget", "before it is removed": "evalsha"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEach(t, func(t *testing.T, rdb redis.UniversalClient) {
				l, c := newLedger(rdb)
				require.NoError(t, l.Apply(t.Context(), []delivery.Event{happened("a", delivery.EventFailed, 1, 0)}))
				c.Advance(ledger.DefaultRetention)
				// Another process, whose clock is behind and which trims nothing.
				behind, _ := newLedger(rdb)
				rdb.AddHook(&interruption{before: before, do: func() {
					require.NoError(t, behind.Apply(t.Context(), []delivery.Event{happened("a", delivery.EventRedriven, 2, 1)}))
				}})
				n, err := l.Trim(t.Context())
				require.NoError(t, err)
				require.Zero(t, n)
				require.Equal(t, []string{"a"}, listed(t, l, ledger.Query{}))
			})
		})
	}
}

func TestJobThatChangesStatusBetweenTwoReads(t *testing.T) {
	onEach(t, func(t *testing.T, rdb redis.UniversalClient) {
		l, _ := newLedger(rdb)
		require.NoError(t, l.Apply(t.Context(), []delivery.Event{happened("a", delivery.EventAccepted, 1, 0)}))
		rdb.AddHook(&interruption{before: "zrange", skip: 1, do: func() {
			require.NoError(t, l.Apply(t.Context(), []delivery.Event{happened("a", delivery.EventParked, 1, 1)}))
		}})
		either := []delivery.Status{delivery.StatusAccepted, delivery.StatusParked}
		require.Equal(t, []string{"a"}, listed(t, l, ledger.Query{Status: either}))
	})
}
