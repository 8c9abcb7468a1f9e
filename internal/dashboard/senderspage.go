package dashboard

import (
	"cmp"
	"context"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/internal/plot"
	"github.com/sluicehq/sluice/internal/senders"
)

// stripSteps is how many parts the window of a pool is drawn in: with a window
// of a day, its hours.
const stripSteps = 24

// poolView is a pool as people see it.
type poolView struct {
	poolUse
	Strip   strip
	Members []senderView
}

type senderView struct {
	senderUse
	Quality  string
	LimitSet senders.Origin
	Reasons  []string
}

// strip shows when the places of a pool come back.
type strip struct {
	Step time.Duration
	Bars plot.Bars
	Axis []string
}

// SVG is the drawing.
func (s strip) SVG() template.HTML {
	return template.HTML(s.Bars.SVG("When used places come back, over one window from now on"))
}

// Unlimited is a limit that is none.
func (p poolView) Unlimited() bool { return p.Limit == senders.Unlimited }

// Share is how much of the limit is used, 0 to 100.
func (p poolView) Share() float64 { return share(p.Used, int(p.Limit)) }

// Kept is the share of the limit that is reserved for high priority.
func (p poolView) Kept() float64 { return share(p.Reserved, int(p.Limit)) }

// KeptFrom is where the reserved share begins: it is the last part of the limit.
func (p poolView) KeptFrom() float64 { return 100 - p.Kept() }

// WindowSpan is how long a place stays used.
func (p poolView) WindowSpan() time.Duration { return time.Duration(p.Window * float64(time.Second)) }

// Waiting is how many jobs are parked.
func (p poolView) Waiting() int64 { return p.Parked.High + p.Parked.Normal + p.Parked.Low }

// Share is how much of the sender's limit is used, 0 to 100.
func (s senderView) Share() float64 { return share(s.Used, int(s.Limit)) }

// Kept and KeptFrom are of pools: a sender keeps nothing for itself.
func (s senderView) Kept() float64     { return 0 }
func (s senderView) KeptFrom() float64 { return 100 }

func share(part, whole int) float64 {
	switch {
	case whole > 0:
		return min(100, 100*float64(part)/float64(whole))
	case whole == 0:
		return 100 // nobody new is let through
	default:
		return 0 // unlimited
	}
}

func (a *API) sendersPage(r *http.Request) (page, error) {
	ctx, cancel := within(r)
	defer cancel()
	pools, err := a.poolViews(ctx)
	return page{name: "senders", title: "Senders and pools", nav: "senders", data: pools}, err
}

// poolViews reads every pool with its senders. What the registry knows of a
// sender is added to what the gate counts.
func (a *API) poolViews(ctx context.Context) ([]poolView, error) {
	names, err := a.cfg.Limits.Pools(ctx)
	if err != nil {
		return nil, err
	}
	registered, err := a.cfg.Registry.Senders(ctx)
	if err != nil {
		return nil, err
	}
	parked, err := a.cfg.Room.Counts(ctx)
	if err != nil {
		return nil, err
	}
	known := map[string]senders.Sender{}
	for _, s := range registered {
		known[s.Token] = s
	}
	views := make([]poolView, 0, len(names))
	for _, name := range names {
		use, err := a.use(ctx, name, parked)
		if err != nil {
			return nil, err
		}
		v := poolView{poolUse: use}
		if len(v.Senders) == 0 && v.Used == 0 && v.Waiting() == 0 {
			continue // a name that nothing counts in any more
		}
		for _, use := range v.Senders {
			s := known[use.Sender]
			v.Members = append(v.Members, senderView{
				senderUse: use, Quality: cmp.Or(s.Quality, "unknown"), LimitSet: cmp.Or(s.LimitFrom, senders.ByDefault), Reasons: s.Reasons,
			})
		}
		if v.Strip, err = a.strip(ctx, name); err != nil {
			return nil, err
		}
		views = append(views, v)
	}
	return views, nil
}

func (a *API) strip(ctx context.Context, pool string) (strip, error) {
	back, err := a.cfg.Limits.Slots(ctx, pool, stripSteps)
	if err != nil {
		return strip{}, err
	}
	s := strip{Step: back.Step}
	series := plot.Series{Name: "places back", Class: "back"}
	for i, n := range back.Places {
		from := back.Now.Add(time.Duration(i) * back.Step).UTC()
		s.Bars.Labels = append(s.Bars.Labels, fmt.Sprintf("%s to %s", clock(from, back.Step), clock(from.Add(back.Step), back.Step)))
		series.Count = append(series.Count, int64(n))
	}
	s.Bars.Series = []plot.Series{series}
	for i := range 5 {
		ahead := back.Step * time.Duration(stripSteps*i/4)
		s.Axis = append(s.Axis, inTime(roughly(ahead)))
	}
	return s, nil
}

// clock is a time as fine as the step it stands at.
func clock(at time.Time, step time.Duration) string {
	if step < time.Minute {
		return at.Format("15:04:05")
	}
	return at.Format("15:04")
}

// Forms of the page.

func (a *API) pauseSenderForm(paused bool) act {
	return func(r *http.Request) (string, error) {
		token, err := pathSender(r)
		if err != nil {
			return "", err
		}
		_, err = a.cfg.Registry.PauseSender(r.Context(), token, paused, strings.TrimSpace(r.PostFormValue("reason")))
		return "/senders?done=" + pick(paused, "paused", "resumed") + "#s" + token, err
	}
}

func (a *API) pauseAllForm(paused bool) act {
	return func(r *http.Request) (string, error) {
		_, err := a.cfg.Registry.Pause(r.Context(), paused, strings.TrimSpace(r.PostFormValue("reason")))
		return "/senders?done=" + pick(paused, "pausedall", "resumedall"), err
	}
}

// senderLimitForm sets a limit by hand, in the words that the API takes.
func (a *API) senderLimitForm(r *http.Request) (string, error) {
	token, err := pathSender(r)
	if err != nil {
		return "", err
	}
	limit := senders.FromProvider
	switch text := strings.TrimSpace(r.PostFormValue("limit")); text {
	case "", "provider":
	case "unlimited":
		limit = senders.Unlimited
	default:
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return "", badField("limit", `must be a number of customers, "unlimited" or "provider"`)
		}
		limit = senders.Limit(n)
	}
	_, err = a.cfg.Registry.PutSender(r.Context(), token, senders.Patch{Limit: &limit})
	return "/senders?done=limit#s" + token, err
}

func pick(which bool, yes, no string) string {
	if which {
		return yes
	}
	return no
}
