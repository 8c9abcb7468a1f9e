package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/senders"
)

// maxBody bounds the body of a change, in bytes.
const maxBody = 64 * 1024

// problem is an error as the caller sees it.
type problem struct {
	status  int
	Code    string `json:"code"`
	Message string `json:"message"`
	Field   string `json:"field,omitempty"`
}

func (p problem) Error() string { return p.Message }

func (p problem) write(w http.ResponseWriter) {
	writeJSON(w, p.status, map[string]problem{"error": p})
}

// question is a handler that does not write: it returns what to answer.
type question func(r *http.Request) (any, error)

func (a *API) answer(ask question) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reply, err := ask(r)
		if err == nil {
			writeJSON(w, http.StatusOK, reply)
			return
		}
		p := problemOf(err)
		if p.status >= http.StatusInternalServerError {
			// The pattern, not the path: paths and queries name customers.
			a.cfg.Log.ErrorContext(r.Context(), "request failed", "route", r.Pattern, "method", r.Method, "error", err)
		}
		p.write(w)
	})
}

// problemOf is the one place that turns errors into answers.
func problemOf(err error) problem {
	var known problem
	var field *delivery.FieldError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &field) && field.Field == "":
		return problem{http.StatusBadRequest, "invalid_body", field.Message, ""}
	case errors.As(err, &field):
		return problem{http.StatusBadRequest, "invalid_field", field.Message, field.Field}
	case errors.Is(err, senders.ErrNotFound):
		return problem{http.StatusNotFound, "not_found", err.Error(), ""}
	case errors.Is(err, ErrCursor):
		return problem{http.StatusBadRequest, "invalid_field", "is not a cursor of this list; start without one", "cursor"}
	case errors.Is(err, senders.ErrOlder):
		return problem{http.StatusConflict, "older", err.Error(), "at"}
	case errors.Is(err, senders.ErrUntold):
		return problem{http.StatusServiceUnavailable, "not_applied_yet",
			"the change is stored and will hold once Redis can be reached; repeating the request is harmless", ""}
	case errors.Is(err, senders.ErrUnannounced):
		return problem{http.StatusServiceUnavailable, "not_announced_yet",
			"the change is stored and in force; repeat the request to have it told in the log", ""}
	case errors.Is(err, senders.ErrBusy):
		return problem{http.StatusServiceUnavailable, "busy", "changed by others all the time: try again", ""}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return problem{http.StatusServiceUnavailable, "unavailable", "no answer in time: try again", ""}
	default:
		return problem{http.StatusInternalServerError, "internal", "could not be answered; the log says why", ""}
	}
}

func notFound(format string, args ...any) error {
	return problem{http.StatusNotFound, "not_found", fmt.Sprintf(format, args...), ""}
}

func badField(field, message string) error {
	return &delivery.FieldError{Field: field, Message: message}
}

func writeJSON(w http.ResponseWriter, status int, reply any) {
	body, err := json.Marshal(reply)
	if err != nil { // values of this package are always marshalled
		status, body = http.StatusInternalServerError, []byte(`{"error":{"code":"internal","message":"could not be written"}}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the caller has gone; there is nobody to tell
}

// readBody returns the JSON body of a change, at most maxBody bytes.
func readBody(r *http.Request) ([]byte, error) {
	if !isJSON(r.Header.Get("Content-Type")) {
		return nil, problem{http.StatusUnsupportedMediaType, "unsupported_media_type", "send Content-Type: application/json", ""}
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return nil, problem{http.StatusBadRequest, "invalid_body", "the body could not be read", ""}
	}
	if len(body) > maxBody {
		return nil, problem{http.StatusRequestEntityTooLarge, "too_large", "at most 64 KiB are allowed", ""}
	}
	return body, nil
}

// isJSON refuses what says that it is something else. Nothing said and the
// form type, which curl and others send by default, are read as JSON: what
// protects from forged forms is the check of the origin.
func isJSON(contentType string) bool {
	if contentType == "" {
		return true
	}
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && (kind == "application/json" || strings.HasSuffix(kind, "+json") ||
		kind == "application/x-www-form-urlencoded")
}
