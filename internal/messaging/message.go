package messaging

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	minValidity = time.Second
	maxValidity = 36000 * time.Second // Twilio: ValidityPeriod is 1 to 36000 seconds
)

// SandboxNumber is the provider's own sandbox, a sender that everybody may try,
// and SandboxMPS how fast it may be used: Twilio takes one message in 3 s. Those
// that leave evenly do not arrive so, hence an eighth of a second more.
const (
	SandboxNumber = "14155238886"
	SandboxMPS    = 0.32
)

// Message is one message to send, its fields named as in the Messages API.
// Empty fields are not sent. Addresses are opaque (whatsapp:+E.164, or
// whatsapp:CC.xxxx for users without a number) and go out as given.
type Message struct {
	From                string // a sender, or empty with MessagingServiceSID
	MessagingServiceSID string // MG…; together with From it forces a sender of the service
	To                  string
	Body                string

	// ContentSID (HX…) names a template. With it neither Body nor MediaURL is
	// sent (Twilio error 63016).
	ContentSID       string
	ContentVariables string // a JSON object of strings, as text

	MediaURL       []string
	StatusCallback string

	// Validity is how long the message may wait in the provider's queue,
	// rounded down to whole seconds, 1 s to 10 h. It is always sent, so that a
	// message whose answer was lost has a latest end. 0 is 10 h.
	Validity time.Duration
}

func (m Message) form() url.Values {
	v := url.Values{"ValidityPeriod": {strconv.Itoa(m.validitySeconds())}}
	set := func(name, value string) {
		if value != "" {
			v.Set(name, value)
		}
	}
	set("From", m.From)
	set("MessagingServiceSid", m.MessagingServiceSID)
	set("To", m.To)
	set("ContentSid", m.ContentSID)
	set("ContentVariables", m.ContentVariables)
	set("StatusCallback", m.StatusCallback)
	if m.ContentSID == "" {
		set("Body", m.Body)
		if len(m.MediaURL) > 0 {
			v["MediaUrl"] = m.MediaURL
		}
	}
	return v
}

func (m Message) validitySeconds() int {
	if m.Validity == 0 {
		return int(maxValidity / time.Second)
	}
	return int(min(max(m.Validity, minValidity), maxValidity) / time.Second)
}

// Resource is a message as the provider knows it. The provider may leave any
// field but SID empty; From is, for instance, until a messaging service has
// picked a sender, and Body for a template not yet rendered.
type Resource struct {
	SID                 string // SM… or MM…
	AccountSID          string
	From                string
	To                  string
	Body                string
	Status              string // an open set: accepted, queued, sent, delivered …
	Direction           string // outbound-api for messages made by Create
	MessagingServiceSID string
	ErrorCode           int // 0: none
	ErrorMessage        string

	// Whole seconds, zero when the provider has none (or none that can be read).
	DateCreated time.Time
	DateUpdated time.Time
	DateSent    time.Time
}

type wireResource struct {
	SID                 string   `json:"sid"`
	AccountSID          string   `json:"account_sid"`
	From                string   `json:"from"`
	To                  string   `json:"to"`
	Body                string   `json:"body"`
	Status              string   `json:"status"`
	Direction           string   `json:"direction"`
	MessagingServiceSID string   `json:"messaging_service_sid"`
	ErrorCode           flexInt  `json:"error_code"`
	ErrorMessage        string   `json:"error_message"`
	DateCreated         wireTime `json:"date_created"`
	DateUpdated         wireTime `json:"date_updated"`
	DateSent            wireTime `json:"date_sent"`
}

func (w wireResource) resource() Resource {
	return Resource{
		SID: w.SID, AccountSID: w.AccountSID, From: w.From, To: w.To, Body: w.Body,
		Status: w.Status, Direction: w.Direction, MessagingServiceSID: w.MessagingServiceSID,
		ErrorCode: int(w.ErrorCode), ErrorMessage: w.ErrorMessage,
		DateCreated: w.DateCreated.Time, DateUpdated: w.DateUpdated.Time, DateSent: w.DateSent.Time,
	}
}

// decodeResource reads a message. A field of a type nobody expects is skipped:
// what matters is the SID, and a message that has one exists.
func decodeResource(body []byte) (Resource, error) {
	var wire wireResource
	if err := json.Unmarshal(body, &wire); err != nil && !isTypeMismatch(err) {
		return Resource{}, fmt.Errorf("the answer is not JSON: %w", err)
	}
	if wire.SID == "" {
		return Resource{}, errors.New("the answer names no message SID")
	}
	return wire.resource(), nil
}

// page is one page of a list; next is the path of the following one, empty at
// the end.
type page struct {
	resources []Resource
	next      string
}

func decodePage(body []byte) (page, error) {
	var wire struct {
		Messages []wireResource `json:"messages"`
		Next     string         `json:"next_page_uri"`
	}
	if err := json.Unmarshal(body, &wire); err != nil && !isTypeMismatch(err) {
		return page{}, fmt.Errorf("the list is not JSON: %w", err)
	}
	if wire.Messages == nil {
		return page{}, errors.New("the list has no messages field")
	}
	// Appended to the base URL, a path stays on its host. Anything else could
	// carry the credentials to another one.
	if wire.Next != "" && !strings.HasPrefix(wire.Next, "/") {
		return page{}, errors.New("the list continues outside the API")
	}
	p := page{next: wire.Next, resources: make([]Resource, 0, len(wire.Messages))}
	for _, m := range wire.Messages {
		if m.SID == "" {
			return page{}, errors.New("the list holds a message without SID")
		}
		p.resources = append(p.resources, m.resource())
	}
	return p, nil
}

func isTypeMismatch(err error) bool {
	var mismatch *json.UnmarshalTypeError
	return errors.As(err, &mismatch)
}

// flexInt reads a number, or a string of digits, as some answers have it.
type flexInt int

func (n *flexInt) UnmarshalJSON(data []byte) error {
	if v, err := strconv.Atoi(string(bytes.Trim(data, `"`))); err == nil {
		*n = flexInt(v)
	}
	return nil
}

// wireTime reads the date format of the Messages API, RFC 2822.
type wireTime struct{ time.Time }

func (t *wireTime) UnmarshalJSON(data []byte) error {
	text := string(bytes.Trim(data, `"`))
	for _, layout := range []string{"Mon, 2 Jan 2006 15:04:05 -0700", "Mon, 2 Jan 2006 15:04:05 GMT"} {
		if at, err := time.Parse(layout, text); err == nil {
			t.Time = at.UTC()
			return nil
		}
	}
	return nil
}
