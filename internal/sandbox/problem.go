package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// problem is an error in the provider's form. Its texts are the sandbox's own.
type problem struct {
	Code     int    `json:"code"`
	Message  string `json:"message"`
	MoreInfo string `json:"more_info"`
	Status   int    `json:"status"`
}

func newProblem(status, code int, message string) *problem {
	return &problem{
		Code: code, Message: message, Status: status,
		MoreInfo: fmt.Sprintf("https://www.twilio.com/docs/errors/%d", code),
	}
}

// refuse is a problem with the request itself.
func refuse(code int, message string) *problem {
	return newProblem(http.StatusBadRequest, code, message)
}

func (p *problem) write(w http.ResponseWriter) {
	writeJSON(w, p.Status, p)
}

// fieldError is an error of the /sandbox/ endpoints, in the product's form.
type fieldError struct{ field, message string }

func badField(field, message string) *fieldError {
	return &fieldError{field, message}
}

func (e *fieldError) Error() string {
	if e.field == "" {
		return e.message
	}
	return e.field + " " + e.message
}

func (e *fieldError) write(w http.ResponseWriter) {
	writeJSON(w, http.StatusBadRequest, map[string]any{"error": map[string]string{
		"code": "invalid_field", "message": e.Error(), "field": e.field,
	}})
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // the client has gone; nothing to tell it
}
