package ledger_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/delivery/ledger"
)

// FuzzCursor: a cursor from outside is refused or gives a page, and the pages
// after it come to an end.
func FuzzCursor(f *testing.F) {
	l, _ := newLedger(embedded(f))
	require.NoError(f, l.Apply(f.Context(), []delivery.Event{
		happened("a", delivery.EventAccepted, 1, 0),
		happened("b", delivery.EventAccepted, 1, 0),
	}))
	_, next, err := l.List(f.Context(), ledger.Query{Limit: 1})
	require.NoError(f, err)
	f.Add(next)
	f.Add("")
	f.Add("YTpi")
	f.Add("LTE6YQ")
	f.Fuzz(func(t *testing.T, cursor string) {
		q := ledger.Query{Limit: 1, Cursor: cursor}
		if _, _, err := l.List(t.Context(), q); err != nil {
			require.ErrorIs(t, err, ledger.ErrBadCursor)
			return
		}
		require.LessOrEqual(t, len(listed(t, l, q)), 2)
	})
}
