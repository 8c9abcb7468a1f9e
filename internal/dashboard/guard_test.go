package dashboard_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/dashboard"
)

// TestNoOtherSiteReachesAnything: on no route does an answer allow another
// origin to read it, nothing changes by a request that another site causes, and
// a person's cookie changes nothing without the form that was made for it.
func TestNoOtherSiteReachesAnything(t *testing.T) {
	t.Parallel()
	for _, keys := range []string{"", "master"} {
		w := newWorld(t, keys, withPhone)
		v := w.visitor()
		v.signIn("master", "Ada")
		v.get("/")
		require.NotEmpty(t, v.cookies["sluice_session"])
		pages := w.api.PageRoutes()
		for _, all := range []map[[2]string]dashboard.Scope{w.api.Routes(), pages} {
			for route, scope := range all {
				_, page := pages[route]
				v.requireOwnSite(route, page && scope != 0, keys != "")
			}
		}
		require.Empty(t, w.facts.stored, "nothing was changed on the way")
	}
}

// requireOwnSite asks one route as other sites can, and with the cookie alone.
func (v *visitor) requireOwnSite(route [2]string, form, keys bool) {
	v.t.Helper()
	const elsewhere = "https://elsewhere.example"
	method, path := route[0], strings.NewReplacer("{$}", "", "{id}", "a", "{sender}", sender, "{pool}", "a", "{address}", "x", "{file}", "style.css").Replace(route[1])
	closed := func(r reply) reply {
		for name := range r.header {
			require.False(v.t, strings.HasPrefix(name, "Access-Control-"), "%s answers with %s", route, name)
		}
		return r
	}
	closed(v.do("OPTIONS", path, "", "Origin", elsewhere, "Access-Control-Request-Method", method))
	if method == http.MethodGet {
		if path != "/v1/events" { // does not end by itself
			closed(v.send(method, path, "", "Origin", elsewhere))
		}
		return
	}
	for _, sign := range [][2]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", elsewhere}, {"Origin", "null"}} {
		r := closed(v.send(method, path, "", sign[0], sign[1], "Authorization", "Bearer master"))
		require.Equal(v.t, http.StatusForbidden, r.status, "%s with %v", route, sign)
	}
	switch api := strings.HasPrefix(path, "/v1/"); {
	case form && path != "/phone/": // the sandbox's own page keeps no session
		require.Equal(v.t, http.StatusForbidden, v.send(method, path, "").status, "%s without the form's token", route)
	case api && keys:
		require.Equal(v.t, http.StatusUnauthorized, v.send(method, path, "", "Sec-Fetch-Site", "same-origin").status, "%s with a cookie alone", route)
	}
}
