package producer

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/trace"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/tracing"
)

// The vocabulary of jobs, named here so that a program which only publishes
// needs one import.
type (
	Job        = delivery.Job
	Variables  = delivery.Variables
	FieldError = delivery.FieldError
)

// Receipt says that the stream has a job.
type Receipt struct {
	// ID is the job's id, the given one or the one it was given.
	ID string
	// Duplicate says that the stream already had a message with this id, from
	// an earlier call or from an unanswered try of this one; its content counts.
	Duplicate bool
	// Taken says of a duplicate that the earlier message has left the queue, so
	// that nobody can tell here whether its content was the same.
	Taken bool
}

// Producer publishes jobs. It is safe for concurrent use and holds no state:
// the connection belongs to the caller, who closes it.
type Producer struct {
	js        jetstream.JetStream
	retryFor  time.Duration
	inFlight  int
	announced bool
}

// Option changes a [Producer].
type Option func(*Producer)

// WithRetryFor bounds how long one job is tried while its outcome is open.
// The default is 30 s; values of 0 and below mean the default. It must stay
// below the stream's duplicate window (2 minutes unless configured), since
// beyond it a repetition is a second message.
func WithRetryFor(d time.Duration) Option {
	return func(p *Producer) {
		if d > 0 {
			p.retryFor = d
		}
	}
}

// WithInFlight bounds how many jobs of a batch await their acknowledgement at
// once. The default is 256; values below 1 mean the default.
func WithInFlight(n int) Option {
	return func(p *Producer) {
		if n > 0 {
			p.inFlight = n
		}
	}
}

// WithAnnounced marks every job as announced: the caller puts its accepted
// event into the log itself, as [Handler] does. Without it the dispatcher does.
func WithAnnounced() Option { return func(p *Producer) { p.announced = true } }

// New returns a producer that publishes through js.
func New(js jetstream.JetStream, opts ...Option) *Producer {
	p := &Producer{js: js, retryFor: 30 * time.Second, inFlight: 256}
	for _, opt := range opts {
		opt(p)
	}
	return p
}

// Publish publishes one job and returns once the stream has it. An empty id
// becomes a UUIDv7; other defaults are those of [delivery.Job.WithDefaults].
//
// A job that breaks a rule is refused with a [*FieldError] and a full queue
// with [ErrQueueFull]; the other refusals are [ErrNoSpace], [ErrTooLarge] and
// [ErrConflict], for an id that the queue holds with other content.
// While the outcome is open (no answer, no leader, connection lost) the same
// message is published again, with growing pauses, up to the time of
// [WithRetryFor] and never beyond ctx; then the error is [ErrUnavailable]. The
// receipt names the id in every case, so that the call can be repeated with it.
func (p *Producer) Publish(ctx context.Context, job Job) (Receipt, error) {
	job, err := prepare(job)
	if err != nil {
		return Receipt{ID: job.ID}, err
	}
	return p.publish(ctx, job, job.ID)
}

// PublishAgain publishes a job whose id the stream would still take for a
// duplicate. If the earlier message was this job after all, the copy is caught
// before it is sent.
func (p *Producer) PublishAgain(ctx context.Context, job Job) (Receipt, error) {
	job, err := prepare(job)
	if err != nil {
		return Receipt{ID: job.ID}, err
	}
	return p.publish(ctx, job, job.ID+"#"+job.Digest())
}

func (p *Producer) publish(ctx context.Context, job Job, msgID string) (receipt Receipt, err error) {
	ctx, span := tracing.Start(ctx, "publish", job.ID, trace.SpanKindProducer)
	defer func() { span.End(err) }()
	msg, err := p.message(job, msgID)
	if err != nil {
		return Receipt{ID: job.ID}, err
	}
	if traceparent := tracing.Of(ctx); traceparent != "" {
		msg.Header.Set(tracing.Header, traceparent)
	}
	ack, err := p.deliver(ctx, msg)
	if err != nil {
		return Receipt{ID: job.ID}, err
	}
	receipt = Receipt{ID: job.ID, Duplicate: ack.Duplicate}
	if ack.Duplicate {
		receipt.Taken, err = p.compare(ctx, ack, job)
	}
	return receipt, err
}

// compare looks at the message that a job is a duplicate of. Where that cannot
// be read, as with an account that may only publish, it counts as taken.
func (p *Producer) compare(ctx context.Context, ack *jetstream.PubAck, job Job) (taken bool, err error) {
	stream, err := p.js.Stream(ctx, ack.Stream)
	if err != nil {
		return true, nil
	}
	stored, err := stream.GetMsg(ctx, ack.Sequence)
	if err != nil {
		return true, nil
	}
	earlier, err := delivery.Published{
		Subject: stored.Subject, Data: stored.Data, MsgID: stored.Header.Get(jetstream.MsgIDHeader),
		Sequence: stored.Sequence, Time: stored.Time,
	}.Job()
	if err == nil && earlier.ID == job.ID && (earlier.Digest() != job.Digest() || earlier.Sender() != job.Sender()) {
		return false, ErrConflict
	}
	return false, nil
}

// prepare fills what the job leaves open and checks the result. It changes
// nothing in a job it prepared before.
func prepare(job Job) (Job, error) {
	if job.ID == "" {
		id, err := uuid.NewV7()
		if err != nil {
			return job, fmt.Errorf("make a job id: %w", err)
		}
		job.ID = id.String()
	}
	job = job.WithDefaults("")
	// In UTC, since RFC 3339 can't write every offset that a time in Go may have.
	job.SendAt, job.ExpiresAt = job.SendAt.UTC(), job.ExpiresAt.UTC()
	return job, job.Validate()
}

func (p *Producer) message(job Job, msgID string) (*nats.Msg, error) {
	data, err := json.Marshal(job)
	if err != nil {
		return nil, fmt.Errorf("encode job %s: %w", job.ID, err)
	}
	msg := nats.NewMsg(delivery.JobSubject(job.Priority, job.Sender()))
	msg.Data = data
	msg.Header.Set(jetstream.MsgIDHeader, msgID)
	if p.announced {
		msg.Header.Set(delivery.HeaderAnnounced, "1")
	}
	return msg, nil
}
