package sandbox

import (
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

// maxInbound is how many characters a customer may write (WhatsApp's bound).
const maxInbound = 4096

// Inbound is a message a customer writes.
type Inbound struct {
	From string `json:"from"` // whatsapp:+… or whatsapp:CC.…
	To   string `json:"to"`   // a sender, whatsapp:+…, or an MG sid
	Body string `json:"body"`
	// ExternalUserID is the id, whatsapp:CC.…, of the customer whose number
	// stands in From. The webhook shows both, as WhatsApp does for customers
	// whose number a business knows.
	ExternalUserID string `json:"external_user_id,omitempty"`
}

func (in Inbound) check() error {
	switch {
	case !customerAddress(in.From):
		return badField("from", "must be whatsapp:+ and 7 to 15 digits, or whatsapp:CC.xxxx")
	case in.ExternalUserID != "" && (!phoneAddress.MatchString(in.From) || phoneAddress.MatchString(in.ExternalUserID) ||
		!customerAddress(in.ExternalUserID)):
		return badField("external_user_id", "must be whatsapp:CC.xxxx, beside a number in from")
	case !phoneAddress.MatchString(in.To) && !serviceSID.MatchString(in.To):
		return badField("to", "must be whatsapp:+ and 7 to 15 digits, or an MG sid")
	case in.Body == "" || utf8.RuneCountInString(in.Body) > maxInbound:
		return badField("body", "must be 1 to 4096 characters")
	}
	return nil
}

// sender is the token of the sender the customer writes to.
func (in Inbound) sender() string {
	return strings.TrimPrefix(in.To, "whatsapp:+")
}

// Receive lets a customer write to a sender: it opens the customer service
// window and posts the message to InboundURL, signed with the credentials the
// sender was last used with. A keyword such as STOP opts the customer out of
// this sender's messages (error 21610) until START. It returns the message's
// sid.
func (s *Sandbox) Receive(in Inbound) (sid string, err error) {
	if err := in.check(); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	auth := credentials{s.cfg.InboundAccount, s.cfg.InboundToken}
	snd, known := s.senders[in.sender()]
	if !known && s.cfg.Strict {
		return "", badField("to", "is no sender of this sandbox")
	}
	if known && snd.auth.secret != "" {
		auth = snd.auth
	}
	if s.cfg.InboundURL != "" && auth.secret == "" {
		return "", badField("to",
			"has no token to sign with yet: send from it first, or set the inbound account and token")
	}
	return s.hear(in, auth, nil)
}

// hear takes in a customer's message that was checked, which may be an item of
// another message's plan. The caller holds mu.
func (s *Sandbox) hear(in Inbound, auth credentials, of *leaving) (sid string, err error) {
	rec := receivedRecord{
		SID: newSID("SM"), At: s.tick(), From: in.From, To: in.To, Body: in.Body,
		OptsOut: optsOut(in.Body), UserID: in.ExternalUserID, Of: of,
	}
	if s.cfg.InboundURL != "" {
		rec.Account, rec.Secret = auth.account, []byte(auth.secret)
	}
	// Once the journal has it the customer has written: a crash from there on
	// delays the webhook until the next Open.
	if err := s.journal.write(record{Received: &rec}); err != nil {
		return "", err
	}
	s.due.add(s.received(rec)...)
	return rec.SID, nil
}

// received opens the customer service window, opts the customer out or in, and
// returns the webhook to post, if there is one. The caller holds mu, or owns s
// alone.
func (s *Sandbox) received(rec receivedRecord) []item {
	if rec.UserID != "" {
		s.identify(rec.UserID, rec.From)
	}
	who := pair{rec.From, Inbound{To: rec.To}.sender()}
	s.heard[who] = append(s.heard[who], rec)
	who.customer = s.customer(rec.From)
	s.heardFrom(who, rec.At)
	s.changed++
	s.hearJoin(rec)
	switch {
	case rec.OptsOut == nil:
	case *rec.OptsOut:
		s.stopped[who] = true
	default:
		delete(s.stopped, who)
	}
	if s.cfg.InboundURL == "" || len(rec.Secret) == 0 {
		return nil
	}
	hook := inboundHook(s.cfg.InboundURL, rec)
	hook.of = leaving{SID: rec.SID}
	return []item{{due: time.Now(), hook: hook}}
}

// inboundHook is the webhook for a customer's message.
func inboundHook(address string, rec receivedRecord) webhook {
	form := url.Values{
		"MessageSid": {rec.SID}, "SmsSid": {rec.SID}, "SmsMessageSid": {rec.SID},
		"SmsStatus": {"received"}, "AccountSid": {rec.Account}, "ApiVersion": {apiVersion},
		"From": {rec.From}, "To": {rec.To}, "Body": {rec.Body}, "MessageType": {"text"},
		"NumMedia": {"0"}, "NumSegments": {"1"}, "ProfileName": {"Sandbox Customer"},
	}
	if serviceSID.MatchString(rec.To) {
		form.Set("MessagingServiceSid", rec.To)
		form.Set("To", serviceNumber(rec.To))
	}
	if digits, ok := strings.CutPrefix(rec.From, "whatsapp:+"); ok {
		form.Set("WaId", digits)
		if rec.UserID != "" {
			form.Set("ExternalUserId", rec.UserID)
		}
	} else {
		form.Set("ExternalUserId", rec.From) // a user whose number is not known
	}
	return newWebhook(address, string(rec.Secret), form, rec.SID)
}
