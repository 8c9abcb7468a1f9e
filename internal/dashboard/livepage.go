package dashboard

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/sluicehq/sluice/delivery"
)

// liveRows is how many of the last events the page begins with.
const liveRows = 50

// liveView is the end of the log, and how to follow it from there.
type liveView struct {
	Events []delivery.Event // newest first
	Stream string           // address of the events after them
	Types  []delivery.EventType
	Type   string
	From   string
	Served bool
}

var liveTypes = []delivery.EventType{
	delivery.EventAccepted, delivery.EventParked, delivery.EventReleased, delivery.EventSent, delivery.EventDelivered,
	delivery.EventRead, delivery.EventFailed, delivery.EventUndelivered, delivery.EventUnknown, delivery.EventSuppressed,
	delivery.EventCanceled, delivery.EventInbound, delivery.EventConsent, delivery.EventSender, delivery.EventPool,
}

func (a *API) livePage(r *http.Request) (page, error) {
	form, err := parseValues(r.URL.RawQuery)
	if err != nil {
		return page{}, err
	}
	v := liveView{Types: liveTypes, Type: form.Get("type"), From: form.Get("from"), Served: a.hub != nil}
	stream := url.Values{}
	for name, value := range map[string]string{"type": v.Type, "from": v.From} {
		if value != "" {
			stream.Set(name, value)
		}
	}
	sub, err := parseSubscription(stream.Encode(), "")
	if err != nil {
		return page{}, err
	}
	v.Stream = "/v1/events?" + stream.Encode()
	if a.hub != nil {
		v.Events = a.hub.tail.last(liveRows, sub.filter)
	}
	return page{name: "live", title: "Live", nav: "live", data: v}, nil
}

// last are the newest of the events that pass and are held, newest first.
func (t *tail) last(most int, filter eventFilter) (events []delivery.Event) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for n := t.count - 1; n >= max(0, t.count-len(t.ring)) && len(events) < most; n-- {
		if f := t.at(n); filter.passes(f) {
			events = append(events, f.event)
		}
	}
	return slices.Clip(events)
}
