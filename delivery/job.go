package delivery

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Category is the kind of conversation a job opens, as WhatsApp prices it.
type Category string

// The categories of the WhatsApp Business Platform.
const (
	Authentication Category = "authentication"
	Utility        Category = "utility"
	Marketing      Category = "marketing"
	Service        Category = "service"
)

// Categories lists every category.
func Categories() []Category { return []Category{Authentication, Utility, Marketing, Service} }

// Priority is the lane a job travels in.
type Priority string

// The priorities, first to last.
const (
	High   Priority = "high"
	Normal Priority = "normal"
	Low    Priority = "low"
)

// Priorities lists every priority, the most urgent first.
func Priorities() []Priority { return []Priority{High, Normal, Low} }

// OnUnknown says what to do when no evidence of a message is found after an
// unclear outcome.
type OnUnknown string

// The answers to an outcome that stays unknown.
const (
	Resend OnUnknown = "resend" // the default: send again, as a new attempt
	Hold   OnUnknown = "hold"   // wait for a person
)

// Platform limits on one message (Messages API, 2010-04-01).
const (
	MaxBody     = 1600     // characters; error 21617 beyond
	MaxMedia    = 10       // URLs; error 21623 beyond
	MaxID       = 128      // characters
	MaxMetadata = 2 * 1024 // bytes of keys and values together
)

// Job is one notification an application asks for. Its JSON form is the one
// of the HTTP API and of messages on sluice.jobs.>; field names follow the
// Messages API.
type Job struct {
	// ID is the idempotency key, global: the same id with the same content is
	// the same job.
	ID string `json:"id,omitempty"`
	// From is the sender, "whatsapp:+<E.164>"; exactly one of From and
	// MessagingServiceSID is set.
	From                string `json:"from,omitempty"`
	MessagingServiceSID string `json:"messaging_service_sid,omitempty"`
	// To is the customer: "whatsapp:+<E.164>" or "whatsapp:CC.xxxx".
	To string `json:"to,omitempty"`

	// ContentSID names an approved template, filled with ContentVariables.
	ContentSID       string    `json:"content_sid,omitempty"`
	ContentVariables Variables `json:"content_variables,omitempty"`
	// Body and MediaURL are free form, possible while the customer service
	// window is open. A job with both forms goes free form inside the window
	// and as the template outside it.
	Body     string   `json:"body,omitempty"`
	MediaURL []string `json:"media_url,omitempty"`

	// Category is what the job was told to be. A job that names none has the one
	// that Meta put its template into, which only the provider knows; without a
	// template, or where nobody knows, it is utility.
	Category Category `json:"category,omitempty"`
	Priority Priority `json:"priority,omitempty"` // default from Category

	SendAt    time.Time `json:"send_at,omitzero"`    // not before; zero: now
	ExpiresAt time.Time `json:"expires_at,omitzero"` // not after; zero: never

	OnUnknown OnUnknown `json:"on_unknown,omitempty"` // default resend
	// Metadata is handed back in state and events.
	Metadata map[string]string `json:"metadata,omitempty"`
}

// Sender is the token of the job's sender, empty while the job is not valid.
func (j Job) Sender() string {
	if j.MessagingServiceSID != "" {
		return SenderToken(j.MessagingServiceSID)
	}
	return SenderToken(j.From)
}

// Origin is what the job is sent from: the number, or the messaging service.
func (j Job) Origin() string {
	if j.MessagingServiceSID != "" {
		return j.MessagingServiceSID
	}
	return j.From
}

// FreeForm reports whether the job can go inside a customer service window
// without its template.
func (j Job) FreeForm() bool { return j.Body != "" || len(j.MediaURL) > 0 }

// Template reports whether the job can go outside a customer service window.
func (j Job) Template() bool { return j.ContentSID != "" }

// WithDefaults fills what the request left open. The priority comes from the
// category where the job names one, else from lane, the subject it was
// published on; an empty lane stands for none. The category of a template is
// left open: it may change as long as the job has not gone.
func (j Job) WithDefaults(lane Priority) Job {
	if j.Priority == "" {
		switch {
		case j.Category != "":
			j.Priority = j.Category.priority()
		case lane != "":
			j.Priority = lane
		default:
			j.Priority = Utility.priority()
		}
	}
	if j.Category == "" && !j.Template() {
		j.Category = Utility
	}
	if j.OnUnknown == "" {
		j.OnUnknown = Resend
	}
	return j
}

func (c Category) priority() Priority {
	switch c {
	case Authentication:
		return High
	case Marketing:
		return Low
	default:
		return Normal
	}
}

// FieldError is a violation of a job's rules; it names the field.
type FieldError struct {
	Field   string // JSON name; empty when the whole text is at fault
	Message string
}

func (e *FieldError) Error() string {
	if e.Field == "" {
		return e.Message
	}
	return e.Field + ": " + e.Message
}

func fieldErrorf(field, format string, args ...any) error {
	return &FieldError{Field: field, Message: fmt.Sprintf(format, args...)}
}

var (
	idPattern      = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._:-]*[A-Za-z0-9])?$`)
	contentPattern = regexp.MustCompile(`^HX[0-9a-fA-F]{32}$`)
)

// ValidID reports whether id can be a job's: 1 to 128 of [A-Za-z0-9._:-], a
// letter or digit at both ends, and no "..", so that it can stand in a path.
func ValidID(id string) bool {
	return len(id) <= MaxID && idPattern.MatchString(id) && !strings.Contains(id, "..")
}

// Validate checks every rule of a job whose defaults are filled. The error is
// a [*FieldError].
func (j Job) Validate() error {
	for _, rule := range []func() error{
		j.checkID, j.checkSender, j.checkCustomer, j.checkTemplate, j.checkFreeForm,
		j.checkChoices, j.checkTimes, j.checkMetadata,
	} {
		if err := rule(); err != nil {
			return err
		}
	}
	return nil
}

func (j Job) checkID() error {
	if !ValidID(j.ID) {
		return fieldErrorf("id", "must be 1 to %d of A-Z a-z 0-9 . _ : - with a letter or digit at both ends and no \"..\"", MaxID)
	}
	return nil
}

func (j Job) checkSender() error {
	switch {
	case j.From != "" && j.MessagingServiceSID != "":
		return fieldErrorf("messaging_service_sid", "give either from or messaging_service_sid, not both")
	case j.MessagingServiceSID != "" && !servicePattern.MatchString(j.MessagingServiceSID):
		return fieldErrorf("messaging_service_sid", "must be MG and 32 hexadecimal digits")
	case j.MessagingServiceSID == "" && j.From == "":
		return fieldErrorf("from", "is required (or messaging_service_sid)")
	case j.MessagingServiceSID == "" && !ValidPhone(j.From):
		return fieldErrorf("from", "must be whatsapp:+ and 7 to 15 digits, the first not 0")
	}
	return nil
}

func (j Job) checkCustomer() error {
	if j.To == "" {
		return fieldErrorf("to", "is required")
	}
	if !ValidCustomer(j.To) {
		return fieldErrorf("to", "must be whatsapp:+ and 7 to 15 digits, the first not 0, or whatsapp:CC.id of at most %d characters", maxAddress)
	}
	if j.To == j.From {
		return fieldErrorf("to", "is the sender itself")
	}
	return nil
}

func (j Job) checkTemplate() error {
	if j.ContentSID != "" && !contentPattern.MatchString(j.ContentSID) {
		return fieldErrorf("content_sid", "must be HX and 32 hexadecimal digits")
	}
	if len(j.ContentVariables) > 0 && j.ContentSID == "" {
		return fieldErrorf("content_variables", "needs content_sid")
	}
	return nil
}

func (j Job) checkFreeForm() error {
	if !j.FreeForm() && !j.Template() {
		return fieldErrorf("body", "one of body, media_url and content_sid is required")
	}
	if n := utf8.RuneCountInString(j.Body); n > MaxBody {
		return fieldErrorf("body", "has %d characters, at most %d are allowed", n, MaxBody)
	}
	if len(j.MediaURL) > MaxMedia {
		return fieldErrorf("media_url", "has %d entries, at most %d are allowed", len(j.MediaURL), MaxMedia)
	}
	for i, raw := range j.MediaURL {
		u, err := url.Parse(raw)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return fieldErrorf("media_url", "entry %d is not an http or https URL", i+1)
		}
	}
	return nil
}

func (j Job) checkChoices() error {
	switch {
	case slices.Contains(Categories(), j.Category):
	case j.Category == "" && j.Template():
	default:
		return fieldErrorf("category", "must be authentication, utility, marketing or service")
	}
	switch j.Priority {
	case High, Normal, Low:
	default:
		return fieldErrorf("priority", "must be high, normal or low")
	}
	switch j.OnUnknown {
	case Resend, Hold:
	default:
		return fieldErrorf("on_unknown", "must be resend or hold")
	}
	return nil
}

func (j Job) checkTimes() error {
	// A time's own zone can take it to a year that RFC 3339 cannot write in UTC.
	if y := j.SendAt.UTC().Year(); y < 1 || y > 9999 {
		return fieldErrorf("send_at", "must lie in the years 1 to 9999")
	}
	if y := j.ExpiresAt.UTC().Year(); y < 1 || y > 9999 {
		return fieldErrorf("expires_at", "must lie in the years 1 to 9999")
	}
	if !j.ExpiresAt.IsZero() && !j.SendAt.IsZero() && !j.ExpiresAt.After(j.SendAt) {
		return fieldErrorf("expires_at", "must be later than send_at")
	}
	return nil
}

func (j Job) checkMetadata() error {
	size := 0
	for k, v := range j.Metadata {
		size += len(k) + len(v)
	}
	if size > MaxMetadata {
		return fieldErrorf("metadata", "has %d bytes, at most %d are allowed", size, MaxMetadata)
	}
	return nil
}
