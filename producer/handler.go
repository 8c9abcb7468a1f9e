package producer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/tracing"
)

const (
	maxArray = 1000    // jobs in one array
	maxLine  = 1 << 20 // bytes of one NDJSON line
)

// HandlerConfig is what a [Handler] works with. The four engines are required.
type HandlerConfig struct {
	Publisher  Publisher
	Identities Identities
	States     States
	Announcer  Announcer

	// Category, if set, is the category that Meta put the job's template into,
	// empty where nobody knows. It is the category of jobs that name none, and
	// decides the priority of those that name no priority either. It may be
	// asked for any job with a template.
	Category func(ctx context.Context, job Job) delivery.Category

	// Unfit, if set, says why WhatsApp would refuse a new job as things stand,
	// as a [*FieldError]; nil where nothing is known to be wrong with it. It is
	// asked for jobs with a template that are to go at once.
	Unfit func(ctx context.Context, job Job) error

	// MaxBody bounds a single job's or an array's body, in bytes; default
	// 1 MiB. NDJSON has no bound but that of its lines, 1 MiB each.
	MaxBody int64
	// Concurrency is how many jobs of one request are worked on at once;
	// default 32.
	Concurrency int
	// RetryAfter is what clients are told to wait when the queue refuses;
	// default 5 s, told in whole seconds.
	RetryAfter time.Duration
	// Now is the clock of the accepted events; default [time.Now].
	Now func() time.Time
	// Logger tells of jobs that an engine's failure kept out; default silent.
	Logger *slog.Logger
}

// Handler is POST /v1/jobs: one job, an array of at most 1000, or NDJSON.
//
// One job is answered 202 with its id and status; the same id and content
// again gets 202 with the present status, other content 409. Many are answered
// 202 with one result each, in their order, and a bad one does not stop the
// others. When the queue takes none of them the answer is 429 or 503 with
// Retry-After, as for one. Two different jobs under one id in one request
// conflict, and which of them wins is not defined.
//
// A handler is safe for concurrent use.
type Handler struct {
	publisher   Publisher
	identities  Identities
	states      States
	announcer   Announcer
	category    func(ctx context.Context, job Job) delivery.Category
	unfit       func(ctx context.Context, job Job) error
	maxBody     int64
	concurrency int
	retryAfter  time.Duration
	now         func() time.Time
	logger      *slog.Logger
}

// NewHandler returns the handler of cfg, with its defaults filled.
func NewHandler(cfg HandlerConfig) *Handler {
	h := &Handler{
		publisher: cfg.Publisher, identities: cfg.Identities, states: cfg.States, announcer: cfg.Announcer, category: cfg.Category, unfit: cfg.Unfit,
		maxBody: 1 << 20, concurrency: 32, retryAfter: 5 * time.Second,
		now: cfg.Now, logger: cfg.Logger,
	}
	if cfg.MaxBody > 0 {
		h.maxBody = cfg.MaxBody
	}
	if cfg.Concurrency > 0 {
		h.concurrency = cfg.Concurrency
	}
	if cfg.RetryAfter > 0 {
		h.retryAfter = cfg.RetryAfter
	}
	if h.now == nil {
		h.now = time.Now
	}
	if h.logger == nil {
		h.logger = slog.New(slog.DiscardHandler)
	}
	return h
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		writeProblem(w, problemf(codeMethod, "use POST"), 0)
		return
	}
	r = r.WithContext(tracing.WithRequest(r.Context(), r.Header))
	switch formOf(r.Header) {
	case formDocument:
		h.serveDocument(w, r)
	case formLines:
		h.serveMany(w, r, lines(unhurried{r.Body, http.NewResponseController(w)}, maxLine))
	default:
		writeProblem(w, problemf(codeMediaType,
			"send application/json or application/x-ndjson, not compressed"), 0)
	}
}

// form is how a body holds its jobs.
type form int

const (
	formOther    form = iota
	formDocument      // one object, or an array of them
	formLines         // an object a line
)

// formOf reads the form from the headers. A body without a Content-Type is
// taken for JSON.
func formOf(header http.Header) form {
	if e := header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return formOther
	}
	if header.Get("Content-Type") == "" {
		return formDocument
	}
	media, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	switch {
	case err != nil:
		return formOther
	case media == "application/json", media == "application/x-www-form-urlencoded":
		return formDocument // the second is what curl -d says of whatever it sends
	case media == "application/x-ndjson" || media == "application/ndjson":
		return formLines
	}
	return formOther
}

func (h *Handler) serveDocument(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, h.maxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		writeProblem(w, problemf(codeLarge, "the body exceeds %d bytes; send more as application/x-ndjson", large.Limit), 0)
		return
	case err != nil:
		writeProblem(w, problemf(codeInvalidJSON, "the body broke off"), 0)
		return
	}
	body = bytes.TrimSpace(body)
	if !bytes.HasPrefix(body, []byte("[")) {
		h.serveOne(w, r, body)
		return
	}
	items, bad := elements(body)
	if bad != nil {
		writeProblem(w, bad, 0)
		return
	}
	h.serveMany(w, r, slices.Values(items))
}

func (h *Handler) serveOne(w http.ResponseWriter, r *http.Request, body []byte) {
	a := h.answer(r.Context(), item{data: body})
	if a.Error != nil {
		writeProblem(w, a.Error, h.retryAfter)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	writeJSON(w, a)
}

func (h *Handler) serveMany(w http.ResponseWriter, r *http.Request, items iter.Seq[item]) {
	out := &results{w: w, retryAfter: h.retryAfter}
	inOrder(h.concurrency, items, func(it item) answer { return h.answer(r.Context(), it) }, out.add)
	out.finish()
}

// answer works on one item of a request.
func (h *Handler) answer(ctx context.Context, it item) answer {
	if it.bad != nil {
		return answer{Error: it.bad}
	}
	job, err := delivery.DecodeJob(it.data)
	if err != nil {
		return h.refuse("", err)
	}
	return h.accept(ctx, job)
}
