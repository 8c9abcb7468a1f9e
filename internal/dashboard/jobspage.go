package dashboard

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sluicehq/sluice/delivery"
)

// jobsView is a page of the list with the filters that chose it.
type jobsView struct {
	Jobs                    []delivery.Record
	Find, Status, From, Age string
	Statuses                []delivery.Status
	Next                    string // address of the next page
	Filtered                bool
}

// ages are how far back the list may be told to look.
var ages = map[string]time.Duration{"15m": 15 * time.Minute, "1h": time.Hour, "24h": 24 * time.Hour, "7d": 7 * 24 * time.Hour}

func (a *API) jobsPage(r *http.Request) (page, error) {
	ctx, cancel := within(r)
	defer cancel()
	form, err := parseValues(r.URL.RawQuery)
	if err != nil {
		return page{}, err
	}
	v := jobsView{
		Find: strings.TrimSpace(form.Get("find")), Status: form.Get("status"),
		From: strings.TrimSpace(form.Get("from")), Age: form.Get("age"), Statuses: delivery.Statuses(),
	}
	v.Filtered = v.Find+v.Status+v.From+v.Age != ""
	q, err := v.query(a.cfg.Now())
	if err != nil {
		return page{}, err
	}
	q.Cursor = form.Get("cursor")
	if !short(q.Cursor, 512) {
		return page{}, ErrCursor
	}
	if id := v.Find; id != "" && q.To == "" && q.SID == "" {
		return a.jobsOf(r, v, id)
	}
	found, err := a.cfg.Jobs.List(ctx, q)
	if err != nil {
		return page{}, err
	}
	v.Jobs = found.Jobs
	if found.Next != "" {
		form.Set("cursor", found.Next)
		form.Del("done")
		v.Next = "/jobs?" + form.Encode()
	}
	return page{name: "jobs", title: "Jobs", nav: "jobs", data: v}, nil
}

// jobsOf is the list with the one job of an id.
func (a *API) jobsOf(r *http.Request, v jobsView, id string) (page, error) {
	if delivery.ValidID(id) {
		record, found, err := a.cfg.Jobs.Get(r.Context(), id)
		if err != nil {
			return page{}, err
		}
		if found {
			v.Jobs = []delivery.Record{record}
		}
	}
	return page{name: "jobs", title: "Jobs", nav: "jobs", data: v}, nil
}

// query reads what a person typed: an address and a SID look like one, anything
// else is the id of a job.
func (v jobsView) query(now time.Time) (Query, error) {
	q := Query{Limit: DefaultPage}
	switch customer := address(v.Find); {
	case v.Find == "":
	case delivery.ValidCustomer(customer):
		q.To = customer
	case isSID(v.Find):
		q.SID = v.Find
	}
	var err error
	if v.Status != "" {
		if q.Statuses, err = statuses(v.Status); err != nil {
			return Query{}, err
		}
	}
	if v.From != "" {
		if q.From, err = senderFilter(v.From); err != nil {
			return Query{}, err
		}
	}
	if age, ok := ages[v.Age]; ok {
		q.Since = now.Add(-age)
	}
	return q, nil
}

// isSID reports whether text is a SID of a message, as the provider makes them.
func isSID(text string) bool {
	if len(text) != 34 || (text[:2] != "SM" && text[:2] != "MM") {
		return false
	}
	for _, c := range text[2:] {
		if !strings.ContainsRune("0123456789abcdefABCDEF", c) {
			return false
		}
	}
	return true
}

// jobView is one job with its story.
type jobView struct {
	delivery.Record
	Attempts   []attemptView
	Advice     *Advice
	MayCancel  bool
	MayRedrive bool
	Meta       []pair
	Waits      *poolUse // where it is parked, nil where it is not or nobody can say
}

// InDoubt reports whether nobody knows that there is a message.
func (v jobView) InDoubt() bool {
	return v.Status == delivery.StatusUnknown || v.Status == delivery.StatusHeld
}

// Ended reports whether nothing more is awaited of the job.
func (v jobView) Ended() bool { return v.Status.Ended() }

type pair struct{ Name, Value string }

// attemptView is one POST, or the way to it.
type attemptView struct {
	Number int
	Events []eventView
}

type eventView struct {
	delivery.Event
	After time.Duration // since the event before it, of any attempt
	First bool
	Words string
}

func (a *API) jobPage(r *http.Request) (page, error) {
	record, err := a.findJob(r)
	if err != nil {
		return page{}, err
	}
	v := jobView{Record: record, MayCancel: mayCancel(record.Status), MayRedrive: slices.Contains(redrivable, record.Status), Attempts: attempts(record.Timeline)}
	if record.Error != nil && record.Error.Code != 0 {
		advice := a.cfg.Advise(record.Error.Code)
		v.Advice = &advice
	}
	for name, value := range record.Metadata {
		v.Meta = append(v.Meta, pair{name, value})
	}
	slices.SortFunc(v.Meta, func(x, y pair) int { return strings.Compare(x.Name, y.Name) })
	if record.Status == delivery.StatusParked {
		v.Waits = a.waitsFor(r.Context(), delivery.SenderToken(record.From))
	}
	return page{name: "job", title: record.ID, nav: "jobs", data: v}, nil
}

// waitsFor is how full the pool of a sender is, nil where that cannot be read:
// the page is of use without.
func (a *API) waitsFor(ctx context.Context, sender string) *poolUse {
	preview, err := a.cfg.Limits.Preview(ctx, sender, a.cfg.DefaultPool(sender), nil)
	if err != nil {
		return nil
	}
	parked, err := a.cfg.Room.Counts(ctx)
	if err != nil {
		return nil
	}
	use, err := a.use(ctx, preview.Pool.Pool, parked)
	if err != nil {
		return nil
	}
	return &use
}

// mayCancel is whether it is worth asking: the gate decides.
func mayCancel(s delivery.Status) bool {
	return !s.Ended() && s != delivery.StatusQueued && s != delivery.StatusSent
}

// attempts groups a timeline, whose order it keeps.
func attempts(timeline []delivery.Event) []attemptView {
	var all []attemptView
	var before time.Time
	for _, e := range timeline {
		number := max(1, e.Attempt)
		if len(all) == 0 || all[len(all)-1].Number != number {
			all = append(all, attemptView{Number: number})
		}
		last := &all[len(all)-1]
		v := eventView{Event: e, First: before.IsZero(), Words: eventSays[e.Type]}
		if !before.IsZero() {
			v.After = max(0, e.At.Sub(before))
		}
		before = e.At
		last.Events = append(last.Events, v)
	}
	return all
}

// eventSays is what an event tells, in words for those who do not know the
// states by heart.
var eventSays = map[delivery.EventType]string{
	delivery.EventAccepted:    "stored, and safe from now on",
	delivery.EventScheduled:   "waits for its time",
	delivery.EventParked:      "waits for a free place, a pause to end or its turn",
	delivery.EventReleased:    "its turn has come",
	delivery.EventSending:     "is being handed to the provider",
	delivery.EventUnknown:     "the line broke: nobody knows yet whether it was taken",
	delivery.EventHeld:        "no evidence was found: a person decides",
	delivery.EventQueued:      "the provider has it",
	delivery.EventSent:        "on its way to the phone",
	delivery.EventDelivered:   "arrived on the phone",
	delivery.EventRead:        "opened by the customer",
	delivery.EventUndelivered: "the provider could not deliver it",
	delivery.EventFailed:      "given up",
	delivery.EventExpired:     "its time was over before its turn",
	delivery.EventSuppressed:  "not sent: the customer does not want it",
	delivery.EventRejected:    "not a job that can be sent",
	delivery.EventCanceled:    "stopped by a person",
	delivery.EventRedriven:    "taken up again by a person",
}

func (a *API) cancelForm(r *http.Request) (string, error) {
	_, err := a.cancelJob(r)
	return "/jobs/" + url.PathEscape(r.PathValue("id")) + "?done=canceled", err
}

func (a *API) redriveForm(r *http.Request) (string, error) {
	_, err := a.redriveJob(r)
	return "/jobs/" + url.PathEscape(r.PathValue("id")) + "?done=redriven", err
}

// redriveManyForm takes up again what ended with one error code.
func (a *API) redriveManyForm(r *http.Request) (string, error) {
	c := choice{Query: Query{Limit: redriveMost, Statuses: []delivery.Status{delivery.StatusFailed, delivery.StatusUndelivered}}}
	if err := c.take("code", r.PostFormValue("code")); err != nil {
		return "", err
	}
	out, err := a.redriveChosen(r.Context(), c)
	if err != nil {
		return "", err
	}
	where := fmt.Sprintf("/trouble?done=many&again=%d&refused=%d", out.Redriven, out.Refused)
	if out.Next != "" {
		where += "&more=1"
	}
	return where, nil
}
