package dashboard

import (
	"net/http"

	"github.com/sluicehq/sluice/delivery"
)

func (a *API) getJob(r *http.Request) (any, error) { return a.findJob(r) }

// findJob reads the job that the path names.
func (a *API) findJob(r *http.Request) (delivery.Record, error) {
	id := r.PathValue("id")
	if !delivery.ValidID(id) {
		return delivery.Record{}, badField("id", "is not a job's id")
	}
	record, found, err := a.cfg.Jobs.Get(r.Context(), id)
	if err != nil {
		return delivery.Record{}, err
	}
	if !found {
		return delivery.Record{}, notFound("no job has this id, or its retention is over")
	}
	return record, nil
}

// listing is a page of jobs. They come without their timelines, which would be
// the larger part of it.
type listing struct {
	Jobs []delivery.Record `json:"jobs"`
	Next string            `json:"next_cursor"`
}

func (a *API) listJobs(r *http.Request) (any, error) {
	q, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	page, err := a.cfg.Jobs.List(r.Context(), q)
	if err != nil {
		return nil, err
	}
	list := listing{Jobs: make([]delivery.Record, 0, len(page.Jobs)), Next: page.Next}
	for _, record := range page.Jobs {
		record.Timeline = nil
		list.Jobs = append(list.Jobs, record)
	}
	return list, nil
}

func (a *API) getBacklog(r *http.Request) (any, error) {
	return a.cfg.Backlog.Backlog(r.Context())
}
