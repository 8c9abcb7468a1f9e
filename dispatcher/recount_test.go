package dispatcher_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/dispatcher"
)

// tally is the gate's count of one pool.
type tally struct {
	counts  [3]int64
	version int64
}

func (t *tally) Pools(context.Context) ([]string, error) { return []string{account}, nil }

func (t *tally) Waiting(context.Context, string) ([3]int64, int64, error) {
	return t.counts, t.version, nil
}

func (t *tally) SetWaiting(_ context.Context, _ string, counts [3]int64, version int64) (bool, error) {
	if version != t.version {
		return false, nil
	}
	t.counts, t.version = counts, t.version+1
	return true, nil
}

// counted is a room of which only the counts are asked.
type counted struct {
	dispatcher.Room
	parked map[string]map[delivery.Priority]int64
}

func (c counted) Counts(context.Context) (map[string]map[delivery.Priority]int64, error) {
	return c.parked, nil
}

// unpooled is a gate without registered senders.
type unpooled struct{ dispatcher.Turnstile }

func (unpooled) PoolsOf(context.Context, []string) (map[string]string, error) {
	return map[string]string{}, nil
}

func TestRecountSetsRightWhatStandsStill(t *testing.T) {
	t.Parallel()
	room := counted{parked: map[string]map[delivery.Priority]int64{
		"15550001111": {delivery.High: 1, delivery.Low: 7}, "15550002222": {delivery.Low: 2},
	}}
	gate := &tally{counts: [3]int64{0, 5, 0}}
	releaser := dispatcher.NewReleaser(room, unpooled{}, nil, dispatcher.ReleaserConfig{Account: account})
	recount := dispatcher.NewRecount(gate, releaser)

	require.NoError(t, recount.Pass(t.Context()))
	require.Equal(t, [3]int64{0, 5, 0}, gate.counts, "one look may have met a move")
	gate.version++ // a job was marked meanwhile
	require.NoError(t, recount.Pass(t.Context()))
	require.Equal(t, [3]int64{0, 5, 0}, gate.counts)
	require.NoError(t, recount.Pass(t.Context()))
	require.Equal(t, [3]int64{1, 0, 9}, gate.counts, "nothing moved between two looks")
}
