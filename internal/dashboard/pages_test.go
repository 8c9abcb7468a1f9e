package dashboard_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/dashboard"
	"github.com/sluicehq/sluice/ratelimit"
)

// visitor is a browser that follows no redirects and keeps its cookies.
type visitor struct {
	*world
	cookies map[string]string
}

func (w *world) visitor() *visitor {
	w.server.Client().CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &visitor{w, map[string]string{}}
}

func (v *visitor) send(method, path, body string, headers ...string) reply {
	v.t.Helper()
	var pairs []string
	for name, value := range v.cookies {
		pairs = append(pairs, name+"="+value)
	}
	if method == http.MethodPost {
		headers = append(headers, "Content-Type", "application/x-www-form-urlencoded")
	}
	r := v.do(method, path, body, append(headers, "Cookie", strings.Join(pairs, "; "))...)
	for _, cookie := range (&http.Response{Header: r.header}).Cookies() {
		v.cookies[cookie.Name] = cookie.Value
	}
	return r
}

func (v *visitor) get(path string) reply { v.t.Helper(); return v.send("GET", path, "") }

var tokenField = regexp.MustCompile(`name="token" value="([0-9a-f]*)"`)

// post sends a form with the token that the page at from has.
func (v *visitor) post(from, path string, form url.Values) reply {
	v.t.Helper()
	if form == nil {
		form = url.Values{}
	}
	if match := tokenField.FindStringSubmatch(v.get(from).text); match != nil {
		form.Set("token", match[1])
	}
	return v.send("POST", path, form.Encode())
}

func (v *visitor) signIn(key, name string) reply {
	v.t.Helper()
	return v.send("POST", "/sign-in", url.Values{"key": {key}, "name": {name}, "next": {"/jobs"}}.Encode())
}

var withPhone = func(c *dashboard.Config) {
	c.Phone = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "phone "+r.URL.Path) })
}

// TestEveryRouteNeedsItsScope asks each route, of pages and API, without a key,
// with a wrong one, and with keys of every scope.
func TestEveryRouteNeedsItsScope(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "publish:in,read:look,operate:hand", withPhone)
	v := w.visitor()
	keys := map[string]dashboard.Scope{"in": dashboard.Publish, "look": dashboard.Read, "hand": dashboard.Operate}
	routes := w.api.Routes()
	pages := w.api.PageRoutes()
	require.NotEmpty(t, pages)
	open := []string{}
	for _, all := range []map[[2]string]dashboard.Scope{routes, pages} {
		for route, scope := range all {
			method, path := route[0], strings.NewReplacer("{$}", "", "{id}", "order-1", "{sender}", sender, "{pool}", "AC1",
				"{address}", url.PathEscape(customer), "{file}", "style.css").Replace(route[1])
			if scope == 0 {
				open = append(open, method+" "+path)
				continue
			}
			_, isPage := pages[route]
			for _, authorization := range []string{"", "Bearer wrong"} {
				r := v.do(method, path, "", "Authorization", authorization)
				if isPage && method == http.MethodGet && authorization == "" {
					require.Equal(t, http.StatusSeeOther, r.status, "%s %s", method, path)
					require.Equal(t, "/sign-in?next="+url.QueryEscape(path), r.header.Get("Location"))
					require.Empty(t, strings.TrimSpace(regexp.MustCompile(`<a .*</a>\.`).ReplaceAllString(r.text, "")))
				} else {
					require.Equal(t, http.StatusUnauthorized, r.status, "%s %s", method, path)
				}
			}
			for key, held := range keys {
				if path == "/v1/events" && held == scope {
					continue // a stream, which does not end
				}
				r := v.do(method, path, "", "Authorization", "Bearer "+key)
				if held == scope {
					require.NotContains(t, []int{401, 403}, r.status, "%s %s with %s: %s", method, path, key, r.text)
				} else {
					require.Equal(t, http.StatusForbidden, r.status, "%s %s with %s", method, path, key)
				}
			}
		}
	}
	require.ElementsMatch(t, []string{
		"GET /openapi.yaml", "GET /sign-in", "POST /sign-in", "POST /sign-out", "POST /theme", "GET /assets/style.css",
	}, open)
}

func TestASessionStandsForItsKey(t *testing.T) {
	t.Parallel()
	now := noon
	w := newWorld(t, "master,read:look,publish:in", func(c *dashboard.Config) { c.Now = func() time.Time { return now } })
	v := w.visitor()
	require.Equal(t, http.StatusUnauthorized, v.signIn("wrong", "").status)
	require.Equal(t, http.StatusForbidden, v.signIn("in", "").status)
	require.NotContains(t, v.cookies, "sluice_session")

	r := v.signIn("master", "Ada\nLovelace ")
	require.Equal(t, http.StatusSeeOther, r.status, r.text)
	require.Equal(t, "/jobs", r.header.Get("Location"))
	set := r.header.Get("Set-Cookie")
	for _, want := range []string{"HttpOnly", "SameSite=Strict", "Path=/"} {
		require.Contains(t, set, want)
	}
	require.NotContains(t, set, "master", "the key is not in the cookie")
	require.Contains(t, v.get("/jobs").text, "signed in as Ada Lovelace, key ")
	require.Equal(t, http.StatusOK, v.get("/v1/jobs").status, "it reads the API too")
	require.Equal(t, http.StatusUnauthorized, v.send("POST", "/v1/pause", "").status, "and changes nothing there")

	// Nothing of it can be changed, and it ends.
	whole := v.cookies["sluice_session"]
	for i := range whole {
		v.cookies["sluice_session"] = whole[:i] + string(rune('A'+(int(whole[i])+1)%26)) + whole[i+1:]
		if v.cookies["sluice_session"] != whole && !strings.EqualFold(v.cookies["sluice_session"], whole) {
			require.Equal(t, http.StatusSeeOther, v.get("/jobs").status, "character %d", i)
		}
	}
	v.cookies["sluice_session"] = whole
	now = noon.Add(12*time.Hour - time.Second)
	require.Equal(t, http.StatusOK, v.get("/jobs").status)
	now = noon.Add(12 * time.Hour)
	require.Equal(t, http.StatusSeeOther, v.get("/jobs").status)

	now = noon
	other := newWorld(t, "read:look").visitor() // the same site, without the key
	other.cookies["sluice_session"] = whole
	require.Equal(t, http.StatusSeeOther, other.get("/jobs").status, "a key that is taken away ends its sessions")

	require.Contains(t, v.send("POST", "/sign-out", "").header.Get("Set-Cookie"), "Max-Age=0")
}

func TestFormsArePostedFromTheirSession(t *testing.T) {
	t.Parallel()
	for _, keys := range []string{"master,read:look", ""} {
		w := newWorld(t, keys)
		v := w.visitor()
		if keys != "" {
			v.signIn("master", "Ada")
		}
		stranger := w.visitor()
		if keys != "" {
			stranger.signIn("master", "Eve")
		}
		token := tokenField.FindStringSubmatch(stranger.get("/senders").text)[1]
		for _, body := range []string{"", "token=", "token=" + token} {
			require.Equal(t, http.StatusForbidden, v.send("POST", "/pause", body).status, "%q %q", keys, body)
		}
		require.Equal(t, http.StatusForbidden, v.send("POST", "/pause", "", "Sec-Fetch-Site", "cross-site").status)
		require.Equal(t, http.StatusForbidden, v.send("POST", "/sign-in", "key=master", "Origin", "https://elsewhere.example").status)
		require.Empty(t, w.facts.stored)

		r := v.post("/senders", "/pause", url.Values{"reason": {"incident"}})
		require.Equal(t, http.StatusSeeOther, r.status, r.text)
		require.True(t, w.gate.paused)
		require.Contains(t, v.get(r.header.Get("Location")).text, "Everything is paused")
		require.Equal(t, http.StatusSeeOther, v.post("/senders", "/resume", nil).status)
		require.False(t, w.gate.paused)
	}
}

func TestAReaderGetsNoFormsAndShortAddresses(t *testing.T) {
	t.Parallel()
	w := withJobs(t)
	w = newWorld(t, "master,read:look", func(c *dashboard.Config) { c.Jobs, c.Stats = w.jobs, w.jobs })
	reader, operator := w.visitor(), w.visitor()
	reader.signIn("look", "")
	operator.signIn("master", "")
	number := strings.TrimPrefix(customer, "whatsapp:+")
	for _, path := range []string{"/", "/senders", "/jobs", "/jobs/order-1", "/trouble", "/live"} {
		r := reader.get(path)
		require.Equal(t, http.StatusOK, r.status, r.text)
		require.NotContains(t, r.text, number, path)
		require.NotContains(t, r.text, `name="token"`, path)
	}
	require.Contains(t, html.UnescapeString(reader.get("/jobs").text), delivery.Mask(customer))
	require.Contains(t, operator.get("/jobs").text, number)
	require.Equal(t, http.StatusForbidden, reader.send("POST", "/jobs/order-2/cancel", "").status)
}

func TestFormsSayWhoItWas(t *testing.T) {
	t.Parallel()
	w := withJobs(t)
	w = newWorld(t, "master", func(c *dashboard.Config) { c.Jobs, c.Announcer = w.jobs, w.jobs })
	v := w.visitor()
	v.signIn("master", "Ada")
	r := v.post("/jobs/order-2", "/jobs/order-2/cancel", nil)
	require.Equal(t, "/jobs/order-2?done=canceled", r.header.Get("Location"), r.text)
	told := w.api.Config().Announcer.(*jobs).told
	require.Regexp(t, `^canceled by hand: Ada, key [0-9a-f]{8}$`, told[len(told)-1].Reason)
}

func TestALimitIsSetByHand(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.limits["AC1"] = ratelimit.PoolLimits{Pool: "AC1", Limit: 250, Now: noon, Senders: []ratelimit.SenderLimits{{Sender: sender, Limit: 250}}}
	v := w.visitor()
	for text, want := range map[string]*int{"1000": new(1000), "0": new(0), "unlimited": new(ratelimit.Unlimited), "provider": nil} {
		r := v.post("/senders", "/senders/"+sender+"/limit", url.Values{"limit": {text}})
		require.Equal(t, http.StatusSeeOther, r.status, r.text)
		require.Equal(t, want, w.gate.sender.Limit, text)
	}
	for _, text := range []string{"-1", "1e3", `5,"mps":3`, "many", "99999999999999999999"} {
		r := v.post("/senders", "/senders/"+sender+"/limit", url.Values{"limit": {text}})
		require.Equal(t, http.StatusBadRequest, r.status, text)
		require.Contains(t, r.text, "limit")
	}
}

// TestNothingOfOthersGetsOntoAPage: what jobs and addresses say is text.
func TestNothingOfOthersGetsOntoAPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	const bad = `<script>alert(1)</script>`
	job := delivery.Job{ID: "order-1", From: "whatsapp:+" + sender, To: customer, Metadata: map[string]string{bad: bad}}
	e := job.Happened(delivery.EventFailed, 1, noon, "e1")
	e.Reason, e.Error = bad, &delivery.Error{Code: 1, Message: bad}
	w.jobs.records = []delivery.Record{delivery.Record{}.Apply(e)}
	w.log.append(e)
	v := w.visitor()
	for _, path := range []string{"/", "/jobs", "/jobs/order-1", "/trouble", "/live", "/jobs?find=" + url.QueryEscape(bad), "/?done=" + url.QueryEscape(bad)} {
		r := v.get(path)
		require.Equal(t, http.StatusOK, r.status, r.text)
		require.NotContains(t, r.text, bad, path)
		require.Contains(t, r.header.Get("Content-Security-Policy"), "script-src 'self'")
	}
}

func TestNextIsAPathOfThisSite(t *testing.T) {
	t.Parallel()
	v := newWorld(t, "master").visitor()
	for next, want := range map[string]string{
		"/senders?a=b": "/senders?a=b", "": "/", "//evil.example": "/", "https://evil.example/": "/", `/\evil.example`: "/",
		"/sign-in": "/", "senders": "/", "/%2f%2fevil.example": "/evil.example", "/a/../jobs": "/jobs",
	} {
		r := v.send("POST", "/sign-in", url.Values{"key": {"master"}, "next": {next}}.Encode())
		require.Equal(t, want, r.header.Get("Location"), next)
	}
}

func TestKeysCannotBeGuessedAtWill(t *testing.T) {
	t.Parallel()
	v := newWorld(t, "master").visitor()
	for range 20 {
		require.Equal(t, http.StatusUnauthorized, v.signIn("guess", "").status)
	}
	r := v.signIn("guess", "")
	require.Equal(t, http.StatusTooManyRequests, r.status)
	require.NotEmpty(t, r.header.Get("Retry-After"))
}

func TestALinkFromAnotherSiteFindsTheSession(t *testing.T) {
	t.Parallel()
	v := newWorld(t, "master").visitor()
	r := v.send("GET", `/jobs?find="><b>`, "", "Sec-Fetch-Site", "cross-site")
	require.Equal(t, http.StatusOK, r.status)
	require.Contains(t, r.text, `http-equiv="refresh" content="0;url=/jobs?find=`)
	require.NotContains(t, r.text, "<b>")
	require.NotContains(t, r.text, "Sign in")
}

// TestAFirstVisitIsLight holds what a browser loads to show the first page.
func TestAFirstVisitIsLight(t *testing.T) {
	t.Parallel()
	w := withEverything(t)
	for i := range 400 { // a chart with every bar
		e := delivery.Job{ID: fmt.Sprint("bulk-", i), From: "whatsapp:+" + sender, To: customer}.
			Happened([]delivery.EventType{delivery.EventRead, delivery.EventDelivered, delivery.EventSent, delivery.EventParked, delivery.EventFailed}[i%5], 1, noon.Add(-time.Duration(i)*9*time.Second), fmt.Sprint("b", i))
		w.jobs.records = append(w.jobs.records, delivery.Record{}.Apply(e))
	}
	v := w.visitor()
	total := 0
	home := v.get("/")
	require.Equal(t, http.StatusOK, home.status)
	total += len(home.text)
	found := regexp.MustCompile(`(?:href|src)="(/assets/[^"]+)"`).FindAllStringSubmatch(home.text, -1)
	seen := map[string]bool{}
	for _, match := range found {
		if !seen[match[1]] {
			seen[match[1]] = true
			r := v.get(match[1])
			require.Equal(t, http.StatusOK, r.status, match[1])
			require.Contains(t, r.header.Get("Cache-Control"), "immutable")
			total += len(r.text)
		}
	}
	require.Len(t, seen, 3)
	t.Logf("first load: %d bytes before compression", total)
	require.Less(t, total, 150_000)
}

func TestThePhoneIsForThoseWhoOperate(t *testing.T) {
	t.Parallel()
	v := newWorld(t, "", withPhone).visitor()
	require.Equal(t, "phone /", v.get("/phone/").text)
	require.Equal(t, "phone /say", v.send("POST", "/phone/say", "").text)
	require.Contains(t, v.get("/").text, `href="/phone/"`)
	require.Equal(t, http.StatusNotFound, newWorld(t, "").visitor().get("/phone/").status)
}

func TestColoursAreChosenWithoutAScript(t *testing.T) {
	t.Parallel()
	v := newWorld(t, "").visitor()
	require.Contains(t, v.get("/").text, `data-theme="auto"`)
	r := v.send("POST", "/theme", "theme=dark", "Referer", v.server.URL+"/jobs?status=sent")
	require.Equal(t, "/jobs?status=sent", r.header.Get("Location"))
	require.Contains(t, v.get("/").text, `data-theme="dark"`)
	v.cookies["sluice_theme"] = `"><b>`
	require.Contains(t, v.get("/").text, `data-theme="auto"`)
}

func TestWhatIsNotThereIsSaid(t *testing.T) {
	t.Parallel()
	v := newWorld(t, "").visitor()
	for path, status := range map[string]int{
		"/jobs/order-9": 404, "/jobs/bad%20id": 400, "/jobs?status=lost": 400, "/jobs?cursor=lost": 400,
		"/trouble?code=x": 400, "/live?type=lost": 400, "/live?from=x": 400, "/assets/secret": 404,
	} {
		require.Equal(t, status, v.get(path).status, path)
	}
	require.Contains(t, v.get("/jobs?find=nothing").text, "No job matches")
	full := withJobs(t).visitor()
	for _, plus := range []string{"+", "%2B", "whatsapp:+", "whatsapp%3A%2B"} {
		require.Contains(t, full.get("/jobs?find="+plus+strings.TrimPrefix(customer, "whatsapp:+")).text, "order-1", plus)
	}
}
