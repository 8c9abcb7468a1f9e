package dashboard

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/sluicehq/sluice/delivery"
)

// troubleView is what needs a person: jobs of which nobody knows whether they
// went, and jobs that ended without arriving.
type troubleView struct {
	Doubt     []delivery.Record
	DoubtMore bool
	Dead      []delivery.Record
	DeadMore  bool
	Codes     []errorRow
	Code      string // that the dead letters are narrowed to
	Unknown   int64
	Held      int64
	Failed    int64
}

const (
	troubleRows = 50
	// troubleScan bounds how many dead letters are looked through for a code.
	troubleScan = MaxPage
)

func (a *API) troublePage(r *http.Request) (page, error) {
	ctx, cancel := within(r)
	defer cancel()
	ever, err := a.countedEver(ctx)
	if err != nil {
		return page{}, err
	}
	v := troubleView{
		Unknown: ever.States[delivery.StatusUnknown], Held: ever.States[delivery.StatusHeld],
		Failed: sum(ever.States, delivery.StatusFailed, delivery.StatusUndelivered), Codes: a.errorRows(ever.Errors),
	}
	code := -1
	if text := r.URL.Query().Get("code"); text != "" {
		if code, err = strconv.Atoi(text); err != nil || code < 0 {
			return page{}, badField("code", "must be an error code, a number")
		}
		v.Code = text
	}
	doubt, err := a.cfg.Jobs.List(ctx, Query{Statuses: []delivery.Status{delivery.StatusUnknown, delivery.StatusHeld}, Limit: troubleRows})
	if err != nil {
		return page{}, err
	}
	v.Doubt, v.DoubtMore = doubt.Jobs, doubt.Next != ""
	q := Query{Statuses: []delivery.Status{delivery.StatusFailed, delivery.StatusUndelivered}, Limit: troubleRows}
	if code >= 0 {
		q.Limit = troubleScan
	}
	dead, err := a.cfg.Jobs.List(ctx, q)
	if err != nil {
		return page{}, err
	}
	v.Dead, v.DeadMore = dead.Jobs, dead.Next != ""
	if code >= 0 {
		v.Dead = slices.DeleteFunc(v.Dead, func(job delivery.Record) bool { return codeOf(job) != code })
	}
	if len(v.Dead) > troubleRows {
		v.Dead, v.DeadMore = v.Dead[:troubleRows], true
	}
	return page{name: "trouble", title: "In doubt and not delivered", nav: "trouble", data: v}, nil
}

func codeOf(job delivery.Record) int {
	if job.Error == nil {
		return 0
	}
	return job.Error.Code
}
