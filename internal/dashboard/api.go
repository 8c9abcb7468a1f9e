package dashboard

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/senders"
	"github.com/sluicehq/sluice/ratelimit"
)

// Jobs reads the state of jobs.
type Jobs interface {
	// Get returns a job's record, false if there is none.
	Get(ctx context.Context, id string) (delivery.Record, bool, error)
	// List returns the jobs that match, newest first. A cursor that it did not
	// hand out is [ErrCursor].
	List(ctx context.Context, q Query) (Page, error)
}

// Limits reads the gate.
type Limits interface {
	// Pools names every pool that is known, sorted.
	Pools(ctx context.Context) ([]string, error)
	Limits(ctx context.Context, pool string) (ratelimit.PoolLimits, error)
	// Returns reads when the next n places come back, of the sender's window
	// or, if sender is empty, of the pool's.
	Returns(ctx context.Context, pool, sender string, n int) ([]ratelimit.Return, error)
	// Slots reads when the used places of a pool come back, in equal steps over
	// one window.
	Slots(ctx context.Context, pool string, steps int) (ratelimit.Slots, error)
	// Preview sorts customers by what a message of the sender would need.
	Preview(ctx context.Context, sender, pool string, customers []string) (ratelimit.Preview, error)
}

// Room counts the jobs that are parked, by sender and priority.
type Room interface {
	Counts(ctx context.Context) (map[string]map[delivery.Priority]int64, error)
}

// Advice is what an error code of the provider means and what to do about it.
type Advice struct {
	Meaning, Action string
}

// Backlog reads how much work the queue holds.
type Backlog interface {
	Backlog(ctx context.Context) (Load, error)
}

// Load is how many jobs are where: ready to be handled, parked until a limit
// or a pause lets them out, scheduled for a time, and in a dispatcher's hands.
// Replicas are scaled on Ready.
type Load struct {
	Ready     int64 `json:"ready"`
	Parked    int64 `json:"parked"`
	Scheduled int64 `json:"scheduled"`
	Inflight  int64 `json:"inflight"`
}

// Registry is the registry of senders, pools, consents and the pause of
// everything; [senders.Registry] documents the methods and their errors.
type Registry interface {
	SenderBook
	PoolBook
	ConsentBook
	Pause(ctx context.Context, paused bool, reason string) (senders.Pause, error)
	Standing(ctx context.Context) (senders.Pause, error)
}

// SenderBook is the senders' part of a [Registry].
type SenderBook interface {
	Senders(ctx context.Context) ([]senders.Sender, error)
	Sender(ctx context.Context, token string) (senders.Sender, error)
	PutSender(ctx context.Context, token string, p senders.Patch) (senders.Sender, error)
	PauseSender(ctx context.Context, token string, paused bool, reason string) (senders.Sender, error)
}

// PoolBook is the pools' part of a [Registry].
type PoolBook interface {
	Pools(ctx context.Context) ([]senders.Pool, error)
	Pool(ctx context.Context, name string) (senders.Pool, error)
	PutPool(ctx context.Context, name string, p senders.PoolPatch) (senders.Pool, error)
}

// ConsentBook is the consents' part of a [Registry].
type ConsentBook interface {
	Consents(ctx context.Context, address string) ([]senders.Consent, error)
	PutConsent(ctx context.Context, address string, c senders.Consent) (senders.Consent, error)
}

// Config is what the API serves from. Everything is required unless a default
// is named.
type Config struct {
	Jobs      Jobs
	Stats     Stats
	Limits    Limits
	Room      Room
	Backlog   Backlog
	Registry  Registry
	Canceler  Canceler
	Schedules Schedules
	Redriver  Redriver
	Announcer Announcer
	Submit    http.Handler          // POST /v1/jobs; nil: not served here
	Events    Log                   // GET /v1/events; nil: not served here
	Streams   Streams               // bounds of GET /v1/events
	Keys      Keys                  // none: open to everybody who can connect
	Advise    func(code int) Advice // the catalogue of error codes; default: says nothing
	Phone     http.Handler          // the customers of the sandbox, at /phone/; nil: not served here
	Window    time.Duration         // of the messaging limit; default 24h
	Margin    time.Duration         // how much longer a place is taken; default as in [ratelimit.Options]
	// DefaultPool is where a sender counts that nobody registered.
	DefaultPool func(sender string) string
	Now         func() time.Time // the clock; default [time.Now]
	Log         *slog.Logger     // default: discarded
}

// API serves the routes of the `api` role. It is safe for concurrent use.
type API struct {
	cfg Config
	hub *hub // nil where events are not served

	figures figures
	guesses *rate.Limiter // of keys, at the sign-in
}

// New returns the API over cfg. With events, [API.Run] must run beside the
// server.
func New(cfg Config) *API {
	rules := ratelimit.Options{Window: cfg.Window, Margin: cfg.Margin}.WithDefaults()
	cfg.Window, cfg.Margin = rules.Window, rules.Margin
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Advise == nil {
		cfg.Advise = func(int) Advice { return Advice{} }
	}
	a := &API{cfg: cfg, guesses: rate.NewLimiter(1, 20)}
	if cfg.Events != nil {
		a.hub = newHub(cfg.Events, cfg.Streams, cfg.Log)
	}
	return a
}

// route is one line of the API. Scope 0 needs no key.
type route struct {
	method, path string
	scope        Scope
	handler      http.Handler
}

// redrivePath answers to POST alone: for any other method it is the path of a
// job whose id is redrive.
const redrivePath = "/v1/jobs/redrive"

func (a *API) routes() []route {
	routes := []route{
		{"GET", "/v1/jobs", Read, a.answer(a.listJobs)},
		{"GET", "/v1/jobs/{id}", Read, a.answer(a.getJob)},
		{"POST", "/v1/jobs/{id}/cancel", Operate, a.answer(a.cancelJob)},
		{"POST", "/v1/jobs/{id}/redrive", Operate, a.answer(a.redriveJob)},
		{"POST", redrivePath, Operate, a.answer(a.redriveJobs)},
		{"GET", "/v1/stats", Read, a.answer(a.getStats)},
		{"GET", "/v1/backlog", Read, a.answer(a.getBacklog)},
		{"GET", "/v1/limits", Read, a.answer(a.listLimits)},
		{"GET", "/v1/limits/{pool}", Read, a.answer(a.getLimits)},
		{"POST", "/v1/plan", Read, a.answer(a.plan)},
		{"GET", "/v1/senders", Read, a.answer(a.listSenders)},
		{"GET", "/v1/senders/{sender}", Read, a.answer(a.getSender)},
		{"PUT", "/v1/senders/{sender}", Operate, a.answer(a.putSender)},
		{"POST", "/v1/senders/{sender}/pause", Operate, a.answer(a.pauseSender(true))},
		{"POST", "/v1/senders/{sender}/resume", Operate, a.answer(a.pauseSender(false))},
		{"GET", "/v1/pools", Read, a.answer(a.listPools)},
		{"GET", "/v1/pools/{pool}", Read, a.answer(a.getPool)},
		{"PUT", "/v1/pools/{pool}", Operate, a.answer(a.putPool)},
		{"GET", "/v1/consents/{address}", Read, a.answer(a.getConsents)},
		{"PUT", "/v1/consents/{address}", Operate, a.answer(a.putConsent)},
		{"POST", "/v1/pause", Operate, a.answer(a.pauseAll(true))},
		{"POST", "/v1/resume", Operate, a.answer(a.pauseAll(false))},
		{"GET", "/openapi.yaml", 0, http.HandlerFunc(description)},
	}
	if a.cfg.Submit != nil {
		routes = append(routes, route{"POST", "/v1/jobs", Publish, a.cfg.Submit})
	}
	if a.cfg.Events != nil {
		routes = append(routes, route{"GET", "/v1/events", Read, http.HandlerFunc(a.streamEvents)})
	}
	return routes
}

// Handler serves every route. Requests that a browser makes for another site
// are refused, since a machine without keys is open to its own browser.
func (a *API) Handler() http.Handler {
	paths := map[string]methods{}
	serve := func(r route, handler http.Handler) {
		if paths[r.path] == nil {
			paths[r.path] = methods{}
		}
		paths[r.path][r.method] = handler
	}
	for _, r := range a.routes() {
		serve(r, a.cfg.Keys.guard(r.scope, r.handler, a.cfg.Now))
	}
	for _, r := range a.pages() {
		serve(r, r.handler)
	}
	mux := http.NewServeMux()
	mux.Handle("POST "+redrivePath, paths[redrivePath])
	delete(paths, redrivePath)
	for path, m := range paths {
		mux.Handle(path, m)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		notFoundProblem.write(w)
	})
	sameSite := http.NewCrossOriginProtection()
	sameSite.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		problem{http.StatusForbidden, "cross_origin", "requests made for another site are refused", ""}.write(w)
	}))
	if a.cfg.Keys.Empty() {
		return sameSite.Handler(ownName(mux))
	}
	return sameSite.Handler(mux)
}

var notFoundProblem = problem{http.StatusNotFound, "not_found", "there is nothing at this path", ""}

// methods is what one path answers to.
type methods map[string]http.Handler

func (m methods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	handler, ok := m[method]
	if !ok {
		allowed := strings.Join(slices.Sorted(maps.Keys(m)), ", ")
		w.Header().Set("Allow", allowed)
		problem{http.StatusMethodNotAllowed, "method_not_allowed", "use " + allowed, ""}.write(w)
		return
	}
	handler.ServeHTTP(w, r)
}
