package sandbox

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The states of a template with WhatsApp.
const (
	templateUnsubmitted = "unsubmitted"
	templateReceived    = "received"
	templatePending     = "pending"
	templateApproved    = "approved"
	templateRejected    = "rejected"
	templatePaused      = "paused"
	templateDisabled    = "disabled"
)

var templateStates = []string{
	templateUnsubmitted, templateReceived, templatePending, templateApproved,
	templateRejected, templatePaused, templateDisabled,
}

// template is one content resource and how it stands with WhatsApp.
type template struct {
	SID       string            `json:"sid"`
	Account   string            `json:"account,omitempty"` // empty: every account sees it
	Name      string            `json:"name"`
	Language  string            `json:"language"`
	Variables map[string]string `json:"variables"` // with their samples
	Types     json.RawMessage   `json:"types,omitempty"`
	Category  string            `json:"category,omitempty"`
	Asked     string            `json:"asked,omitempty"` // the name it was submitted under
	Reason    string            `json:"reason,omitempty"`
	Shared    bool              `json:"shared,omitempty"` // of the provider's shared number
	Made      time.Time         `json:"made"`
	Course    course            `json:"course"`
}

func text(body string) json.RawMessage {
	data, _ := json.Marshal(map[string]any{"twilio/text": map[string]string{"body": body}}) // strings are always marshalled
	return data
}

// What a template that is not approved, or not filled, ends its message with.
var refusedTemplates = map[string]int{
	templateApproved: 0,
	templateRejected: 63040,
	templatePaused:   63041,
	templateDisabled: 63042,
}

const (
	codeUnfilled = 63028 // a variable has no value
	codePolicy   = 63013 // a value that WhatsApp does not allow
)

// refusal is the error that a message with this template ends with outside the
// customer service window, 0 for none.
func (t *template) refusal(filled map[string]string, now time.Time) int {
	status := t.Course.at(now)
	code, known := refusedTemplates[status]
	if !known {
		return codeNeedsTemplate // not approved yet: as good as free form
	}
	if code != 0 {
		return code
	}
	for name, sample := range t.Variables {
		value, given := filled[name]
		switch {
		case !given && sample == "":
			return codeUnfilled
		case given && forbidden(value):
			return codePolicy
		}
	}
	return 0
}

// spaces that WhatsApp does not allow in a variable.
var badSpaces = regexp.MustCompile(`[\n\r\t]| {5,}`)

func forbidden(value string) bool {
	return strings.TrimSpace(value) == "" || badSpaces.MatchString(value)
}

// knownTemplate refuses a template that does not exist: in a strict sandbox,
// and for the shared number, which has its own alone. The caller holds mu.
func (s *Sandbox) knownTemplate(req request, sender string) *problem {
	t := s.templates[req.content]
	unknown := req.template && (s.cfg.Strict && t == nil || sender == sharedNumber && (t == nil || !t.Shared))
	if unknown {
		return refuse(21655, "there is no template with this ContentSid")
	}
	return nil
}

// setTemplate journals and applies a template. The caller holds mu, or owns s
// alone.
func (s *Sandbox) setTemplate(t template) error {
	if !contentSID.MatchString(t.SID) || !t.Course.valid() {
		return badField("sid", "must be HX and 32 hexadecimal digits")
	}
	if err := s.journal.write(record{Template: &t}); err != nil {
		return err
	}
	if t.Course.at(t.Course.Since) == statusDeleted {
		delete(s.templates, t.SID)
		return nil
	}
	s.templates[t.SID] = &t
	return nil
}

// TemplatePatch is what to set of a template; nil fields stay as they are.
type TemplatePatch struct {
	Status    *string            `json:"status"`   // as in approved, paused, rejected
	Category  *string            `json:"category"` // UTILITY, MARKETING or AUTHENTICATION
	Reason    *string            `json:"rejection_reason"`
	Variables *map[string]string `json:"variables"` // with their samples
}

// PutTemplate sets fields of a template, making an approved one where it is
// unknown.
func (s *Sandbox) PutTemplate(sid string, patch TemplatePatch) error {
	switch {
	case !contentSID.MatchString(sid):
		return badField("sid", "must be HX and 32 hexadecimal digits")
	case patch.Status != nil && !slices.Contains(templateStates, *patch.Status):
		return badField("status", "must be "+strings.Join(templateStates, ", "))
	case patch.Category != nil && !slices.Contains(categories, *patch.Category):
		return badField("category", "must be "+strings.Join(categories, ", "))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := template{SID: sid, Name: "put_by_hand", Language: "en", Category: "UTILITY", Made: s.tick(), Course: always(templateApproved)}
	if old := s.templates[sid]; old != nil {
		t = *old
	}
	if patch.Status != nil {
		t.Course = always(*patch.Status)
	}
	set(&t.Category, patch.Category)
	set(&t.Reason, patch.Reason)
	set(&t.Variables, patch.Variables)
	return s.setTemplate(t)
}

var categories = []string{"UTILITY", "MARKETING", "AUTHENTICATION"}
