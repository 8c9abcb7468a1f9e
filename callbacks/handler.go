package callbacks

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sluicehq/sluice/delivery"
)

// Verifier checks a request's signature (header X-Twilio-Signature).
//
// account is the AccountSid of the form, empty if there is none; it is the
// sender's word until Verify has returned true. Verify tries every token of
// that account and returns false for an account it does not know. form is nil
// when the body is none, as with JSON, which is signed through the digest in
// the URL's bodySHA256. It is called concurrently.
type Verifier interface {
	Verify(account, url string, form url.Values, body []byte, signature string) bool
}

// Log stores events. When Append returns nil the event survives a crash;
// appending the same id again is storing it once. It is called concurrently.
type Log interface {
	Append(ctx context.Context, event delivery.Event) error
}

// Resolver finds the job that a message of the provider was sent for; ok is
// false while nobody knows. It is called concurrently.
type Resolver interface {
	BySID(ctx context.Context, sid string) (job string, attempt int, ok bool, err error)
}

// Intents reads what was last about to be sent for a job; ok is false where the
// log has no such intent of that sender. It is called concurrently.
type Intents interface {
	LastIntent(ctx context.Context, sender, job string) (intent delivery.Intent, ok bool, err error)
}

// Config is what a [Handler] works with. PublicURL, Verifier, Log, Intents,
// Resolver and Consents are required.
type Config struct {
	// PublicURL is what the provider calls, scheme and host and perhaps a path.
	// Signatures are checked against it and the request's path and query, never
	// against Host headers, which proxies change and callers choose. A path in
	// it may reach the handler or be cut off by a proxy, both work.
	PublicURL string
	Verifier  Verifier
	Log       Log
	Intents   Intents
	Resolver  Resolver
	Consents  Consents
	// Aliases, if set, is told of customers who show two addresses.
	Aliases Aliases

	// OptOutWords and OptInWords are the texts by which a customer opts out of a
	// sender and in again: the whole of a message, whatever its case and the
	// punctuation around it. Nil stands for Twilio's English words, STOP
	// UNSUBSCRIBE END QUIT STOPALL REVOKE OPTOUT CANCEL, and START UNSTOP; an
	// empty list for none.
	OptOutWords []string
	OptInWords  []string

	// Now is the clock of the events, since the provider sends no time;
	// default [time.Now].
	Now func() time.Time
	// Logger defaults to silence.
	Logger *slog.Logger
	// Trace, if set, is asked for the traceparent under which a job's attempt was
	// sent, so that its callbacks join the trace; empty where there is none.
	Trace func(ctx context.Context, job string, attempt int) string
	// Observe, if set, counts every form: kind is status, inbound or fallback,
	// result is stored, repeated, ignored, forbidden, malformed or failed.
	Observe func(kind, result string)
	// Failed, if set, counts the errors of messages: it is given the code of every
	// status with one, once it is stored, and not again for its repetition here.
	Failed func(code int)
}

// The kinds of form, as metrics name them.
const (
	kindStatus   = "status"
	kindInbound  = "inbound"
	kindFallback = "fallback"
)

// The results, as metrics name them.
const (
	resultStored    = "stored"
	resultRepeated  = "repeated"
	resultIgnored   = "ignored"
	resultForbidden = "forbidden"
	resultMalformed = "malformed"
	resultFailed    = "failed"
)

// storeTimeout bounds what is written for one form. It lies below the 15 s that
// the provider waits at most, so a slow log is answered 503 and the provider
// tries again.
const storeTimeout = 10 * time.Second

// remembered is how many stored events are answered without a write.
const remembered = 8192

// Handler serves the provider's callbacks:
//
//	POST /twilio/status/{job}/{attempt}   the status of one attempt's message
//	POST /twilio/status                   the same, set at a sender or service
//	POST /twilio/inbound                  a customer writes
//	POST /twilio/fallback                 either, after its own URL failed
//
// It is safe for concurrent use; any number may run side by side.
type Handler struct {
	base     string // PublicURL without a slash at its end
	prefix   string // its path
	verifier Verifier
	log      Log
	intents  Intents
	resolver Resolver
	consents Consents
	aliases  Aliases
	keywords keywords
	now      func() time.Time
	logger   *slog.Logger
	observe  func(kind, result string)
	failed   func(code int)
	trace    func(ctx context.Context, job string, attempt int) string
	recent   *recent
	routes   *http.ServeMux
}

// New returns the handler of cfg, with its defaults filled.
func New(cfg Config) *Handler {
	h := &Handler{
		base:     strings.TrimRight(cfg.PublicURL, "/"),
		verifier: cfg.Verifier, log: cfg.Log, intents: cfg.Intents, resolver: cfg.Resolver, consents: cfg.Consents,
		aliases:  cfg.Aliases,
		keywords: keywords{out: cfg.OptOutWords, in: cfg.OptInWords},
		now:      cfg.Now, logger: cfg.Logger, observe: cfg.Observe, failed: cfg.Failed, trace: cfg.Trace,
		recent: newRecent(remembered),
		routes: http.NewServeMux(),
	}
	if u, err := url.Parse(h.base); err == nil {
		h.prefix = u.Path
	}
	if h.keywords.out == nil {
		h.keywords.out = optOutWords()
	}
	if h.keywords.in == nil {
		h.keywords.in = optInWords()
	}
	if h.now == nil {
		h.now = time.Now
	}
	if h.logger == nil {
		h.logger = slog.New(slog.DiscardHandler)
	}
	if h.observe == nil {
		h.observe = func(string, string) {}
	}
	h.routes.HandleFunc("POST /twilio/status/{job}/{attempt}", h.signed(kindStatus, h.attemptStatus))
	h.routes.HandleFunc("POST /twilio/status", h.signed(kindStatus, h.status))
	h.routes.HandleFunc("POST /twilio/inbound", h.signed(kindInbound, h.inbound))
	h.routes.HandleFunc("POST /twilio/fallback", h.signed(kindFallback, h.fallback))
	return h
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.prefix != "" && strings.HasPrefix(r.URL.Path, h.prefix+"/") {
		http.StripPrefix(h.prefix, h.routes).ServeHTTP(w, r)
		return
	}
	h.routes.ServeHTTP(w, r)
}

// reply is how a form is answered.
type reply struct {
	status int
	twiml  bool // the provider expects instructions; these are none
	result string
}

var (
	malformed = reply{status: http.StatusBadRequest, result: resultMalformed}
	forbidden = reply{status: http.StatusForbidden, result: resultForbidden}
	failed    = reply{status: http.StatusServiceUnavailable, result: resultFailed}
)

// taken answers a form that needs no repetition.
func taken(result string) reply { return reply{status: http.StatusNoContent, result: result} }

// takenInbound is [taken] for an inbound message.
func takenInbound(result string) reply {
	return reply{status: http.StatusOK, twiml: true, result: result}
}

func (a reply) write(w http.ResponseWriter) {
	if !a.twiml {
		w.WriteHeader(a.status)
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(a.status)
	_, _ = w.Write([]byte(`<?xml version="1.0" encoding="UTF-8"?><Response/>`))
}

// writing is the context of what is written for one form. A provider that hangs
// up does not undo what it told.
func writing(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(r.Context()), storeTimeout)
}

// store puts an event on the log once, and reports what became of it.
func (h *Handler) store(ctx context.Context, event delivery.Event) (result string, err error) {
	if h.recent.has(event.ID) {
		return resultRepeated, nil
	}
	if err := h.log.Append(ctx, event); err != nil {
		return resultFailed, err
	}
	// The event is in the log. A crash here loses the answer alone: the
	// provider repeats the form, and its event has the id that is stored.
	h.recent.add(event.ID)
	return resultStored, nil
}
