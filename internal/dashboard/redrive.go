package dashboard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/sluicehq/sluice/delivery"
)

// Redriver begins a further attempt of a job that ended badly or is held.
type Redriver interface {
	// CaughtUp returns once gate and delivery state have everything that the
	// log held when it was called.
	CaughtUp(ctx context.Context) error
	// Redrive puts the job's payload back to the dispatchers. When it returns
	// nil the attempt will be made; asking for one attempt twice is asking once.
	// Its errors are [ErrPayloadGone] and [ErrExpired].
	Redrive(ctx context.Context, record delivery.Record, attempt int) error
}

// Why a job cannot be redriven although its state allows it.
var (
	ErrPayloadGone = errors.New("the job's payload is no longer kept: hand it in again under a new id")
	ErrExpired     = errors.New("the job's expires_at has passed: hand it in again under a new id")
)

// redrivable are the states that a redrive leads out of. What expired, was
// suppressed or canceled has ended as asked for.
var redrivable = []delivery.Status{delivery.StatusFailed, delivery.StatusUndelivered, delivery.StatusHeld}

func (a *API) redriveJob(r *http.Request) (any, error) {
	if err := a.readyToRedrive(r.Context()); err != nil {
		return nil, err
	}
	record, err := a.findJob(r)
	if err != nil {
		return nil, err
	}
	if err := a.redrive(r.Context(), record); err != nil {
		return nil, err
	}
	return a.findJob(r)
}

// readyToRedrive waits for what is on its way: a job that is about to be
// delivered must not be taken for one that failed.
func (a *API) readyToRedrive(ctx context.Context) error {
	if err := a.cfg.Redriver.CaughtUp(ctx); err != nil {
		a.cfg.Log.WarnContext(ctx, "redrive refused", "error", err)
		return problem{http.StatusServiceUnavailable, "unavailable", "the delivery state is behind the log: try again in a moment", ""}
	}
	return nil
}

func (a *API) redrive(ctx context.Context, record delivery.Record) error {
	if !slices.Contains(redrivable, record.Status) {
		return tooLate(fmt.Errorf("the job is %s: only failed, undelivered and held jobs can be redriven", record.Status))
	}
	attempt := max(1, record.Attempt) + 1
	err := a.cfg.Redriver.Redrive(ctx, record, attempt)
	switch {
	case errors.Is(err, ErrPayloadGone), errors.Is(err, ErrExpired):
		return tooLate(err)
	case err != nil:
		a.cfg.Log.ErrorContext(ctx, "job not redriven", "job", record.ID, "error", err)
		return problem{http.StatusServiceUnavailable, "unavailable", "the queue did not take the job: repeat the request", ""}
	}
	// The attempt will be made. A crash here leaves the job looking as before
	// until it is; the request may be repeated, and the queue, or the grant,
	// takes the copy for what it is.
	return a.announceRedriven(ctx, record, attempt)
}

// announceRedriven does not stop when the caller hangs up: the job is on its
// way, so its event belongs in the log.
func (a *API) announceRedriven(ctx context.Context, record delivery.Record, attempt int) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), announceTimeout)
	defer cancel()
	err := a.cfg.Announcer.Announce(ctx, delivery.Event{
		ID:   fmt.Sprintf("%s:%s:%d", delivery.EventRedriven, record.ID, attempt),
		Type: delivery.EventRedriven, At: a.cfg.Now().UTC(), Job: record.ID, Attempt: attempt,
		From: record.From, To: record.To, Status: delivery.EventRedriven.Status(),
		Reason: byHand(ctx, "redriven by hand"), Metadata: record.Metadata,
	})
	if err != nil {
		a.cfg.Log.ErrorContext(ctx, "a redrive could not be told", "job", record.ID, "error", err)
		return problem{http.StatusServiceUnavailable, "unavailable", "the job is on its way, but that could not be told", ""}
	}
	return nil
}

// Bounds of one request that redrives many.
const (
	redriveMost    = 1000
	redriveAtOnce  = 16
	redriveTimeout = 40 * time.Second
)

// redriven is what became of many jobs. Next is where to go on, empty if all
// that match were dealt with.
type redriven struct {
	Redriven int             `json:"redriven"`
	Refused  int             `json:"refused"`
	Results  []redriveResult `json:"results"`
	Next     string          `json:"next_cursor"`
}

type redriveResult struct {
	ID     string          `json:"id"`
	Status delivery.Status `json:"status,omitempty"`
	Error  *problem        `json:"error,omitempty"`
}
