// Package templates knows what the provider says of templates: whether
// WhatsApp approved them, under which category, and what fills their variables.
//
// It knows it from memory. A template is read when it is first used and again
// when what is known has grown old; while it can't be read, nothing is said
// against it, and the provider decides.
package templates

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Template is what is known of one.
type Template struct {
	Status    string            // with WhatsApp, in lower case; empty: never submitted
	Category  string            // in lower case; empty: none yet
	Reason    string            // why it was rejected
	Variables map[string]string // with the samples that stand in for what a message leaves out
}

// Trouble is why a template cannot go outside the customer service window.
type Trouble struct {
	Field   string // of a job: content_sid or content_variables
	Message string
	Paused  bool // by Meta, for a while
}

// Check says what keeps the template, filled so, from going outside the
// customer service window; nil for nothing. A status that this version does
// not know keeps nothing back.
func (t Template) Check(filled map[string]string) *Trouble {
	switch t.Status {
	case "", "unsubmitted":
		return &Trouble{Field: "content_sid", Message: "the template was never submitted to WhatsApp for approval"}
	case "received", "pending":
		return &Trouble{Field: "content_sid", Message: "the template is not approved yet, it is " + t.Status}
	case "rejected", "disabled":
		message := "the template is " + t.Status + " by Meta"
		if t.Reason != "" {
			message += ": " + t.Reason
		}
		return &Trouble{Field: "content_sid", Message: message}
	case "paused":
		return &Trouble{Field: "content_sid", Message: "the template is paused by Meta", Paused: true}
	}
	return t.checkVariables(filled)
}

// spaces that WhatsApp refuses in a variable: line breaks, tabs, more than four
// blanks in a row (error 63013).
var spaces = regexp.MustCompile(`[\n\r\t]| {5,}`)

// checkVariables checks those that the template knows; what else is given, the
// provider ignores.
func (t Template) checkVariables(filled map[string]string) *Trouble {
	for _, name := range slices.Sorted(maps.Keys(t.Variables)) {
		value, given := filled[name]
		said := ""
		switch {
		case !given && t.Variables[name] == "":
			said = "is filled neither by the job nor by the template"
		case given && strings.TrimSpace(value) == "":
			said = "is empty"
		case given && spaces.MatchString(value):
			said = "holds a line break, a tab or more than four blanks in a row"
		default:
			continue
		}
		return &Trouble{Field: "content_variables", Message: fmt.Sprintf("variable %q %s", name, said)}
	}
	return nil
}
