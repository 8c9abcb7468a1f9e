package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/delivery/ledger"
	"github.com/sluicehq/sluice/internal/dashboard"
	"github.com/sluicehq/sluice/internal/jobstream"
	"github.com/sluicehq/sluice/internal/messaging"
	"github.com/sluicehq/sluice/internal/senders"
	"github.com/sluicehq/sluice/internal/tracing"
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

// redriver starts further attempts, from the payloads that the log keeps.
type redriver struct{ s *system }

func (d redriver) CaughtUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	last, err := d.s.log.Last(ctx)
	if err != nil {
		return err
	}
	var lag error
	err = poll(ctx, func(ctx context.Context) error {
		lag = d.s.caughtUp(ctx, last)
		if position, err := d.s.gate.Position(ctx); err != nil || position < last {
			lag = errors.Join(lag, err, fmt.Errorf("the gate is at %d of the log's %d", position, last))
		}
		return lag
	})
	return errors.Join(err, lag)
}

func (d redriver) Redrive(ctx context.Context, record delivery.Record, attempt int) error {
	job, kept, err := d.s.log.Payload(ctx, delivery.SenderToken(record.From), record.ID)
	switch now := time.Now(); {
	case err != nil:
		return err
	case !kept:
		return dashboard.ErrPayloadGone
	case !job.ExpiresAt.IsZero() && !job.ExpiresAt.After(now):
		return dashboard.ErrExpired
	default:
		ctx, span := tracing.Again(ctx, "redrive", record.ID, sentUnder(record))
		err := d.s.room.Redrive(ctx, delivery.Task{
			Job: job, Attempt: attempt, Redriven: attempt, Published: now, Announced: true, Trace: tracing.Of(ctx),
		})
		span.End(err)
		return err
	}
}

// sentUnder are the traces of a job's attempts so far, the latest first.
func sentUnder(record delivery.Record) (traceparents []string) {
	for _, e := range slices.Backward(record.Timeline) {
		if e.Trace != "" {
			traceparents = append(traceparents, e.Trace)
		}
	}
	return traceparents
}

// operated is the registry as the API knows it: to resume a sender also ends
// the rest that its faults brought upon it.
type operated struct {
	*senders.Registry
	gate *ratelimit.Gate
}

func (o operated) PauseSender(ctx context.Context, token string, paused bool, reason string) (senders.Sender, error) {
	sender, err := o.Registry.PauseSender(ctx, token, paused, reason)
	if err == nil && !paused {
		err = o.gate.Trip(ctx, token, "", time.UnixMicro(0))
	}
	return sender, err
}

// advice is the error catalogue as the pages know it.
func advice(code int) dashboard.Advice {
	entry := messaging.DefaultCatalogue().Lookup(code)
	return dashboard.Advice{Meaning: entry.Meaning, Action: entry.Action}
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
