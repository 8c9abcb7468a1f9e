package dashboard_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/dashboard"
)

// FuzzParseQuery checks that a query is refused by name or within every bound.
func FuzzParseQuery(f *testing.F) {
	for _, seed := range []string{
		"", "to=whatsapp:+491700000001&limit=5", "from=15550001111&status=sent,read&status=failed",
		"since=2026-01-31T13:00:00+01:00&until=2027-01-31T13:00:00Z&cursor=abc", "to=%zz", "a=1;b=2",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := dashboard.ParseQuery(raw)
		if err != nil {
			var field *delivery.FieldError
			require.True(t, errors.As(err, &field) || errors.Is(err, dashboard.ErrCursor))
			return
		}
		require.GreaterOrEqual(t, q.Limit, 1)
		require.LessOrEqual(t, q.Limit, dashboard.MaxPage)
		require.True(t, q.To == "" || delivery.ValidCustomer(q.To))
		require.True(t, q.From == "" || delivery.SenderToken(q.From) != "")
		for _, s := range q.Statuses {
			require.True(t, s.Valid())
		}
		if !q.Since.IsZero() && !q.Until.IsZero() {
			require.True(t, q.Until.After(q.Since))
		}
	})
}
