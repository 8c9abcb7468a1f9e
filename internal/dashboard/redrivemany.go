package dashboard

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/delivery"
)

// choice is which jobs to redrive: those of a query, with one of these error
// codes, or any.
type choice struct {
	Query
	codes []int
	named bool // something was chosen by
}

var redriveFilters = []string{"status", "code", "from", "since", "until", "limit", "cursor"}

func (c *choice) take(name, value string) error {
	c.named = c.named || (name != "limit" && name != "cursor")
	if name != "code" {
		return c.Query.take(name, value)
	}
	for word := range strings.SplitSeq(value, ",") {
		code, err := strconv.Atoi(word)
		if err != nil || code < 0 {
			return badField("code", "must be an error code as in 63018, or several, joined by commas")
		}
		c.codes = append(c.codes, code)
	}
	return nil
}

// readChoice reads the filter from the query string, or from a JSON object of
// the same names; a list may be an array or a text joined by commas.
func readChoice(r *http.Request) (choice, error) {
	c := choice{Query: Query{Limit: redriveMost}}
	if err := eachFilter(r.URL.RawQuery, redriveFilters, c.take); err != nil {
		return c, err
	}
	body, err := readBody(r)
	if err != nil {
		return c, err
	}
	if len(bytes.TrimSpace(body)) > 0 {
		if err := c.takeBody(body); err != nil {
			return c, err
		}
	}
	if !c.named {
		return c, badField("status", "is missing: choose by status, code, from, since or until what to redrive")
	}
	if len(c.Statuses) == 0 {
		// Held jobs may have arrived: they are redriven only where they are named.
		c.Statuses = []delivery.Status{delivery.StatusFailed, delivery.StatusUndelivered}
	}
	for _, s := range c.Statuses {
		if !slices.Contains(redrivable, s) {
			return c, badField("status", "must be of failed, undelivered, held")
		}
	}
	return c, inOrder(c.Since, c.Until)
}

func (c *choice) takeBody(body []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var fields map[string]any
	if err := decoder.Decode(&fields); err != nil || fields == nil {
		return badField("", "the filter must be one JSON object")
	}
	for _, name := range redriveFilters {
		value, given := fields[name]
		delete(fields, name)
		if !given || value == nil {
			continue
		}
		text, ok := filterText(value)
		if !ok {
			return badField(name, "must be a text, a number or an array of those")
		}
		if err := c.take(name, text); err != nil {
			return err
		}
	}
	for name := range fields {
		return badField(name[:min(len(name), 64)], "is not a filter here; known are "+strings.Join(redriveFilters, ", "))
	}
	return nil
}

func filterText(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case []any:
		words := make([]string, len(v))
		for i, item := range v {
			word, ok := filterText(item)
			if !ok {
				return "", false
			}
			words[i] = word
		}
		return strings.Join(words, ","), true
	}
	return "", false
}

// redriveJobs serves POST /v1/jobs/redrive: at most a thousand jobs, the newest
// first. A job that cannot be redriven does not stop the others.
func (a *API) redriveJobs(r *http.Request) (any, error) {
	c, err := readChoice(r)
	if err != nil {
		return nil, err
	}
	return a.redriveChosen(r.Context(), c)
}

func (a *API) redriveChosen(ctx context.Context, c choice) (redriven, error) {
	if err := a.readyToRedrive(ctx); err != nil {
		return redriven{}, err
	}
	end := time.Now().Add(redriveTimeout)
	out := redriven{Results: []redriveResult{}, Next: c.Cursor}
	for most := c.Limit; ; {
		c.Limit = most - len(out.Results)
		page, err := a.cfg.Jobs.List(ctx, c.Query)
		if err != nil {
			return redriven{}, err
		}
		out.add(a.redriveAll(ctx, c.chosen(page.Jobs)))
		out.Next, c.Cursor = page.Next, page.Next
		if page.Next == "" || len(out.Results) >= most || time.Now().After(end) || ctx.Err() != nil {
			return out, nil
		}
	}
}

// chosen leaves out what has another error code.
func (c choice) chosen(jobs []delivery.Record) []delivery.Record {
	if len(c.codes) == 0 {
		return jobs
	}
	return slices.DeleteFunc(slices.Clone(jobs), func(r delivery.Record) bool {
		return r.Error == nil || !slices.Contains(c.codes, r.Error.Code)
	})
}

func (a *API) redriveAll(ctx context.Context, jobs []delivery.Record) []redriveResult {
	results := make([]redriveResult, len(jobs))
	var group errgroup.Group
	group.SetLimit(redriveAtOnce)
	for i, record := range jobs {
		group.Go(func() error {
			results[i] = redriveResult{ID: record.ID, Status: delivery.EventRedriven.Status()}
			if err := a.redrive(ctx, record); err != nil {
				p := problemOf(err)
				results[i] = redriveResult{ID: record.ID, Error: &p}
			}
			return nil
		})
	}
	_ = group.Wait() // each has its result
	return results
}

func (o *redriven) add(results []redriveResult) {
	for _, r := range results {
		if r.Error == nil {
			o.Redriven++
		} else {
			o.Refused++
		}
	}
	o.Results = append(o.Results, results...)
}
