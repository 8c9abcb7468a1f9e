package dashboard

import (
	"cmp"
	"html/template"
	"net/http"
	"slices"
	"time"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/plot"
)

type overviewView struct {
	Span    span
	Spans   []span
	Any     bool   // there has ever been a job
	Base    string // where the person reached us
	Load    Load
	InDoubt int64
	Failed  int64 // in the span
	Waits   waits
	Funnel  []rung
	Charts  []chart
	Errors  []errorRow
	Pools   []poolView
}

// waits is when what is parked will be out, over all pools.
type waits struct {
	Parked int64
	Out    *time.Time // nil if nobody can say
}

// rung is a step of the funnel.
type rung struct {
	Name  string
	Count int64
	Share float64 // of those accepted, 0 to 100
	Note  string
}

type errorRow struct {
	Code  int
	Count int64
	Advice
}

// chart is a plot with what stands around it.
type chart struct {
	ID, Title, Empty string
	Plot             plot.Bars
	Axis             []string
}

// SVG is the drawing; plot escapes what is not its own.
func (c chart) SVG() template.HTML { return template.HTML(c.Plot.SVG(c.Title)) }

// Middle is the number at half the height.
func (c chart) Middle() int64 { return c.Plot.Top() / 2 }

// Rows are the columns that hold anything, for those who read rather than look.
func (c chart) Rows() (rows []chartRow) {
	for i, label := range c.Plot.Labels {
		row := chartRow{Label: label}
		any := false
		for _, s := range c.Plot.Series {
			row.Counts = append(row.Counts, s.Count[i])
			any = any || s.Count[i] > 0
		}
		if any {
			rows = append(rows, row)
		}
	}
	return rows
}

type chartRow struct {
	Label  string
	Counts []int64
}

func (a *API) overview(r *http.Request) (page, error) {
	ctx, cancel := within(r)
	defer cancel()
	s := spanOf(r.URL.Query().Get("span"))
	recent, err := a.counted(ctx, s)
	if err != nil {
		return page{}, err
	}
	ever, err := a.countedEver(ctx)
	if err != nil {
		return page{}, err
	}
	load, err := a.cfg.Backlog.Backlog(ctx)
	if err != nil {
		return page{}, err
	}
	pools, err := a.poolViews(ctx)
	if err != nil {
		return page{}, err
	}
	v := overviewView{
		Span: s, Spans: spans, Load: load, Pools: pools, Any: sum(ever.States) > 0, Base: base(r),
		InDoubt: sum(ever.States, delivery.StatusUnknown, delivery.StatusHeld),
		Failed:  sum(recent.States, delivery.StatusFailed, delivery.StatusUndelivered),
		Waits:   allWaits(pools), Funnel: funnel(recent.States),
		Charts: charts(s, recent), Errors: a.errorRows(recent.Errors),
	}
	return page{name: "overview", title: "Overview", nav: "overview", data: v}, nil
}

// sum adds the counts of some statuses up, of all with none named.
func sum(counts map[delivery.Status]int64, of ...delivery.Status) (total int64) {
	for status, n := range counts {
		if len(of) == 0 || slices.Contains(of, status) {
			total += n
		}
	}
	return total
}

// funnel counts how far the jobs got. Each rung holds those below it, since a
// job that is read was delivered, and sent before that.
func funnel(counts map[delivery.Status]int64) []rung {
	read := sum(counts, delivery.StatusRead)
	delivered := read + sum(counts, delivery.StatusDelivered)
	sent := delivered + sum(counts, delivery.StatusSent, delivery.StatusUndelivered)
	accepted := sum(counts) - sum(counts, delivery.StatusRejected)
	rungs := []rung{
		{Name: "Accepted", Count: accepted, Note: "taken from your services"},
		{Name: "Sent", Count: sent, Note: "on its way to a phone"},
		{Name: "Delivered", Count: delivered, Note: "arrived"},
		{Name: "Read", Count: read, Note: "opened, where the customer tells"},
	}
	for i := range rungs {
		if accepted > 0 {
			rungs[i].Share = 100 * float64(rungs[i].Count) / float64(accepted)
		}
	}
	return rungs
}

// band is a series of a chart by the statuses it counts.
type band struct {
	name, class string
	of          []delivery.Status
}

var outcome = []band{
	{"read", "read", []delivery.Status{delivery.StatusRead}},
	{"delivered", "delivered", []delivery.Status{delivery.StatusDelivered}},
	{"under way", "underway", []delivery.Status{delivery.StatusSending, delivery.StatusQueued, delivery.StatusSent}},
	{"waiting", "waiting", []delivery.Status{
		delivery.StatusAccepted, delivery.StatusScheduled, delivery.StatusParked, delivery.StatusUnknown, delivery.StatusHeld,
	}},
	{"not delivered", "failed", []delivery.Status{
		delivery.StatusFailed, delivery.StatusUndelivered, delivery.StatusExpired,
		delivery.StatusSuppressed, delivery.StatusCanceled, delivery.StatusRejected,
	}},
}

var failure = []band{
	{"failed", "failed", []delivery.Status{delivery.StatusFailed}},
	{"undelivered", "undelivered", []delivery.Status{delivery.StatusUndelivered}},
	{"expired", "expired", []delivery.Status{delivery.StatusExpired}},
	{"suppressed", "suppressed", []delivery.Status{delivery.StatusSuppressed}},
	{"rejected", "waiting", []delivery.Status{delivery.StatusRejected}},
}

func charts(s span, c counts) []chart {
	labels, axis := []string{}, []string{}
	for i, at := range c.Bounds[:len(c.Bounds)-1] {
		labels = append(labels, at.Format(s.Clock))
		if i%(s.Steps/3) == 0 && i < s.Steps {
			axis = append(axis, at.Format(s.Clock))
		}
	}
	axis = append(axis[:min(3, len(axis))], "now")
	draw := func(id, title, empty string, bands []band) chart {
		bars := plot.Bars{Labels: labels}
		for _, b := range bands {
			series := plot.Series{Name: b.name, Class: b.class}
			for _, step := range c.Series {
				series.Count = append(series.Count, sum(step, b.of...))
			}
			bars.Series = append(bars.Series, series)
		}
		return chart{ID: id, Title: title, Empty: empty, Plot: bars, Axis: axis}
	}
	return []chart{
		draw("throughput", "Jobs by the time they came in, and where they are now", "No job came in during this time.", outcome),
		draw("failures", "What did not arrive", "Nothing failed. This is how it should look.", failure),
	}
}

// errorRows are the codes of a tally, the most frequent first.
func (a *API) errorRows(codes map[int]int64) []errorRow {
	rows := make([]errorRow, 0, len(codes))
	for code, n := range codes {
		row := errorRow{Code: code, Count: n, Advice: a.cfg.Advise(code)}
		if code == 0 {
			row.Advice = Advice{"found by Sluice before anything was sent", "see the reason of each job"}
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(x, y errorRow) int {
		return cmp.Or(cmp.Compare(y.Count, x.Count), cmp.Compare(x.Code, y.Code))
	})
	return rows
}

// allWaits is when the last of what waits will be out, if every pool that has
// something waiting can say.
func allWaits(pools []poolView) (w waits) {
	known := true
	for _, p := range pools {
		n := p.Parked.High + p.Parked.Normal + p.Parked.Low
		if n == 0 {
			continue
		}
		w.Parked += n
		switch {
		case p.DrainsAt == nil:
			known = false
		case w.Out == nil || p.DrainsAt.After(*w.Out):
			w.Out = p.DrainsAt
		}
	}
	if !known {
		w.Out = nil
	}
	return w
}
