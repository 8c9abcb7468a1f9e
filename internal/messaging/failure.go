package messaging

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Failure says what is known about a call that did not succeed. Every error of
// a Client, a SendersClient or a ContentClient is one.
type Failure struct {
	// Class says what to do with the message. See the constants.
	Class Class

	// Written says that a POST was begun on a connection, so that part of it
	// may have reached the provider. False is certain: no byte of it was or will
	// be sent. It is never true of reading, which changes nothing and may always
	// be repeated.
	Written bool

	HTTPStatus int    // 0: no answer came
	Code       int    // the provider's error code, 0: none readable
	Message    string // the provider's words, addresses in them shortened

	// RetryAfter is how long the provider asks to wait, at most a day; 0: it
	// did not say.
	RetryAfter time.Duration

	RequestID string // Twilio-Request-Id, for the provider's support
	Err       error  // the cause in the network or in reading the answer, if any

	api    string // the API's name, for people
	advice string
}

// Error says what happened, and what to do next where the catalogue knows it.
func (f *Failure) Error() string {
	var b strings.Builder
	b.WriteString(cmp.Or(f.api, "messages api") + ": ")
	if f.HTTPStatus == 0 {
		b.WriteString("no answer")
	} else {
		fmt.Fprintf(&b, "http %d", f.HTTPStatus)
	}
	if f.Code != 0 {
		fmt.Fprintf(&b, ", error %d", f.Code)
	}
	fmt.Fprintf(&b, " (%s)", f.Class)
	if f.Message != "" {
		b.WriteString(": " + f.Message)
	}
	if f.Err != nil {
		b.WriteString(": " + f.Err.Error())
	}
	if advice := cmp.Or(f.advice, f.Class.advice()); advice != "" {
		b.WriteString("; " + advice)
	}
	return b.String()
}

// Unwrap returns Err.
func (f *Failure) Unwrap() error { return f.Err }

// judge returns nil for an answer of success that was read whole.
func (c *caller) judge(r reply) *Failure {
	if r.status/100 == 2 && r.err == nil {
		return nil
	}
	var p problem
	if r.err == nil {
		p = decodeProblem(r.body)
	}
	f := c.failure(r)
	f.Code, f.Message = p.Code, p.Message
	f.Class = c.catalogue.classify(r.status, p.Code, r.written)
	if entry, ok := c.catalogue.entries[p.Code]; ok && entry.Class == f.Class {
		f.advice = entry.Action
	}
	return f
}

// unreadable is the failure of an answer of success without its content.
func (c *caller) unreadable(r reply, err error) *Failure {
	r.err = err
	f := c.failure(r)
	f.Class = unclear(r.written)
	return f
}

func (c *caller) failure(r reply) *Failure {
	return &Failure{api: c.api, Written: r.written, HTTPStatus: r.status, RetryAfter: r.retryAfter, RequestID: r.requestID, Err: r.err}
}

// classify decides the class of a call that did not succeed, from the HTTP
// status (0: no answer), the provider's code (0: none readable) and whether a
// POST was begun on a connection.
func (c *Catalogue) classify(status, code int, written bool) Class {
	switch {
	case status == 429: // Twilio error 20429: never processed, whatever was written
		return Throttled
	case status == 408: // a proxy gave up; nobody says how far the request had come
		return unclear(written)
	case status/100 == 3: // the base URL is not the API's, whatever the message
		return AccountBroken
	case status/100 == 4 && code != 0:
		if class := c.Lookup(code).Class; class != Unknown {
			return class
		}
		return unclear(written)
	case status == 401, status == 403, status == 404, status == 405:
		return AccountBroken // the API's door, or no API at all
	case status/100 == 4: // something in this request, which would bar its sender's way for good
		return Permanent
	}
	return unclear(written) // no answer, 5xx, or a success that could not be read
}

// unclear is the class when no answer decides: what was not written may be
// sent again, what was written may exist.
func unclear(written bool) Class {
	if written {
		return Unknown
	}
	return Retry
}

// problem is the JSON body of a refusal.
type problem struct {
	Code    int
	Message string
}

// decodeProblem reads what it can of a refusal: behind proxies it may be HTML.
func decodeProblem(body []byte) problem {
	var wire struct {
		Code    flexInt `json:"code"`
		Message string  `json:"message"`
	}
	if err := json.Unmarshal(body, &wire); err != nil && !isTypeMismatch(err) {
		return problem{}
	}
	return problem{Code: int(wire.Code), Message: maskAddresses(wire.Message)}
}

// addresses are phone numbers and the opaque ids of users without one
// (CC.xxxx), as the provider quotes them in its messages. SIDs are not: their
// digits stand inside a word.
var addresses = regexp.MustCompile(`\+\d[\d() .-]{4,}\d|\b\d{6,}\b|\b[A-Z]{2}\.(?:ENT\.)?[A-Za-z0-9]{5,}\b`)

// maskAddresses keeps the first three and the last two characters of every
// address in s.
func maskAddresses(s string) string {
	return addresses.ReplaceAllStringFunc(s, func(a string) string { return a[:3] + "…" + a[len(a)-2:] })
}
