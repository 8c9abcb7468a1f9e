package dashboard

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/delivery"
)

// eventFilter chooses events. Zero fields choose all.
type eventFilter struct {
	sender   string // a token; of an inbound message the one written to
	customer string
	sid      string // told with the event
	job      string // told with the event; callbacks that know their SID alone have none
	statuses []delivery.Status
	types    []delivery.EventType
	since    time.Time // happened at this time or later
	until    time.Time // happened before this time
}

func (f eventFilter) passes(e *frame) bool {
	return (f.sender == "" || f.sender == e.sender) &&
		(f.customer == "" || f.customer == e.customer) &&
		(f.sid == "" || f.sid == e.event.SID) &&
		(f.job == "" || f.job == e.event.Job) &&
		(len(f.statuses) == 0 || slices.Contains(f.statuses, e.event.Status)) &&
		(len(f.types) == 0 || slices.Contains(f.types, e.event.Type)) &&
		!e.event.At.Before(f.since) && // of all: zero is before everything
		(f.until.IsZero() || e.event.At.Before(f.until))
}

// subscription is what a client asks for. It resumes after the id last, or
// begins at the end of the log.
type subscription struct {
	filter eventFilter
	resume bool
	last   uint64
}

// parseSubscription reads the query string and the header that a client sends
// when it connects again. The header counts, since the address of such a
// request still has what the first one said.
func parseSubscription(raw, header string) (sub subscription, err error) {
	if err := eachFilter(raw, eventFilters, sub.take); err != nil {
		return subscription{}, err
	}
	if err := inOrder(sub.filter.since, sub.filter.until); err != nil {
		return subscription{}, err
	}
	if header = strings.TrimSpace(header); header != "" {
		err = sub.take("last_event_id", header)
	}
	return sub, err
}

func (s *subscription) take(name, value string) (err error) {
	switch name {
	case "from":
		value, err = senderFilter(value)
		s.filter.sender = delivery.SenderToken(value)
	case "to":
		s.filter.customer, err = customerFilter(value)
	case "sid":
		s.filter.sid, err = sidFilter(value)
	case "status":
		s.filter.statuses, err = statuses(value)
	case "type":
		s.filter.types, err = eventTypes(value)
	case "since":
		s.filter.since, err = moment(name, value)
	case "until":
		s.filter.until, err = moment(name, value)
	case "job":
		if s.filter.job = value; !delivery.ValidID(value) {
			return badField(name, "is not a job's id")
		}
	case "last_event_id":
		s.resume = true
		if s.last, err = strconv.ParseUint(value, 10, 64); err != nil {
			return badField(name, "must be the id of an event of this stream, a number")
		}
	}
	return err
}

func eventTypes(value string) ([]delivery.EventType, error) {
	var found []delivery.EventType
	for word := range strings.SplitSeq(value, ",") {
		t := delivery.EventType(word)
		switch {
		case word == "":
		case !t.Known():
			return nil, badField("type", "must be of the types of events, as in sent,delivered,inbound")
		default:
			found = append(found, t)
		}
	}
	return found, nil
}

// busy tells a client when to try again, in whole seconds.
func busy(w http.ResponseWriter, message string, after time.Duration) {
	w.Header().Set("Retry-After", strconv.Itoa(int(after.Seconds())))
	problem{http.StatusServiceUnavailable, "unavailable", message, ""}.write(w)
}

// patience bounds how long a client waits for a process that has just begun:
// a browser does not come back after it was refused.
const patience = 10 * time.Second

func (a *API) streamEvents(w http.ResponseWriter, r *http.Request) {
	sub, err := parseSubscription(r.URL.RawQuery, r.Header.Get("Last-Event-ID"))
	if err != nil {
		problemOf(err).write(w)
		return
	}
	if !a.hub.admit() {
		busy(w, "too many clients follow the events here", 5*time.Second)
		return
	}
	defer a.hub.leave()
	next, err := a.hub.place(r.Context(), sub)
	var known problem
	switch {
	case errors.As(err, &known):
		known.write(w)
		return
	case err != nil:
		busy(w, "the log cannot be reached: try again", time.Second)
		return
	}
	a.serveStream(w, r, sub.filter, next)
}

// place is the sequence that a client is owed first.
func (h *hub) place(ctx context.Context, sub subscription) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-h.ready:
	case <-h.ended:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	select {
	case <-h.ended: // whether or not it was ready before
		return 0, errClosed
	default:
	}
	if !sub.resume {
		return h.tail.end(), nil
	}
	if sub.last >= h.tail.end() { // told by another process, which is ahead, or of another log
		last, err := h.log.Last(ctx)
		if err != nil {
			return 0, err
		}
		if sub.last > last {
			return 0, problem{http.StatusBadRequest, "invalid_field",
				"is beyond the end of the log; start without it", "last_event_id"}
		}
	}
	return sub.last + 1, nil
}

func (a *API) serveStream(w http.ResponseWriter, r *http.Request, filter eventFilter, next uint64) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // said to proxies that would collect what we write
	h.Set("X-Content-Type-Options", "nosniff")
	// No chunks: the stream ends with the connection, and one batch is one write
	// to it, with nothing copied.
	h.Set("Transfer-Encoding", "identity")
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	beat := time.NewTicker(a.hub.cfg.Heartbeat)
	defer beat.Stop()
	s := &stream{
		hub: a.hub, out: w, rc: http.NewResponseController(w),
		filter: filter, shape: filter.shape(), next: next, beat: beat,
	}
	if err := s.run(r.Context()); err != nil && r.Context().Err() == nil {
		// The client has all before next and comes back with the last id.
		a.cfg.Log.InfoContext(r.Context(), "an event stream ended", "next", s.next, "reason", err)
	}
}
