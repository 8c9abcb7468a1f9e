package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/sluicehq/sluice/delivery/ledger"
	"github.com/sluicehq/sluice/internal/dashboard"
	"github.com/sluicehq/sluice/internal/jobstream"
	"github.com/sluicehq/sluice/ratelimit"
)

// apiServer is the API as the roles serve it.
type apiServer struct {
	http.Handler
	run task // follows the log for those who follow the events
}

// The adapters below are what the API reads from, and cancels with.

// jobList is the ledger as the API knows it.
type jobList struct{ *ledger.Ledger }

func (j jobList) List(ctx context.Context, q dashboard.Query) (dashboard.Page, error) {
	records, next, err := j.Ledger.List(ctx, ledger.Query{
		From: q.From, To: q.To, SID: q.SID, Status: q.Statuses, Since: q.Since, Until: q.Until,
		Limit: q.Limit, Cursor: q.Cursor,
	})
	if errors.Is(err, ledger.ErrBadCursor) {
		err = dashboard.ErrCursor
	}
	return dashboard.Page{Jobs: records, Next: next}, err
}

// queueLoad is the queue as the API knows it.
type queueLoad struct{ room *jobstream.Room }

func (l queueLoad) Backlog(ctx context.Context) (dashboard.Load, error) {
	b, err := l.room.Backlog(ctx)
	return dashboard.Load{Ready: b.Ready, Parked: b.Parked, Scheduled: b.Scheduled, Inflight: b.InFlight}, err
}

// jobStats is the ledger's counts as the API knows them.
type jobStats struct{ *ledger.Ledger }

func (j jobStats) Tally(ctx context.Context, r dashboard.Range) (dashboard.Tally, error) {
	t, err := j.Ledger.Tally(ctx, ledger.Range(r))
	return dashboard.Tally(t), err
}

// canceler is the gate as those know it who stop a job by hand.
type canceler struct{ gate *ratelimit.Gate }

func (c canceler) Cancel(ctx context.Context, job string) (status string, err error) {
	switch status, err = c.gate.Cancel(ctx, job); {
	case errors.Is(err, ratelimit.ErrGranted):
		return "", dashboard.ErrGranted
	case err == nil && status != "":
		return status, dashboard.ErrEnded
	}
	return status, err
}
