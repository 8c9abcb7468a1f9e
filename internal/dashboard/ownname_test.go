package dashboard_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestForeignNamesAreRefused: a name that somebody else made resolve to this
// machine is not answered while everything is open, and is with keys.
func TestForeignNamesAreRefused(t *testing.T) {
	t.Parallel()
	for keys, foreign := range map[string]int{"": http.StatusForbidden, "secret": http.StatusOK} {
		w := newWorld(t, keys)
		for host, want := range map[string]int{
			"localhost": 200, "LOCALHOST:8080": 200, "sluice.localhost:8080": 200, "127.0.0.1:8080": 200, "127.8.8.8": 200, "[::1]:8080": 200,
			"evil.example": foreign, "evil.example:8080": foreign, "localhost.evil.example": foreign, "127.0.0.1.evil.example": foreign, "10.0.0.1:8080": foreign,
		} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.server.URL+"/v1/backlog", nil)
			require.NoError(t, err)
			req.Host = host
			req.Header.Set("Authorization", "Bearer secret")
			res, err := w.server.Client().Do(req)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			require.Equal(t, want, res.StatusCode, "keys %q, host %s", keys, host)
		}
	}
}
