package dashboard

import (
	"bytes"
	"context"
	"embed"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/senders"
)

// The pages are templates over the same reads and operations as the API. Every
// page is whole without a script; app.js fetches it again when something has
// happened and exchanges the parts marked data-live.

//go:embed web
var web embed.FS

// page is a page to be drawn: the template of its name, with what it shows.
type page struct {
	name  string // file in web, without .html
	title string
	nav   string // the entry of the navigation it belongs to
	data  any
	// status is 200 where it is 0.
	status int
}

// show reads what a page shows.
type show func(r *http.Request) (page, error)

// act does what a form asks for and says where to go then.
type act func(r *http.Request) (where string, err error)

func (a *API) pages() []route {
	routes := []route{
		{"GET", "/{$}", Read, a.page(a.overview)},
		{"GET", "/senders", Read, a.page(a.sendersPage)},
		{"POST", "/senders/{sender}/pause", Operate, a.form(a.pauseSenderForm(true))},
		{"POST", "/senders/{sender}/resume", Operate, a.form(a.pauseSenderForm(false))},
		{"POST", "/senders/{sender}/limit", Operate, a.form(a.senderLimitForm)},
		{"POST", "/pause", Operate, a.form(a.pauseAllForm(true))},
		{"POST", "/resume", Operate, a.form(a.pauseAllForm(false))},
		{"GET", "/jobs", Read, a.page(a.jobsPage)},
		{"GET", "/jobs/{id}", Read, a.page(a.jobPage)},
		{"POST", "/jobs/{id}/cancel", Operate, a.form(a.cancelForm)},
		{"POST", "/jobs/{id}/redrive", Operate, a.form(a.redriveForm)},
		{"POST", "/jobs/redrive", Operate, a.form(a.redriveManyForm)},
		{"GET", "/trouble", Read, a.page(a.troublePage)},
		{"GET", "/live", Read, a.page(a.livePage)},
	}
	if a.cfg.Phone != nil {
		routes = append(routes,
			route{"GET", "/phone/", Operate, a.phone()},
			route{"POST", "/phone/", Operate, a.phone()},
		)
	}
	for i, r := range routes {
		routes[i].handler = a.guardPage(r.scope, r.handler)
	}
	return append(routes,
		route{"GET", "/sign-in", 0, http.HandlerFunc(a.signInPage)},
		route{"POST", "/sign-in", 0, http.HandlerFunc(a.signIn)},
		route{"POST", "/sign-out", 0, http.HandlerFunc(a.signOut)},
		route{"POST", "/theme", 0, http.HandlerFunc(setTheme)},
		route{"GET", "/assets/{file}", 0, http.HandlerFunc(asset)},
	)
}

// guardPage is [Keys.Guard] for people: who is not known signs in first.
func (a *API) guardPage(scope Scope, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, known := a.cfg.Keys.bearer(r)
		if !known {
			who, known = a.cfg.Keys.signedIn(r, a.cfg.Now())
		}
		switch {
		case !known:
			a.askToSignIn(w, r)
		case who.scope&scope != scope:
			a.draw(w, who.on(r), problemPage(problem{http.StatusForbidden, "forbidden", "The key you signed in with lacks the scope " + scope.String() + ".", ""}))
		default:
			next.ServeHTTP(w, who.on(r))
		}
	})
}

func (a *API) page(read show) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := identityOf(r.Context())
		if a.cfg.Keys.Empty() && who.session.zero() {
			// Everybody may come in; the session ties the forms to this browser.
			who.session = newSession("", a.cfg.Now())
			setSession(w, r, who.session.text(openSecret), sessionLife)
			r = who.on(r)
		}
		p, err := read(r)
		if err != nil {
			p = problemPage(a.told(r, err))
		}
		a.draw(w, r, p)
	})
}

func problemPage(p problem) page {
	return page{name: "problem", title: "That did not work", data: p, status: p.status}
}

// told is an error as people see it; what is ours to mend is logged.
func (a *API) told(r *http.Request, err error) problem {
	p := problemOf(err)
	if p.status >= http.StatusInternalServerError {
		a.cfg.Log.ErrorContext(r.Context(), "page failed", "route", r.Pattern, "method", r.Method, "error", err)
	}
	return p
}

// frameView is what every page knows.
type frameView struct {
	Title, Nav, Theme, Token, Who, Notice, Phone string
	SignedIn, MayOperate                         bool
	Pause                                        senders.Pause
	Types                                        string // of events, for app.js
	Now                                          time.Time
	Data                                         any
}

func (a *API) frame(r *http.Request, p page) frameView {
	who := identityOf(r.Context())
	f := frameView{
		Title: p.title, Nav: p.nav, Theme: theme(r), Who: who.who, Notice: notice(r.URL.Query()),
		SignedIn: who.who != "", MayOperate: who.scope&Operate != 0 || a.cfg.Keys.Empty(),
		Types: eventWords, Now: a.cfg.Now().UTC(), Data: p.data,
	}
	if a.cfg.Phone != nil && f.MayOperate {
		f.Phone = "/phone/"
	}
	if !who.session.zero() {
		f.Token = who.session.formToken(who.secret)
	}
	if pause, err := a.cfg.Registry.Standing(r.Context()); err == nil && who.scope != 0 {
		f.Pause = pause
	}
	return f
}

// notices are what a form says after it was done, by the word in the address:
// no text of somebody else's gets onto a page that way.
var notices = map[string]string{
	"paused":     "Paused. Its jobs wait until it is resumed.",
	"resumed":    "Resumed.",
	"pausedall":  "Everything is paused. Jobs are still accepted, and wait.",
	"resumedall": "Everything is resumed.",
	"limit":      "The limit was set. It holds for the next job.",
	"canceled":   "Canceled. The job will not be sent.",
	"redriven":   "Taken up again, as a new attempt.",
}

func notice(query url.Values) string {
	done := query.Get("done")
	if done != "many" {
		return notices[done]
	}
	again, _ := strconv.Atoi(query.Get("again"))
	refused, _ := strconv.Atoi(query.Get("refused"))
	text := grouped(again) + " taken up again."
	if refused > 0 {
		text += " " + grouped(refused) + " could not be: open one to see why."
	}
	if query.Get("more") != "" {
		text += " There are more: repeat it."
	}
	return text
}

// Customer is an address as the reader may see it: whole for those who
// operate, else shortened. The API gives it whole to every reader; what is
// guarded here is a screen that others look at.
func (f frameView) Customer(address string) string {
	if f.MayOperate {
		return strings.TrimPrefix(address, "whatsapp:")
	}
	return delivery.Mask(address)
}

var drawings = func() map[string]*template.Template {
	layout := template.Must(template.New("layout.html").Funcs(functions).ParseFS(web, "web/layout.html"))
	all := map[string]*template.Template{}
	for _, name := range []string{"overview", "senders", "jobs", "job", "trouble", "live", "signin", "problem"} {
		all[name] = template.Must(template.Must(layout.Clone()).ParseFS(web, "web/"+name+".html"))
	}
	return all
}()

// draw writes a page. It is drawn whole before a byte of it is sent.
func (a *API) draw(w http.ResponseWriter, r *http.Request, p page) {
	var body bytes.Buffer
	if err := drawings[p.name].ExecuteTemplate(&body, "layout.html", a.frame(r, p)); err != nil {
		a.cfg.Log.ErrorContext(r.Context(), "page could not be drawn", "page", p.name, "error", err)
		http.Error(w, "the page could not be drawn; the log says why", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	protect(h)
	w.WriteHeader(max(p.status, http.StatusOK))
	_, _ = w.Write(body.Bytes()) // the caller has gone; there is nobody to tell
}

// protect lets a page load what is ours and nothing else, and be framed by nobody.
func protect(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "+
		"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
}

// phone is the customers' side of the sandbox, under the same guard as pages.
func (a *API) phone() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protect(w.Header())
		http.StripPrefix("/phone", a.cfg.Phone).ServeHTTP(w, r)
	})
}

// eventWords are the types of events, for scripts that follow them.
var eventWords = func() string {
	words := []string{}
	for _, s := range delivery.Statuses() {
		words = append(words, string(s))
	}
	for _, t := range []delivery.EventType{
		delivery.EventReleased, delivery.EventRedriven, delivery.EventDuplicate,
		delivery.EventInbound, delivery.EventConsent, delivery.EventSender, delivery.EventPool,
	} {
		if !slices.Contains(words, string(t)) {
			words = append(words, string(t))
		}
	}
	return strings.Join(words, " ")
}()

// pageTimeout bounds the reads of a page.
const pageTimeout = 15 * time.Second

func within(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(r.Context(), pageTimeout)
}
