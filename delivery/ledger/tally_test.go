package ledger_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/delivery/ledger"
)

func TestTallyFollowsAJobThroughItsErrors(t *testing.T) {
	onEach(t, func(t *testing.T, rdb redis.UniversalClient) {
		const service = "MG0123456789abcdef0123456789abcdef"
		l, c := newLedger(rdb)
		tell := func(kind delivery.EventType, attempt, second, code int) {
			e := happened("a", kind, attempt, second)
			e.From = service
			if code != 0 {
				e.Error = &delivery.Error{Code: code}
			}
			require.NoError(t, l.Apply(t.Context(), []delivery.Event{e}))
		}
		states := func(r ledger.Range) string {
			tally, err := l.Tally(t.Context(), r)
			require.NoError(t, err)
			return fmt.Sprint(tally.States, tally.Errors)
		}
		tell(delivery.EventParked, 1, 0, 0)
		require.Equal(t, "map[parked:1] map[]", states(ledger.Range{From: service}))
		tell(delivery.EventParked, 2, 1, 63018)
		require.Equal(t, "map[parked:1] map[63018:1]", states(ledger.Range{From: service}))
		tell(delivery.EventFailed, 2, 2, 63016)
		require.Equal(t, "map[failed:1] map[63016:1]", states(ledger.Range{From: service}))
		require.Equal(t, "map[failed:1] map[63016:1]", states(ledger.Range{}))
		require.Equal(t, "map[] map[]", states(ledger.Range{From: sender}))
		require.Equal(t, "map[failed:1] map[63016:1]", states(ledger.Range{Since: start, Until: start.Add(time.Microsecond)}))
		require.Equal(t, "map[] map[]", states(ledger.Range{Since: start.Add(time.Microsecond)}))
		require.Equal(t, "map[] map[]", states(ledger.Range{Until: start}))

		c.Advance(ledger.DefaultRetention)
		n, err := l.Trim(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Empty(t, dump(t, rdb), "no index and no code is left")
	})
}

func TestSeriesOfMoreStepsThanOneRoundTripAsks(t *testing.T) {
	onEach(t, func(t *testing.T, rdb redis.UniversalClient) {
		l, _ := newLedger(rdb)
		population(t, l) // a job of each of five states in every step but its end
		bounds := []time.Time{start}
		for i := range 300 {
			bounds = append(bounds, start.Add(time.Duration(i+1)*time.Second/2))
		}
		series, err := l.Series(t.Context(), "", bounds)
		require.NoError(t, err)
		require.Len(t, series, 300)
		total := int64(0)
		for i, states := range series {
			require.Equal(t, i < 200 && i%2 == 0, len(states) == 5, "step %d: %v", i, states)
			for _, n := range states {
				total += n
			}
		}
		require.EqualValues(t, 1000, total)
		none, err := l.Series(t.Context(), "", bounds[:1])
		require.NoError(t, err)
		require.Empty(t, none)
	})
}

// checkTallies compares the counts of several ranges, and of their steps, with
// a walk over the records.
func checkTallies(rt *rapid.T, l *ledger.Ledger, want map[string]delivery.Record) {
	ctx := context.Background()
	at := func(second int) time.Time { return start.Add(time.Duration(second) * time.Second) }
	for _, from := range []string{"", sender, otherSender, "whatsapp:+15559999999"} {
		for _, r := range []ledger.Range{{}, {Since: at(3)}, {Until: at(3)}, {Since: at(3), Until: at(7)}, {Since: at(3), Until: at(3)}} {
			r.From = from
			got, err := l.Tally(ctx, r)
			require.NoError(rt, err)
			require.Equal(rt, tallied(want, r), got, "%v", r)
		}
		bounds := []time.Time{at(1), at(4), at(5), at(9)}
		series, err := l.Series(ctx, from, bounds)
		require.NoError(rt, err)
		require.Len(rt, series, 3)
		for i, got := range series {
			require.Equal(rt, tallied(want, ledger.Range{From: from, Since: bounds[i], Until: bounds[i+1]}).States, got)
		}
	}
}

func tallied(records map[string]delivery.Record, r ledger.Range) ledger.Tally {
	t := ledger.Tally{States: map[delivery.Status]int64{}, Categories: map[delivery.Category]int64{}, Errors: map[int]int64{}}
	for _, record := range records {
		if (r.From == "" || r.From == record.From) && !record.CreatedAt.Before(r.Since) &&
			(r.Until.IsZero() || record.CreatedAt.Before(r.Until)) {
			t.States[record.Status]++
			if record.Category != "" {
				t.Categories[record.Category]++
			}
			if record.Error != nil {
				t.Errors[record.Error.Code]++
			}
		}
	}
	return t
}
