package callbacks

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/trace"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/tracing"
)

// sidPattern is wider than the SM and MM sids of today, and narrow enough to
// stand in ids.
var sidPattern = regexp.MustCompile(`^[A-Z]{2}[0-9A-Za-z]{1,62}$`)

// maxMessage bounds an error text, in bytes; some are relayed from WhatsApp.
const maxMessage = 500

var errSID = errors.New("MessageSid is missing or not a sid")

// status is a parsed status callback.
type status struct {
	word string // the provider's, lower case
	sid  string
	from string // our sender
	to   string // the customer
	err  *delivery.Error

	service string // the messaging service it went through, if any
}

// parseStatus reads a status form. Addresses that are none are left out: the
// event is about the message, which the sid names.
func parseStatus(form url.Values) (status, error) {
	s := status{
		word: strings.ToLower(cmp.Or(form.Get("MessageStatus"), form.Get("SmsStatus"))),
		sid:  cmp.Or(form.Get("MessageSid"), form.Get("SmsSid")),
		err:  parseError(form),

		service: service(form),
	}
	if s.word == "" {
		return status{}, errors.New("MessageStatus is missing")
	}
	if !sidPattern.MatchString(s.sid) {
		return status{}, errSID
	}
	if from := form.Get("From"); delivery.ValidPhone(from) {
		s.from = from
	}
	if to := form.Get("To"); delivery.ValidCustomer(to) {
		s.to = to
	}
	return s, nil
}

func parseError(form url.Values) *delivery.Error {
	code, err := strconv.Atoi(form.Get("ErrorCode"))
	if err != nil || code < 0 {
		code = 0
	}
	message := cmp.Or(form.Get("ErrorMessage"), form.Get("ChannelStatusMessage"))
	if code == 0 && message == "" {
		return nil
	}
	return &delivery.Error{Code: code, Message: shorten(message)}
}

func shorten(text string) string {
	text = strings.ToValidUTF8(text, "�")
	if len(text) <= maxMessage {
		return text
	}
	end := maxMessage
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// event is what the callback tells of an attempt; the job is empty as long as
// nobody knows whose message it is. It reports false for a word it does not
// know.
//
// An exact repetition has the same id. The mark of an unknown job keeps the event without
// one from taking the place of a later telling that names it.
func (s status) event(job string, attempt int, at time.Time) (delivery.Event, bool) {
	t, known := delivery.Reported(s.word)
	if !known {
		return delivery.Event{}, false
	}
	e := delivery.Event{
		Type: t, At: at.UTC(), Job: job, Attempt: attempt, From: s.from, To: s.to,
		SID: s.sid, Status: t.Status(), Error: s.err,
	}
	code := 0
	if s.err != nil {
		code = s.err.Code
	}
	e.ID = delivery.ReportID(s.sid, s.word, code)
	if job == "" {
		e.ID += ":unresolved"
	}
	return e, true
}

// attemptStatus serves /twilio/status/{job}/{attempt}.
func (h *Handler) attemptStatus(r *http.Request, form url.Values) reply {
	job := r.PathValue("job")
	attempt, err := strconv.Atoi(r.PathValue("attempt"))
	if err != nil || attempt < 1 || !delivery.ValidID(job) {
		return malformed
	}
	s, err := parseStatus(form)
	if err != nil {
		h.logger.Warn("status callback not understood", "job", job, "error", err)
		return malformed
	}
	return h.told(r, s, job, attempt)
}

// status serves /twilio/status.
func (h *Handler) status(r *http.Request, form url.Values) reply {
	s, err := parseStatus(form)
	if err != nil {
		h.logger.Warn("status callback not understood", "error", err)
		return malformed
	}
	job, attempt, ok, err := h.resolver.BySID(r.Context(), s.sid)
	if err != nil {
		// To store what was told matters more than to know whose it is: the
		// ledger keeps the event until the sid is known.
		h.logger.Warn("status callback stored without its job", "sid", s.sid, "error", err)
	}
	if err != nil || !ok {
		job, attempt = "", 0
	}
	return h.told(r, s, job, attempt)
}

// optedOut is the refusal as a statement of the customer's; false when the
// callback tells of something else, or not who has opted out of whom.
func (s status) optedOut() (statement, bool) {
	told := statement{
		sid: s.sid, customers: given(s.to), senders: given(s.from, s.service),
		out: true, source: sourceProvider,
	}
	complete := len(told.customers) > 0 && len(told.senders) > 0
	return told, complete && s.err != nil && s.err.Code == codeOptedOut
}

// following is the event with what the job's intent knows, its category and the
// metadata to hand back, and as what follows from it, see
// [delivery.Event.WaitsAgain]. That the event is stored matters more than the
// metadata, and less than what follows.
func (h *Handler) following(ctx context.Context, s status, e delivery.Event) (delivery.Event, error) {
	if e.Job == "" || h.recent.has(e.ID) {
		return e, nil
	}
	intent, err := h.intent(ctx, s, e.Job)
	switch {
	case err != nil && e.OutsideWindow():
		return e, err
	case err != nil:
		h.logger.Warn("status callback stored without its job's metadata", "job", e.Job, "error", err)
	}
	e.Category, e.Metadata = cmp.Or(intent.Job.Category, intent.Category), intent.Job.Metadata
	return e.WaitsAgain(intent), nil
}

// intent is the job's last one, the zero one where there is none.
func (h *Handler) intent(ctx context.Context, s status, job string) (delivery.Intent, error) {
	for _, origin := range given(s.service, s.from) {
		intent, ok, err := h.intents.LastIntent(ctx, delivery.SenderToken(origin), job)
		if err != nil {
			return delivery.Intent{}, err
		}
		if ok {
			return intent, nil
		}
	}
	return delivery.Intent{}, nil
}

// told answers what a status callback tells, once it is stored.
func (h *Handler) told(r *http.Request, s status, job string, attempt int) reply {
	at := h.now()
	event, known := s.event(job, attempt, at)
	if !known {
		h.logger.Warn("status callback ignored: its status is not known to this version", "status", shorten(s.word), "sid", s.sid)
		return taken(resultIgnored)
	}
	ctx, cancel := writing(r)
	defer cancel()
	if h.trace != nil && job != "" {
		ctx = tracing.With(ctx, h.trace(ctx, job, attempt))
	}
	ctx, span := tracing.Start(ctx, "callback", job, trace.SpanKindServer)
	span.Note("sluice.status", s.word)
	result := resultFailed
	event, err := h.following(ctx, s, event)
	if err == nil {
		result, err = h.store(ctx, event)
	}
	if err == nil && result == resultStored && h.failed != nil && s.err != nil && s.err.Code > 0 {
		h.failed(s.err.Code)
	}
	defer func() { span.End(err) }() // of whatever follows too
	if refusal, ok := s.optedOut(); ok && err == nil {
		// That the message failed is in the log. A crash from here on, or an
		// error, leaves the opt-out to the provider's repetition.
		result, err = h.heard(ctx, refusal, at)
	}
	if err != nil {
		h.logger.Error("status callback not stored; the provider will repeat it", "sid", s.sid, "error", err)
		return failed
	}
	return taken(result)
}
