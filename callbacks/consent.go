package callbacks

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/sluicehq/sluice/delivery"
)

// Consents stores what customers say about being written to. It is called
// concurrently.
type Consents interface {
	// Record stores that customer wants (out is false) or does not want (out is
	// true) messages of sender, both addresses as in events. source is
	// "customer" for their own words, "provider" for a refusal by the provider.
	// When it returns nil, this statement or a later one survives a crash and
	// holds for the next send; recording it again changes nothing.
	Record(ctx context.Context, customer, sender string, out bool, source string, at time.Time) error
}

// The sources of a statement.
const (
	sourceCustomer = "customer"
	sourceProvider = "provider"
)

// The reasons of a consent event.
const (
	reasonOut = "out"
	reasonIn  = "in"
)

// codeOptedOut is Twilio error 21610: the customer has opted out at the
// provider, of the number, the channel's sender or the messaging service.
const codeOptedOut = 21610

// optOutWords are the English words that Twilio takes for an opt-out.
func optOutWords() []string {
	return []string{"STOP", "UNSUBSCRIBE", "END", "QUIT", "STOPALL", "REVOKE", "OPTOUT", "CANCEL"}
}

// optInWords leave out YES, which Twilio takes on some channels: it answers
// too many other questions.
func optInWords() []string { return []string{"START", "UNSTOP"} }

// keywords are the texts by which customers opt out and in.
type keywords struct{ out, in []string }

// said reports whether an inbound form speaks of consent, and which way. Where
// Twilio's Advanced Opt-Out has understood a word, also in another language, its
// reading counts and the text does not.
func (k keywords) said(form url.Values) (out, ok bool) {
	switch strings.ToUpper(form.Get("OptOutType")) {
	case "STOP":
		return true, true
	case "START":
		return false, true
	}
	text := bare(form.Get("Body"))
	is := func(word string) bool { return strings.EqualFold(bare(word), text) }
	switch {
	case text == "":
		return false, false
	case slices.ContainsFunc(k.out, is):
		return true, true
	default:
		return false, slices.ContainsFunc(k.in, is)
	}
}

// bare is a text without what surrounds its words: blanks, punctuation, symbols
// and, with the selectors that shape them, emoji.
func bare(text string) string {
	return strings.TrimFunc(text, func(r rune) bool {
		return unicode.In(r, unicode.P, unicode.S, unicode.Z, unicode.C, unicode.Variation_Selector)
	})
}

// statement is what a form says about consent. A customer who is known by two
// addresses means both, and a message that went through a messaging service is
// about the service as about its number: jobs may name either.
type statement struct {
	sid       string // of the message that says it, or was refused for it
	customers []string
	senders   []string
	out       bool
	source    string
}

// given leaves out addresses that the form does not have.
func given(addresses ...string) []string {
	return slices.DeleteFunc(addresses, func(address string) bool { return address == "" })
}

// service is the messaging service that a form names, empty for none.
func service(form url.Values) string {
	sid := form.Get("MessagingServiceSid")
	if delivery.SenderToken(sid) != sid { // an address has another token than itself
		return ""
	}
	return sid
}

// event tells of the statement. It names the addresses that the provider put
// into From and To.
func (s statement) event(at time.Time) delivery.Event {
	reason := reasonIn
	if s.out {
		reason = reasonOut
	}
	return delivery.Event{
		ID: "consent:" + s.sid, Type: delivery.EventConsent, At: at.UTC(),
		From: s.senders[0], To: s.customers[0], SID: s.sid, Reason: reason,
	}
}

// heard makes a statement true: first the facts, then the event. The event is
// the mark that all of it is written; until then a repetition writes it again,
// as of its own time.
func (h *Handler) heard(ctx context.Context, s statement, at time.Time) (result string, err error) {
	event := s.event(at)
	if h.recent.has(event.ID) {
		return resultRepeated, nil
	}
	for _, customer := range s.customers {
		for _, sender := range s.senders {
			// Once recorded it holds for the next send. A crash here leaves
			// the further addresses and the event to the provider's repetition.
			if err := h.consents.Record(ctx, customer, sender, s.out, s.source, at); err != nil {
				return resultFailed, err
			}
		}
	}
	return h.store(ctx, event)
}
