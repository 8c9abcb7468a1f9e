package sandbox

import (
	"strings"
	"time"
)

// The provider's own sandbox is a number that everybody shares, for trying
// things out. It reaches only customers who have sent it the join words in the
// last three days, one message in three seconds, and outside the customer
// service window with three templates only.
const (
	sharedNumber  = "14155238886"
	joinWords     = "join steady-river"
	joinLasts     = 72 * time.Hour
	sharedSpacing = 3 * time.Second

	codeNotJoined = 63015
)

// exampleTemplate is what the examples and the demo send.
const exampleTemplate = "HX00000000000000000000000000000001"

// firstTemplates are approved from the start: the shared number's and that of
// the examples.
func firstTemplates() map[string]*template {
	example := template{
		SID: exampleTemplate, Name: "example", Language: "en", Category: "UTILITY",
		Types: text("Thank you for your order, {{1}}."), Course: always(templateApproved),
	}
	all := map[string]*template{exampleTemplate: &example}
	for _, t := range []template{
		{SID: "HXb5b62575e6e4ff6129ad7c8efe1f983e", Name: "appointment_reminders", Category: "UTILITY",
			Variables: map[string]string{"1": "12/1", "2": "3pm"},
			Types:     text("Your appointment is coming up on {{1}} at {{2}}.")},
		{SID: "HX350d429d32e64a552466cafecbe95f3c", Name: "order_notifications", Category: "UTILITY",
			Variables: map[string]string{"1": "12/1", "2": "3pm"},
			Types:     text("Your order of {{1}} has shipped and should be delivered on {{2}}.")},
		{SID: "HX229f5a04fd0510ce1b071852155d3e75", Name: "verification_codes", Category: "AUTHENTICATION",
			Variables: map[string]string{"1": "409173"},
			Types:     text("{{1}} is your verification code.")},
	} {
		t.Language, t.Shared, t.Course = "en", true, always(templateApproved)
		all[t.SID] = &t
	}
	return all
}

// hearJoin notes a customer who joins the shared number, or leaves it. The
// caller holds mu, or owns s alone.
func (s *Sandbox) hearJoin(rec receivedRecord) {
	if rec.To != "whatsapp:+"+sharedNumber {
		return
	}
	switch {
	case strings.EqualFold(strings.TrimSpace(rec.Body), joinWords):
		s.joined[s.customer(rec.From)] = rec.At
	case rec.OptsOut != nil && *rec.OptsOut:
		delete(s.joined, s.customer(rec.From))
	}
}

// barred is the error that a message ends with whatever the limits, 0 for none:
// by the rules of the shared number, or by the state of its template. The
// caller holds mu.
func (s *Sandbox) barred(snd *sender, m *message) int {
	if snd.id == sharedNumber {
		joined, ok := s.joined[m.customer]
		switch {
		case !ok || m.accepted.Sub(joined) >= joinLasts:
			return codeNotJoined
		case !snd.last.IsZero() && m.accepted.Sub(snd.last) < sharedSpacing:
			return codeOverLimit
		}
	}
	if t := s.templates[m.request.content]; t != nil && m.request.template && !m.inWindow {
		return t.refusal(m.request.filled, m.accepted)
	}
	return 0
}
