package producer

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"
)

// problem is an error as the API tells it: what went wrong, and where.
type problem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Field   string `json:"field,omitempty"`
	status  int
}

// The codes, each with its HTTP status.
const (
	codeInvalidJSON  = "invalid_json"
	codeInvalidField = "invalid_field"
	codeMethod       = "method_not_allowed"
	codeConflict     = "conflict"
	codeLarge        = "too_large"
	codeMediaType    = "unsupported_media_type"
	codeQueueFull    = "queue_full"
	codeUnavailable  = "unavailable"
)

var statusOf = map[string]int{
	codeInvalidJSON:  http.StatusBadRequest,
	codeInvalidField: http.StatusBadRequest,
	codeMethod:       http.StatusMethodNotAllowed,
	codeConflict:     http.StatusConflict,
	codeLarge:        http.StatusRequestEntityTooLarge,
	codeMediaType:    http.StatusUnsupportedMediaType,
	codeQueueFull:    http.StatusTooManyRequests,
	codeUnavailable:  http.StatusServiceUnavailable,
}

func problemf(code, format string, args ...any) *problem {
	return &problem{Code: code, Message: fmt.Sprintf(format, args...), status: statusOf[code]}
}

// problemWith tells what stopped the job with this id. An error it does not
// know came from an engine that did not answer; its text stays inside.
func problemWith(id string, err error) *problem {
	var field *FieldError
	switch {
	case errors.As(err, &field) && field.Field == "":
		return problemf(codeInvalidJSON, "%s", field.Message)
	case errors.As(err, &field):
		p := problemf(codeInvalidField, "%s", field.Message)
		p.Field = field.Field
		return p
	case errors.Is(err, ErrConflict):
		p := problemf(codeConflict, "the id %s belongs to a job with other content or another sender", id)
		p.Field = "id"
		return p
	case errors.Is(err, ErrTooLarge):
		return problemf(codeLarge, "the job is larger than the queue takes")
	case errors.Is(err, ErrQueueFull):
		return problemf(codeQueueFull, "the queue is full; repeat the job with the id %s", id)
	default:
		return problemf(codeUnavailable, "the job may or may not have been taken; repeat it with the id %s", id)
	}
}

// later reports whether the same request may succeed after a while.
func (p *problem) later() bool {
	return p.status == http.StatusTooManyRequests || p.status == http.StatusServiceUnavailable
}

// writeProblem answers the whole request with p. Where waiting helps it says
// how long, in whole seconds.
func writeProblem(w http.ResponseWriter, p *problem, retryAfter time.Duration) {
	writeHeader(w, p, retryAfter)
	writeJSON(w, struct {
		Error *problem `json:"error"`
	}{p})
}

func writeHeader(w http.ResponseWriter, p *problem, retryAfter time.Duration) {
	w.Header().Set("Content-Type", "application/json")
	if p.later() {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(retryAfter.Seconds()))))
	}
	w.WriteHeader(p.status)
}

func writeJSON(w http.ResponseWriter, v any) {
	_ = json.NewEncoder(w).Encode(v) // a client that hung up repeats its request
}
