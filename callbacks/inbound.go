package callbacks

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/sluicehq/sluice/delivery"
)

// MetadataExternalUser names, in an inbound event's metadata, the customer's
// other address: the business-scoped id that WhatsApp gives beside the phone
// number (ExternalUserId). It is absent where From is that id already.
const MetadataExternalUser = "external_user_id"

// Aliases stores which addresses are one customer's. It is called concurrently.
type Aliases interface {
	// PutAlias stores that a phone address and a business-scoped id are one
	// customer's. When it returns nil, this survives a crash and holds for the
	// next send; putting it again changes nothing.
	PutAlias(ctx context.Context, phone, id string) error
}

// inbound is a parsed message of a customer. What they wrote is not part of
// it: no event carries it.
type inbound struct {
	sid      string
	customer string // "whatsapp:+…", or opaque when they hide their number
	sender   string // ours
	external string
	service  string // the messaging service it came through, if any
}

// errOtherChannel says that the message came over SMS or the like, to a number
// that serves those as well.
var errOtherChannel = errors.New("not a WhatsApp message")

func parseInbound(form url.Values) (inbound, error) {
	in := inbound{
		sid:      cmp.Or(form.Get("MessageSid"), form.Get("SmsMessageSid"), form.Get("SmsSid")),
		customer: form.Get("From"),
		sender:   form.Get("To"),
		service:  service(form),
	}
	if in.customer == "" || in.sender == "" {
		return inbound{}, errors.New("the form lacks From or To")
	}
	if !sidPattern.MatchString(in.sid) {
		return inbound{}, errSID
	}
	if !delivery.ValidCustomer(in.customer) || !delivery.ValidPhone(in.sender) {
		return inbound{}, errOtherChannel
	}
	if external := form.Get("ExternalUserId"); delivery.ValidCustomer(external) && external != in.customer {
		in.external = external
	}
	return in, nil
}

// event tells that the message came.
func (in inbound) event(at time.Time) delivery.Event {
	came := delivery.Event{
		ID: "in:" + in.sid, Type: delivery.EventInbound, At: at.UTC(),
		From: in.customer, To: in.sender, SID: in.sid,
	}
	if in.external != "" {
		came.Metadata = map[string]string{MetadataExternalUser: in.external}
	}
	return came
}

// statement is the message as one about consent.
func (in inbound) statement(out bool) statement {
	return statement{
		sid: in.sid, customers: given(in.customer, in.external), senders: given(in.sender, in.service),
		out: out, source: sourceCustomer,
	}
}

// inbound serves /twilio/inbound.
func (h *Handler) inbound(r *http.Request, form url.Values) reply {
	in, err := parseInbound(form)
	switch {
	case errors.Is(err, errOtherChannel):
		return takenInbound(resultIgnored)
	case err != nil:
		h.logger.Warn("inbound callback not understood", "error", err)
		return malformed
	}
	result, err := h.came(r, in, form)
	if err != nil {
		h.logger.Error("inbound callback not stored; the provider turns to the fallback URL", "sid", in.sid, "error", err)
		return failed
	}
	return takenInbound(result)
}

// came stores an inbound message, and then what it says about consent.
func (h *Handler) came(r *http.Request, in inbound, form url.Values) (result string, err error) {
	ctx, cancel := writing(r)
	defer cancel()
	at := h.now()
	result, err = h.store(ctx, in.event(at))
	if err != nil {
		return result, err
	}
	// That the customer wrote is in the log. A crash from here on, or an error,
	// leaves the provider without an answer: its repetition is the same
	// message, and what is missing of its statement is written then.
	if h.aliases != nil && delivery.ValidPhone(in.customer) && !delivery.ValidPhone(in.external) && in.external != "" {
		if err := h.aliases.PutAlias(ctx, in.customer, in.external); err != nil {
			return resultFailed, err
		}
	}
	if out, said := h.keywords.said(form); said {
		return h.heard(ctx, in.statement(out), at)
	}
	return result, nil
}
