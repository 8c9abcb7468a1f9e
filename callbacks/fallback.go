package callbacks

import (
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// fallback serves /twilio/fallback: the form of a callback whose own URL
// failed, with ErrorCode and ErrorUrl added by the provider.
func (h *Handler) fallback(r *http.Request, form url.Values) reply {
	h.logger.Warn("the provider had to use the fallback URL: its first request failed",
		"code", shorten(form.Get("ErrorCode")), "url", shorten(form.Get("ErrorUrl")))
	form = withoutWebhookError(form)
	if isStatus(form) {
		return h.status(r, form)
	}
	return h.inbound(r, form)
}

// isStatus tells the two kinds of form apart: an inbound message bears no
// MessageStatus, or one that says it is being received.
func isStatus(form url.Values) bool {
	switch strings.ToLower(form.Get("MessageStatus")) {
	case "", "receiving", "received":
		return false
	}
	return true
}

// withoutWebhookError takes the error of the failed request out of a form: it
// is not the message's. Twilio's 11xxx are failures to fetch a URL, its 12xxx
// failures to read what came back.
func withoutWebhookError(form url.Values) url.Values {
	code, err := strconv.Atoi(form.Get("ErrorCode"))
	if err != nil || code < 11000 || code > 12999 {
		return form
	}
	form = maps.Clone(form)
	form.Del("ErrorCode")
	form.Del("ErrorMessage")
	return form
}
