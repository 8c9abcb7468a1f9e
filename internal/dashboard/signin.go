package dashboard

import (
	"crypto/subtle"
	"html/template"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxForm bounds the body of a form, in bytes.
const maxForm = 64 << 10

// form handles a form of a page: it is refused unless it was made for this
// very session. That its request comes from this site has been checked before,
// for every route.
func (a *API) form(do act) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		who := identityOf(r.Context())
		if !who.tokenFits(r) {
			a.draw(w, r, problemPage(problem{http.StatusForbidden, "form_too_old",
				"The form was not made for this session. Go back, load the page again and repeat it.", ""}))
			return
		}
		where, err := do(r)
		if err != nil {
			a.draw(w, r, problemPage(a.told(r, err)))
			return
		}
		http.Redirect(w, r, where, http.StatusSeeOther)
	})
}

// tokenFits also passes a request with a bearer key: no browser adds that by
// itself.
func (i identity) tokenFits(r *http.Request) bool {
	if i.session.zero() {
		return i.who != ""
	}
	want := i.session.formToken(i.secret)
	return subtle.ConstantTimeCompare([]byte(r.PostFormValue("token")), []byte(want)) == 1
}

// askToSignIn sends a browser to the sign-in and tells others what they lack.
func (a *API) askToSignIn(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || r.Header.Get("Authorization") != "" {
		w.Header().Set("WWW-Authenticate", "Bearer")
		a.draw(w, r, problemPage(problem{http.StatusUnauthorized, "unauthorized", "You are not signed in, or no longer.", ""}))
		return
	}
	if r.Header.Get("Sec-Fetch-Site") == "cross-site" {
		// A link on another site does not bring the cookie along. The page
		// loads itself once more, and then it does.
		protect(w.Header())
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write([]byte(`<!doctype html><meta http-equiv="refresh" content="0;url=` +
			template.HTMLEscapeString(r.URL.RequestURI()) + `"><title>Sluice</title>`))
		return
	}
	http.Redirect(w, r, "/sign-in?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
}

type signInView struct {
	Next, Name string
	Problem    string
}

func (a *API) signInPage(w http.ResponseWriter, r *http.Request) {
	if a.cfg.Keys.Empty() {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	a.draw(w, r, page{name: "signin", title: "Sign in", data: signInView{Next: ourPath(r.URL.Query().Get("next"))}})
}

// signIn takes a key and hands out a session. A form of another site has been
// refused before, so nobody is signed in unawares.
func (a *API) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	v := signInView{Next: ourPath(r.PostFormValue("next")), Name: personName(r.PostFormValue("name"))}
	refuse := func(status int, why string) {
		v.Problem = why
		a.draw(w, r, page{name: "signin", title: "Sign in", data: v, status: status})
	}
	if !a.guesses.AllowN(a.cfg.Now(), 1) {
		w.Header().Set("Retry-After", "5")
		refuse(http.StatusTooManyRequests, "Too many attempts. Wait a few seconds.")
		return
	}
	entry, known := a.cfg.Keys.find(strings.TrimSpace(r.PostFormValue("key")))
	switch {
	case !known:
		refuse(http.StatusUnauthorized, "This is none of the keys in SLUICE_API_KEYS.")
	case entry.scope&Read == 0:
		refuse(http.StatusForbidden, "This key has the scope "+entry.scope.String()+"; the pages need read.")
	default:
		setSession(w, r, newSession(v.Name, a.cfg.Now()).text(entry.digest[:]), sessionLife)
		http.Redirect(w, r, v.Next, http.StatusSeeOther)
	}
}

func (a *API) signOut(w http.ResponseWriter, r *http.Request) {
	setSession(w, r, "", -time.Second)
	http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
}

// ourPath is next if it is a path of this site, else the overview.
func ourPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(next, "/") ||
		strings.HasPrefix(next, "//") || strings.Contains(next, `\`) || strings.HasPrefix(u.Path, "/sign-") {
		return "/"
	}
	where := url.URL{Path: path.Clean(u.Path), RawQuery: u.RawQuery}
	return where.String()
}

// personName is a name as it may stand in the log: one line, not too long.
func personName(text string) string {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
	for utf8.RuneCountInString(text) > maxName {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	return text
}

const themeCookie = "sluice_theme"

func theme(r *http.Request) string {
	cookie, err := r.Cookie(themeCookie)
	if err == nil && (cookie.Value == "light" || cookie.Value == "dark") {
		return cookie.Value
	}
	return "auto"
}

// setTheme needs no key: it changes nothing but this browser's colours.
func setTheme(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	http.SetCookie(w, &http.Cookie{
		Name: themeCookie, Value: r.PostFormValue("theme"), Path: "/", MaxAge: int((365 * 24 * time.Hour).Seconds()),
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: encrypted(r),
	})
	back := "/"
	if from, err := url.Parse(r.Referer()); err == nil && from.Host == r.Host {
		back = ourPath(from.RequestURI())
	}
	http.Redirect(w, r, back, http.StatusSeeOther)
}
