package dashboard

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/sluicehq/sluice/delivery"
)

// MaxSteps bounds a series: finer ones are refused.
const MaxSteps = 500

// Stats counts jobs by their present state.
type Stats interface {
	// Tally counts the jobs of a range; states and codes with none may be left out.
	Tally(ctx context.Context, r Range) (Tally, error)
	// Series counts the jobs of a sender, of all with an empty from, that were
	// created from each bound on and before the next one.
	Series(ctx context.Context, from string, bounds []time.Time) ([]map[delivery.Status]int64, error)
}

// Range selects jobs to count. Zero fields select all.
type Range struct {
	From  string    // a sender's address, or MG…
	Since time.Time // created at this time or later
	Until time.Time // created before this time
}

// Tally is how many jobs have each state, each category and each error code.
// Code 0 is what Sluice itself found wrong.
type Tally struct {
	States     map[delivery.Status]int64
	Categories map[delivery.Category]int64
	Errors     map[int]int64
}

// statistics is the answer. States and categories are complete, so that a chart
// has no gaps.
type statistics struct {
	States     map[delivery.Status]int64   `json:"states"`
	Categories map[delivery.Category]int64 `json:"categories"`
	Errors     map[int]int64               `json:"errors"`
	Series     []statisticsStep            `json:"series,omitempty"`
}

type statisticsStep struct {
	At     time.Time                 `json:"at"` // where the step begins
	States map[delivery.Status]int64 `json:"states"`
}

func (a *API) getStats(r *http.Request) (any, error) {
	span, step, err := parseStats(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	var bounds []time.Time
	if step > 0 {
		if span.Until.IsZero() {
			span.Until = a.cfg.Now().UTC()
		}
		if bounds, err = steps(span.Since, span.Until, step); err != nil {
			return nil, err
		}
	}
	tally, err := a.cfg.Stats.Tally(r.Context(), span)
	if err != nil {
		return nil, err
	}
	answer := statistics{
		States:     complete(tally.States, delivery.Statuses()),
		Categories: complete(tally.Categories, delivery.Categories()),
		Errors:     tally.Errors,
	}
	if answer.Errors == nil {
		answer.Errors = map[int]int64{}
	}
	if len(bounds) == 0 {
		return answer, nil
	}
	series, err := a.cfg.Stats.Series(r.Context(), span.From, bounds)
	if err != nil {
		return nil, err
	}
	for i, states := range series {
		answer.Series = append(answer.Series, statisticsStep{At: bounds[i], States: complete(states, delivery.Statuses())})
	}
	return answer, nil
}

func complete[K comparable](counts map[K]int64, keys []K) map[K]int64 {
	all := make(map[K]int64)
	for _, key := range keys {
		all[key] = counts[key]
	}
	return all
}

// parseStats reads the query string; a step of 0 asks for no series.
func parseStats(raw string) (span Range, step time.Duration, err error) {
	err = eachFilter(raw, statsFilters, func(name, value string) (err error) {
		switch name {
		case "from":
			span.From, err = senderFilter(value)
		case "since":
			span.Since, err = moment(name, value)
		case "until":
			span.Until, err = moment(name, value)
		case "step":
			if step, err = time.ParseDuration(value); err != nil || step < time.Second {
				err = badField(name, "must be a duration of at least 1s, as in 15m or 1h")
			}
		}
		return err
	})
	if err == nil {
		err = inOrder(span.Since, span.Until)
	}
	return span, step, err
}

// steps are the bounds of a series: since, every step after it, and until.
func steps(since, until time.Time, step time.Duration) ([]time.Time, error) {
	switch span := until.Sub(since); {
	case since.IsZero():
		return nil, badField("since", "is required with step: a series begins there")
	case span <= 0:
		return nil, badField("since", "must be in the past where until is not given")
	case (span-1)/step >= MaxSteps:
		return nil, badField("step", fmt.Sprintf("gives more than %d steps; the range needs one of at least %s",
			MaxSteps, (span/MaxSteps).Truncate(time.Second)+time.Second))
	}
	var bounds []time.Time
	for at := since; at.Before(until); at = at.Add(step) {
		bounds = append(bounds, at)
	}
	return append(bounds, until), nil
}
