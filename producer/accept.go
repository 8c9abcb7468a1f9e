package producer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/delivery"
)

// ErrConflict says that an id belongs to other content or to another sender.
// [Identities.Claim] and [Publisher.Publish] return it.
var ErrConflict = errors.New("the id belongs to another job: choose a new one")

// Publisher puts a job into the stream. [Producer] is one; behind a [Handler]
// it is made with [WithAnnounced]. Publish must return only once the job is
// stored, and may be called again with a job it has stored.
type Publisher interface {
	Publish(ctx context.Context, job Job) (Receipt, error)
	// PublishAgain publishes a job that the stream takes for a duplicate.
	PublishAgain(ctx context.Context, job Job) (Receipt, error)
}

// Identities keeps, for as long as a job's state is kept, which content an id
// stands for. Claim is atomic: of two claims of one id at most one is the
// first. It reports known for the id's own content and sender, claimed before,
// with the status of a job that has ended, and [ErrConflict] for any other;
// digest is [delivery.Job.Digest], sender [delivery.Job.Sender].
type Identities interface {
	Claim(ctx context.Context, job, digest, sender string) (known bool, ended delivery.Status, err error)
	// Disclaim undoes a first claim that nothing has come of.
	Disclaim(ctx context.Context, job, digest, sender string) error
}

// States reads the present state of a job, false if it has none.
type States interface {
	Get(ctx context.Context, id string) (delivery.Record, bool, error)
}

// Announcer tells of an event. When Announce returns nil the event is in the
// log and [States] shows it. Telling one event twice is telling it once.
type Announcer interface {
	Announce(ctx context.Context, event delivery.Event) error
}

// announceTimeout bounds the announcement of a job that is already published.
const announceTimeout = 10 * time.Second

// answer is what becomes of one job of a request: id and status, or an error.
type answer struct {
	ID     string          `json:"id,omitempty"`
	Status delivery.Status `json:"status,omitempty"`
	Error  *problem        `json:"error,omitempty"`
}

// accept takes one job from request to promise. Every step may be repeated, so
// a client without an answer sends the same request again and nothing more.
func (h *Handler) accept(ctx context.Context, job Job) answer {
	category := h.categoryOf(ctx, job)
	job, err := prepare(ranked(job, category))
	if err != nil {
		return h.refuse(job.ID, err)
	}
	known, ended, err := h.identities.Claim(ctx, job.ID, job.Digest(), job.Sender())
	if err != nil {
		return h.refuse(job.ID, fmt.Errorf("claim the id: %w", err))
	}
	// The id stands for this content. A crash here leaves a claim without a
	// job: the repeated request is known, finds no state, and is published.
	if known {
		record, found, err := h.states.Get(ctx, job.ID)
		if err != nil {
			return h.refuse(job.ID, fmt.Errorf("read the state: %w", err))
		}
		if found && record.Status != "" {
			return answer{ID: job.ID, Status: record.Status}
		}
		if ended != "" { // and its state is forgotten, but a copy may still come
			return answer{ID: job.ID, Status: ended}
		}
	}
	if !known {
		if err := h.fit(ctx, job); err != nil {
			// A crash before this leaves a claim without a job, as any does: the
			// repeated request is published, and the dispatcher refuses it.
			return h.refuse(job.ID, errors.Join(err, h.identities.Disclaim(ctx, job.ID, job.Digest(), job.Sender())))
		}
	}
	if err := h.publish(ctx, job, known); err != nil {
		return h.refuse(job.ID, err)
	}
	// The stream has the job and it will be sent. A crash here leaves it
	// without its accepted event: its story begins with the next one, and a
	// repeated request publishes a copy that the grant of the first catches.
	if err := h.announce(ctx, job, category); err != nil {
		return h.refuse(job.ID, fmt.Errorf("announce the job: %w", err))
	}
	// The log and the state tell of the job. A crash here loses the answer
	// alone: the repeated request is known and is told the present status.
	return answer{ID: job.ID, Status: delivery.StatusAccepted}
}

// categoryOf is the category that Meta put the job's template into, empty where
// the job names one itself and where nobody knows.
func (h *Handler) categoryOf(ctx context.Context, job Job) delivery.Category {
	if h.category == nil || job.Category != "" || !job.Template() {
		return ""
	}
	return h.category(ctx, job)
}

// ranked gives a job that names neither category nor priority the priority of
// its template's category. The category itself stays open in the job, which is
// what was asked for: Meta may change its mind between a request and its
// repetition, and before the job goes.
func ranked(job Job, category delivery.Category) Job {
	if category != "" && job.Priority == "" {
		job.Priority = delivery.Job{Category: category}.WithDefaults("").Priority
	}
	return job
}

// fit refuses a job that WhatsApp would refuse if it went now. A job that goes
// later is looked at when its time has come.
func (h *Handler) fit(ctx context.Context, job Job) error {
	if h.unfit == nil || !job.Template() || job.SendAt.After(h.now()) {
		return nil
	}
	return h.unfit(ctx, job)
}

// publish puts the job into the stream. Where its claim was the first and yet
// the stream has a message of this id, somebody published it without a claim,
// over NATS, and no dispatcher had seen it: then that message counts.
func (h *Handler) publish(ctx context.Context, job Job, known bool) error {
	receipt, err := h.publisher.Publish(ctx, job)
	if known || !(receipt.Duplicate || errors.Is(err, ErrConflict)) {
		return err
	}
	if errors.Is(err, ErrConflict) {
		// A crash before this leaves the other message to be refused in favour
		// of a job that was never accepted; its publisher reads so in the log.
		return errors.Join(err, h.identities.Disclaim(ctx, job.ID, job.Digest(), job.Sender()))
	}
	if receipt.Taken {
		// Between our claim and here a dispatcher met it: it was the same job,
		// or has been refused because of our claim.
		_, err = h.publisher.PublishAgain(ctx, job)
	}
	return err
}

// announce does not stop when the client hangs up: the job is published, so
// its event belongs in the log.
func (h *Handler) announce(ctx context.Context, job Job, category delivery.Category) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), announceTimeout)
	defer cancel()
	accepted := job.Happened(delivery.EventAccepted, 1, h.now(), "accepted:"+job.ID)
	accepted.Category = cmp.Or(accepted.Category, category, delivery.Utility)
	return h.announcer.Announce(ctx, accepted)
}

func (h *Handler) refuse(id string, err error) answer {
	p := problemWith(id, err)
	if p.Code == codeUnavailable {
		h.logger.Warn("job not taken", "job", id, "error", err)
	}
	return answer{Error: p}
}
