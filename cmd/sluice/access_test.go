package main_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"
)

func TestAPIKeys(t *testing.T) {
	t.Parallel()
	up := start(t, quick(t).with("SLUICE_API_KEYS", "publish:p1,read:r1,operate:o1,publish+read:pr1,all1"), "up").ready()
	job, limit := notice("order-17", alpha, 1).json(), fields{"limit": 100}.json()
	asks := []struct {
		method, path string
		body         []byte
		done         int
		may          string // keys that may
	}{
		{http.MethodPost, "/v1/jobs", job, http.StatusAccepted, "p1 pr1 all1"},
		{http.MethodGet, "/v1/jobs/order-17", nil, http.StatusOK, "r1 pr1 all1"},
		{http.MethodGet, "/v1/jobs", nil, http.StatusOK, "r1 pr1 all1"},
		{http.MethodGet, "/v1/limits", nil, http.StatusOK, "r1 pr1 all1"},
		{http.MethodPut, "/v1/senders/" + alpha, limit, http.StatusOK, "o1 all1"},
		{http.MethodPost, "/v1/pause", nil, http.StatusOK, "o1 all1"},
		{http.MethodPost, "/v1/resume", nil, http.StatusOK, "o1 all1"},
	}
	api := newSite(t, up.API)
	for _, ask := range asks {
		for _, key := range []string{"p1", "r1", "o1", "pr1", "all1", "no-key", ""} {
			api.key = key
			want := http.StatusForbidden
			switch {
			case key == "" || key == "no-key":
				want = http.StatusUnauthorized
			case strings.Contains(" "+ask.may+" ", " "+key+" "):
				want = ask.done
			}
			a := api.do(ask.method, ask.path, ask.body)
			require.Equal(t, want, a.status, "%s %s with %q: %s", ask.method, ask.path, key, a.body)
			if want >= 400 {
				code, _ := a.problem(t)
				require.Contains(t, []string{"unauthorized", "forbidden"}, code)
			}
		}
	}
}

// TestEveryOperationNeedsAKey asks whatever the running program describes of
// itself, and its pages.
func TestEveryOperationNeedsAKey(t *testing.T) {
	t.Parallel()
	up := start(t, quick(t).with("SLUICE_API_KEYS", "publish:key-of-a-producer,operate:key-of-a-hand"), "up").ready()
	api := newSite(t, up.API)
	var described struct {
		Paths map[string]map[string]any
	}
	require.NoError(t, yaml.Unmarshal(api.do(http.MethodGet, "/openapi.yaml", nil).body, &described))
	asked := 0
	for path, operations := range described.Paths {
		if path == "/openapi.yaml" {
			continue
		}
		path = strings.NewReplacer("{id}", "a", "{sender}", alpha, "{pool}", "a", "{address}", "x").Replace(path)
		for method := range operations {
			if method = strings.ToUpper(method); method == "PARAMETERS" {
				continue
			}
			asked++
			for key, want := range map[string]int{"": http.StatusUnauthorized, "nobody": http.StatusUnauthorized, "key-of-a-producer": http.StatusForbidden} {
				if key == "key-of-a-producer" && method == http.MethodPost && path == "/v1/jobs" {
					key, want = "key-of-a-hand", http.StatusForbidden // the one thing that a producer may do
				}
				api.key = key
				require.Equal(t, want, api.do(method, path, nil).status, "%s %s with %q", method, path, key)
			}
		}
	}
	require.Greater(t, asked, 20)

	api.key = ""
	api.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for _, path := range []string{"/", "/senders", "/jobs", "/jobs/a", "/trouble", "/live", "/phone/"} {
		require.Equal(t, http.StatusSeeOther, api.do(http.MethodGet, path, nil).status, "%s leads to the sign-in", path)
	}
	for _, path := range []string{"/pause", "/jobs/redrive", "/phone/"} {
		require.Equal(t, http.StatusUnauthorized, api.do(http.MethodPost, path, nil).status, path)
	}
}

// TestHealth needs no key, on either address.
func TestHealth(t *testing.T) {
	t.Parallel()
	up := start(t, quick(t).with("SLUICE_API_KEYS", "key-of-the-shop"), "up").ready()
	for _, base := range []string{up.API, up.Admin} {
		anybody := newSite(t, base)
		for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
			require.Equal(t, http.StatusOK, anybody.do(http.MethodGet, path, nil).status, base+path)
		}
	}
	admin := newSite(t, up.Admin)
	require.Equal(t, http.StatusOK, admin.do(http.MethodGet, "/debug/pprof/", nil).status)
	require.NotEqual(t, http.StatusOK, newSite(t, up.API).do(http.MethodGet, "/debug/pprof/", nil).status)
}

// TestSandboxServesItsHealthWhereAsked and nowhere by default, where a role
// beside it would want to listen.
func TestSandboxServesItsHealthWhereAsked(t *testing.T) {
	t.Parallel()
	settings := quick(t)
	admin := newSite(t, start(t, settings, "sandbox").ready().Admin)
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/debug/pprof/"} {
		require.Equal(t, http.StatusOK, admin.do(http.MethodGet, path, nil).status, path)
	}
	taken := settings.with("SLUICE_ADMIN_ADDR", strings.TrimPrefix(admin.base, "http://"))
	requireComplaint(t, run(t, taken, "sandbox"), 1, "SLUICE_ADMIN_ADDR")
	delete(settings, "SLUICE_ADMIN_ADDR")
	require.Empty(t, start(t, settings, "sandbox").ready().Admin)
}
