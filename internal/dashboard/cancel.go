package dashboard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/sluicehq/sluice/delivery"
)

// Canceler stops a job at the gate, so that no attempt of it begins any more.
// It may be asked again, and then answers as before.
//
// Its errors are [ErrGranted], and [ErrEnded] with the status the job ended in.
type Canceler interface {
	Cancel(ctx context.Context, job string) (status string, err error)
}

// Schedules takes out of the waiting room what would come for a job later.
type Schedules interface {
	Unschedule(ctx context.Context, job string) error
}

// Why a job cannot be canceled.
var (
	// ErrGranted: an attempt may be on the wire or arrived.
	ErrGranted = errors.New("the job is being sent or has been sent: it can no longer be canceled")
	// ErrEnded: there is nothing left to cancel.
	ErrEnded = errors.New("the job has ended")
)

// Announcer tells of an event. When Announce returns nil the event is in the
// log and [Jobs] shows it. Telling one event twice is telling it once.
type Announcer interface {
	Announce(ctx context.Context, e delivery.Event) error
}

// announceTimeout bounds the announcement of a job that is already stopped.
const announceTimeout = 10 * time.Second

const canceledByHand = "canceled by hand"

// byHand is a reason with who it was, where that is known.
func byHand(ctx context.Context, reason string) string {
	if who := identityOf(ctx).who; who != "" {
		return reason + ": " + who
	}
	return reason
}

func (a *API) cancelJob(r *http.Request) (any, error) {
	record, err := a.findJob(r)
	if err != nil || record.Status == delivery.StatusCanceled {
		return record, err
	}
	if err := cancelable(record); err != nil {
		return nil, err
	}
	// A held job's attempt has a grant, and no dispatcher holds the job: only a
	// person ends it, and the gate learns of that from the log.
	if record.Status != delivery.StatusHeld {
		if over, err := a.stop(r, record.ID); err != nil {
			return nil, err
		} else if over {
			return a.findJob(r)
		}
		if record, err = a.findJob(r); err != nil || record.Status == delivery.StatusCanceled {
			return record, err
		}
		if err := cancelable(record); err != nil {
			return nil, err
		}
	}
	// The job will not be sent. A crash here leaves it flagged and looking as
	// before: the dispatcher that next finds it in its stream ends it, with
	// this same event, and until then the request can be repeated. A held job
	// has no flag: the crash leaves it held.
	if err := a.announceCanceled(r.Context(), record); err != nil {
		return nil, err
	}
	// Told, so nothing has to come for it any more. What is left, by a crash here
	// or by a dispatcher that just moved the job, finds at the gate that it ended.
	if err := a.cfg.Schedules.Unschedule(r.Context(), record.ID); err != nil {
		a.cfg.Log.WarnContext(r.Context(), "a canceled job still counts as scheduled until its time", "job", record.ID, "error", err)
	}
	return a.findJob(r)
}

// cancelable refuses what has ended, and what the provider has, whatever a gate
// made anew may know.
func cancelable(record delivery.Record) error {
	switch {
	case record.Status.Ended():
		return tooLate(fmt.Errorf("%w: it is %s", ErrEnded, record.Status))
	case record.Status == delivery.StatusQueued, record.Status == delivery.StatusSent:
		return tooLate(ErrGranted)
	}
	return nil
}

// stop makes the gate refuse the job from now on, and reports whether somebody
// else has canceled it and tells of it.
//
// Its next attempt may have been decided on and not be shown yet: an end told of
// the attempt before would leave that one free to go. And a gate that is being
// refilled may not know of its grant yet. So both are asked again once they have
// all that the log held.
func (a *API) stop(r *http.Request, job string) (over bool, err error) {
	if over, err := a.flag(r, job); err != nil || over {
		return over, err
	}
	if err := a.cfg.Redriver.CaughtUp(r.Context()); err != nil {
		a.cfg.Log.WarnContext(r.Context(), "the end of a canceled job is not told yet", "job", job, "error", err)
		return false, problem{http.StatusServiceUnavailable, "unavailable", "canceling could not be completed: repeat the request", ""}
	}
	return a.flag(r, job)
}

// flag flags the job at the gate, unless its attempt has been granted or the job
// has ended.
func (a *API) flag(r *http.Request, job string) (over bool, err error) {
	status, err := a.cfg.Canceler.Cancel(r.Context(), job)
	switch {
	case errors.Is(err, ErrEnded) && status == string(delivery.StatusCanceled):
		return true, nil // told, or about to be, by whoever ended it
	case errors.Is(err, ErrEnded):
		return false, tooLate(fmt.Errorf("%w: it is %s", err, status))
	case errors.Is(err, ErrGranted):
		return false, tooLate(ErrGranted)
	}
	return false, err
}

// announceCanceled does not stop when the caller hangs up: the job is stopped,
// so its end belongs in the log. The event's id is the one a dispatcher gives
// it, and of two tellings one counts.
func (a *API) announceCanceled(ctx context.Context, record delivery.Record) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), announceTimeout)
	defer cancel()
	attempt := max(1, record.Attempt)
	err := a.cfg.Announcer.Announce(ctx, delivery.Event{
		ID:   fmt.Sprintf("%s:%s:%d", delivery.EventCanceled, record.ID, attempt),
		Type: delivery.EventCanceled, At: a.cfg.Now().UTC(), Job: record.ID, Attempt: attempt,
		From: record.From, To: record.To, Status: delivery.StatusCanceled,
		Reason: byHand(ctx, canceledByHand), Metadata: record.Metadata,
	})
	if err != nil {
		a.cfg.Log.ErrorContext(ctx, "the end of a canceled job could not be told", "job", record.ID, "error", err)
		return problem{http.StatusServiceUnavailable, "unavailable", "canceling could not be completed: repeat the request", ""}
	}
	return nil
}

func tooLate(err error) error {
	return problem{http.StatusConflict, "conflict", err.Error(), ""}
}
