package main

import (
	"context"
	"errors"

	"github.com/sluicehq/sluice/delivery/ledger"
	"github.com/sluicehq/sluice/internal/dashboard"
	"github.com/sluicehq/sluice/internal/jobstream"
)

// The adapters below are what the API reads from.

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
