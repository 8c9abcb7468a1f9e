package callbacks

import (
	"cmp"
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

// inbound is a parsed message of a customer. What they wrote is not part of
// it: no event carries it.
type inbound struct {
	sid      string
	customer string // "whatsapp:+…", or opaque when they hide their number
	sender   string // ours
	external string
}

// errOtherChannel says that the message came over SMS or the like, to a number
// that serves those as well.
var errOtherChannel = errors.New("not a WhatsApp message")

func parseInbound(form url.Values) (inbound, error) {
	in := inbound{
		sid:      cmp.Or(form.Get("MessageSid"), form.Get("SmsMessageSid"), form.Get("SmsSid")),
		customer: form.Get("From"),
		sender:   form.Get("To"),
	}
	if in.customer == "" || in.sender == "" {
		return inbound{}, errors.New("From or To is missing")
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

// events lists what the message means, all of it to be stored before the
// answer. That it came is the first; consent words will add theirs.
func (in inbound) events(at time.Time) []delivery.Event {
	came := delivery.Event{
		ID: "in:" + in.sid, Type: delivery.EventInbound, At: at.UTC(),
		From: in.customer, To: in.sender, SID: in.sid,
	}
	if in.external != "" {
		came.Metadata = map[string]string{MetadataExternalUser: in.external}
	}
	return []delivery.Event{came}
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
	var result string
	for _, event := range in.events(h.now()) {
		if result, err = h.store(r.Context(), event); err != nil {
			h.logger.Error("inbound callback not stored; the provider turns to the fallback URL", "sid", in.sid, "error", err)
			return failed
		}
	}
	return takenInbound(result)
}
