package sandbox

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	apiVersion   = "2010-04-01"
	maxForm      = 256 << 10 // bytes of a request body
	defaultPage  = 50
	maxPage      = 1000
	refusedToken = "invalid" // the one password that is not accepted
)

var accountSID = regexp.MustCompile(`^AC[0-9A-Za-z]{1,64}$`)

// credentials are what a request was made with.
type credentials struct{ account, secret string }

func (s *Sandbox) routeMessages(mux *http.ServeMux) {
	const root = "/" + apiVersion + "/Accounts/{account}/"
	mux.HandleFunc("POST "+root+"Messages.json", s.authenticated(s.createMessage))
	mux.HandleFunc("GET "+root+"Messages.json", s.authenticated(s.listMessages))
	mux.HandleFunc("GET "+root+"Messages/{file}", s.authenticated(s.fetchMessage))
	mux.HandleFunc("/"+apiVersion+"/", func(w http.ResponseWriter, _ *http.Request) {
		notFound().write(w)
	})
}

func notFound() *problem {
	return newProblem(http.StatusNotFound, 20404, "the resource was not found")
}

// authenticated checks the Basic credentials (the account of the path, or an
// API key, with any password but "invalid") and then how many requests of the
// account are under way. What it refuses is not processed.
func (s *Sandbox) authenticated(next func(http.ResponseWriter, *http.Request, credentials)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Twilio-Request-Id", newSID("RQ"))
		account := r.PathValue("account")
		user, secret, ok := r.BasicAuth()
		switch {
		case !ok, user == "", secret == "", secret == refusedToken,
			user != account && !strings.HasPrefix(user, "SK"),
			!accountSID.MatchString(account):
			w.Header().Set("WWW-Authenticate", `Basic realm="Sluice sandbox"`)
			newProblem(http.StatusUnauthorized, 20003, "the credentials are not accepted").write(w)
		default:
			s.admit(w, account, func() { next(w, r, credentials{account, secret}) })
		}
	}
}

func (s *Sandbox) createMessage(w http.ResponseWriter, r *http.Request, auth credentials) {
	s.mu.Lock()
	fate := s.dice.roll(s.customers)
	s.mu.Unlock()
	switch {
	case fate.reset:
		resetConnection(w)
		return
	case fate.tooMany:
		tooMany(w)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		refuse(20001, "the body is not a form").write(w)
		return
	}
	req, bad := parseRequest(r.PostForm)
	if bad != nil {
		bad.write(w)
		return
	}
	resource, bad := s.accept(auth, req, fate.callbacks)
	if bad != nil {
		bad.write(w)
		return
	}
	// The message is in the ledger now. A client that learns nothing, because
	// of a fault or because it has gone, has sent it all the same.
	if !pause(r.Context(), fate.latency) {
		return
	}
	switch {
	case fate.drop:
		panic(http.ErrAbortHandler) // closes the connection without an answer
	case fate.serverError:
		newProblem(http.StatusInternalServerError, 20500, "an internal error occurred").write(w)
	default:
		writeJSON(w, http.StatusCreated, resource)
	}
}

func (s *Sandbox) fetchMessage(w http.ResponseWriter, r *http.Request, auth credentials) {
	latency := time.Duration(s.Faults().Latency)
	sid, ok := strings.CutSuffix(r.PathValue("file"), ".json")
	s.mu.Lock()
	m := s.book.bySID[sid]
	var res resource
	if ok = ok && m != nil && m.auth.account == auth.account; ok {
		res = s.resourceOf(m)
	}
	s.mu.Unlock()
	switch {
	case !pause(r.Context(), latency):
	case !ok:
		notFound().write(w)
	default:
		writeJSON(w, http.StatusOK, res)
	}
}

func (s *Sandbox) listMessages(w http.ResponseWriter, r *http.Request, auth credentials) {
	query := r.URL.Query()
	if name := unsupported(query); name != "" {
		refuse(20001, "the sandbox does not filter by "+name).write(w)
		return
	}
	answer := s.list(auth.account, pageOf(query))
	if pause(r.Context(), time.Duration(s.Faults().Latency)) {
		writeJSON(w, http.StatusOK, answer)
	}
}

// unsupported returns a filter of the real API that the sandbox does not have.
// To leave it out silently would answer another question than the one asked.
func unsupported(query url.Values) string {
	for name := range query {
		if strings.HasPrefix(name, "DateSent") {
			return "DateSent"
		}
	}
	return ""
}

func sidPrefix(r request) string {
	if r.media > 0 {
		return "MM"
	}
	return "SM"
}

// pause waits for d and reports whether the client is still there.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// resetConnection breaks the connection off with a TCP reset where it can.
func resetConnection(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // without it the close below is an orderly one
	}
	_ = conn.Close()
}

func pageOf(query url.Values) page {
	p := page{to: query.Get("To"), from: query.Get("From"), size: defaultPage}
	if n, err := strconv.Atoi(query.Get("PageSize")); err == nil && n > 0 {
		p.size = min(n, maxPage)
	}
	if n, err := strconv.Atoi(query.Get("Page")); err == nil && n > 0 {
		p.number = n
	}
	p.after = strings.TrimPrefix(query.Get("PageToken"), "PA")
	return p
}
