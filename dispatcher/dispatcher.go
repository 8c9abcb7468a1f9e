package dispatcher

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/messaging"
	"github.com/sluicehq/sluice/internal/tracing"
	"github.com/sluicehq/sluice/ratelimit"
)

// Gate decides whether a job may go. Its answers hold for all replicas.
type Gate interface {
	Admit(ctx context.Context, r ratelimit.Request) (ratelimit.Verdict, error)
	// Claim binds an id to its content; false with a nil error is a new id.
	Claim(ctx context.Context, job, digest, sender string, copies time.Time) (ratelimit.Claimed, error)
	// Confirm counts an attempt from now on, instead of from its grant.
	Confirm(ctx context.Context, job string, attempt int, token string) error
	// GiveBack frees the slot of an attempt that certainly reached nobody.
	GiveBack(ctx context.Context, job string, attempt int, token string) error
	// Trip parks everything of a sender until the given time.
	Trip(ctx context.Context, sender, reason string, until time.Time) error
	// TripAccount does so for all senders of a sender's account.
	TripAccount(ctx context.Context, sender, reason string, until time.Time) error
	// ShutWindow forgets that the customer may be written to freely, unless they
	// wrote after the given time.
	ShutWindow(ctx context.Context, sender, customer string, upTo time.Time) error
}

// Log is the durable order of what happens. Both calls return once the entry
// is stored; repeating one with the same event or token stores nothing new.
type Log interface {
	Append(ctx context.Context, e delivery.Event) (uint64, error)
	Intent(ctx context.Context, i delivery.Intent) (uint64, error)
	// Keep stores the payload of a job that ends without an intent.
	Keep(ctx context.Context, job delivery.Job) error
}

// Provider is the Messages API. Create's error is always a
// [*messaging.Failure].
type Provider interface {
	Create(ctx context.Context, m messaging.Message) (messaging.Resource, error)
	List(ctx context.Context, to, from string, most int) ([]messaging.Resource, error)
}

// Evidence is what is known of a job from the log.
type Evidence interface {
	// Record returns the job's state, after everything that the log held when
	// the call was made has been applied to it.
	Record(ctx context.Context, job string) (delivery.Record, error)
	// LastIntent returns the job's last intent, false if the log has none.
	LastIntent(ctx context.Context, job delivery.Job) (delivery.Intent, bool, error)
	// Rivals returns the last intents of other jobs from the same sender to the
	// same customer whose outcome is open: a message found may be theirs.
	Rivals(ctx context.Context, job delivery.Job) ([]delivery.Intent, error)
	// Own binds a SID to a job unless another job has it, and reports whether
	// the SID is the job's.
	Own(ctx context.Context, sid, job string) (bool, error)
}

// Observer is told what happened, for metrics.
type Observer interface {
	Admitted(outcome string)
	Posted(took, sincePublished time.Duration, code int, failed bool)
	Resolved(how string)
}

// Config is how a [Dispatcher] works. The zero value of a duration is its
// default.
type Config struct {
	Account       string                     // the provider account; also the pool of senders nobody registered
	AccountOf     func(sender string) string // of a sender in another one, else empty; default: none is
	PoolPerSender bool                       // count unregistered senders each on its own
	StatusURL     string                     // callbacks go to StatusURL + "/<job>/<attempt>"
	SendTimeout   time.Duration              // of one POST, default 15s
	AckWait       time.Duration              // of the queue, default 30s
	UnknownGrace  time.Duration              // between an attempt's end and the search for evidence, default 30s
	MaxAttempts   int                        // POSTs of one job that ended in a retryable refusal, default 8
	MaxUnknown    int                        // POSTs of one job whose outcome nobody knows, default 3; then it is held
	Probe         time.Duration              // how long a broken sender or account rests before one job tries it, default 60s
	Storm         int                        // unclear answers of a sender in a row after which it rests, default 20
	// Templates, if set, says what keeps a job's template from going at present.
	Templates Templates
	// OptedOut, if set, records that the provider refused a message because the
	// customer opted out of this sender (error 21610). Repeating it is harmless.
	OptedOut func(ctx context.Context, customer, sender string, at time.Time) error
	Clock    func() time.Time
	Log      *slog.Logger
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.SendTimeout, 15 * time.Second},
		{&c.AckWait, 30 * time.Second},
		{&c.UnknownGrace, 30 * time.Second},
		{&c.Probe, time.Minute},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	c.MaxAttempts = cmp.Or(c.MaxAttempts, 8)
	c.MaxUnknown = cmp.Or(c.MaxUnknown, 3)
	c.Storm = cmp.Or(c.Storm, 20)
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Dispatcher handles jobs. It holds no state of theirs and is safe for
// concurrent use.
type Dispatcher struct {
	gate     Gate
	log      Log
	provider Provider
	evidence Evidence
	observer Observer
	health   *health
	cfg      Config
}

// New makes a dispatcher from its parts.
func New(g Gate, l Log, p Provider, e Evidence, o Observer, cfg Config) *Dispatcher {
	cfg = cfg.withDefaults()
	return &Dispatcher{gate: g, log: l, provider: p, evidence: e, observer: o, health: newHealth(cfg.Storm), cfg: cfg}
}

// Handle takes one delivery of a job to its settlement. It never fails: what
// could not be done now is handed back, and the next delivery begins anew.
func (d *Dispatcher) Handle(ctx context.Context, task delivery.Task) delivery.Settlement {
	begun := d.cfg.Clock()
	ctx, span := tracing.Start(tracing.With(ctx, task.Trace), "dispatch", task.Job.ID, trace.SpanKindConsumer)
	step := d.handle(ctx, task)
	span.Note("sluice.settlement", step.Settlement.Action.String())
	span.End(step.Err)
	d.record(ctx, task, step, d.cfg.Clock().Sub(begun))
	return step.Settlement
}

func (d *Dispatcher) handle(ctx context.Context, task delivery.Task) Step {
	task.Category = d.category(ctx, task.Job)
	if task.Job.SendAt.After(d.cfg.Clock()) {
		return d.postpone(ctx, task)
	}
	sender := task.Job.Sender()
	probes, free := d.health.enter(sender, d.account(sender))
	if !free {
		// Another job tries a broken sender; this one waits for what it finds.
		return Step{Settlement: delivery.Settlement{Action: delivery.HandBack}}
	}
	if probes {
		defer d.health.leave(sender, d.account(sender))
	}
	unfit := d.unfit(ctx, task.Job)
	// The grant's life is counted from before it is asked for, so that this
	// side never thinks it longer than the gate does.
	asked := d.cfg.Clock()
	admission, span := tracing.Start(ctx, "admit", task.Job.ID, trace.SpanKindInternal)
	verdict, err := d.gate.Admit(admission, unfit.request(d.request(task)))
	span.Note("sluice.outcome", string(verdict.Outcome))
	span.End(err)
	if err != nil {
		return handBack("the gate did not answer", err)
	}
	d.observer.Admitted(string(verdict.Outcome))
	switch verdict.Outcome {
	case ratelimit.OutcomeGo:
		return d.send(ctx, task, verdict, asked)
	case ratelimit.OutcomePrior:
		return d.settlePrior(ctx, task, verdict)
	case ratelimit.OutcomeClosed:
		return handBack("the gate is closed", nil)
	case ratelimit.OutcomeExpired:
		return d.expired(ctx, task, verdict)
	default:
		return d.tell(ctx, task, unfit.refuse(task, verdict))
	}
}

// account is the provider account that a sender's messages go through.
func (d *Dispatcher) account(sender string) string {
	if d.cfg.AccountOf == nil {
		return d.cfg.Account
	}
	return cmp.Or(d.cfg.AccountOf(sender), d.cfg.Account)
}

// request is the job as the gate sees it.
func (d *Dispatcher) request(task delivery.Task) ratelimit.Request {
	r := GateRequest(task, d.cfg.Account, d.cfg.PoolPerSender)
	r.Token = task.Token
	return r
}

// GateRequest is what the gate is asked about a task, without a token. account
// and poolPerSender are as in [Config].
func GateRequest(task delivery.Task, account string, poolPerSender bool) ratelimit.Request {
	job := task.Job
	pool := account
	if poolPerSender {
		pool = job.Sender()
	}
	return ratelimit.Request{
		Job: job.ID, Digest: job.Digest(), Sender: job.Sender(), Pool: pool,
		Customer: delivery.CustomerKey(job.To), Priority: lanes[job.Priority],
		Attempt: task.Attempt, FreeForm: job.FreeForm(), Template: job.Template(),
		ExpiresAt: job.ExpiresAt, Published: task.Published,
	}
}

var lanes = map[delivery.Priority]ratelimit.Priority{
	delivery.High: ratelimit.High, delivery.Normal: ratelimit.Normal, delivery.Low: ratelimit.Low,
}

// postpone sends a job to the waiting room until its send_at. The id is claimed
// first: a message with another job's id must not appear in that job's state, and
// a job that is canceled meanwhile must not be forgotten before its copy comes.
func (d *Dispatcher) postpone(ctx context.Context, task delivery.Task) Step {
	_, err := d.gate.Claim(ctx, task.Job.ID, task.Job.Digest(), task.Job.Sender(), task.Job.SendAt)
	if isConflict(err) {
		return d.tell(ctx, task, conflict(task, d.cfg.Clock()))
	}
	if err != nil {
		return handBack("the gate did not answer", err)
	}
	return d.tell(ctx, task, postponed(task, d.cfg.Clock()))
}

// tell puts the step's event into the log and returns the step; if the log
// does not take it, the message stays in the queue and comes again.
func (d *Dispatcher) tell(ctx context.Context, task delivery.Task, s Step) Step {
	if s.Accepts && !task.Announced {
		accepted := task.Job.Happened(delivery.EventAccepted, 1, task.Published, "accepted:"+task.Job.ID)
		accepted.Category = cmp.Or(accepted.Category, task.Category, delivery.Utility)
		if _, err := d.log.Append(ctx, accepted); err != nil {
			return handBack("the log did not take the accepted event", err)
		}
	}
	if s.Event == nil {
		return s
	}
	if s.Keep {
		// Before the event: what it ends can be redriven as long as it is shown.
		if err := d.log.Keep(ctx, task.Job); err != nil {
			return handBack("the log did not take the payload", err)
		}
	}
	s.Event.Category = cmp.Or(s.Event.Category, task.Category)
	// Once stored, the event is what is true, whatever becomes of the message:
	// a crash before the settlement brings the message back, and its events,
	// whose ids are the same, are not stored twice.
	if _, err := d.log.Append(ctx, *s.Event); err != nil {
		return handBack("the log did not take the "+string(s.Event.Type)+" event", err)
	}
	return s
}

// record writes the one log line of this delivery.
func (d *Dispatcher) record(ctx context.Context, task delivery.Task, s Step, took time.Duration) {
	level := slog.LevelDebug
	attrs := []slog.Attr{
		slog.String("job", task.Job.ID), slog.Int("attempt", task.Attempt),
		slog.String("sender", task.Job.Sender()), slog.String("to", delivery.Mask(task.Job.To)),
		slog.String("settlement", s.Settlement.Action.String()), slog.Duration("took", took),
	}
	if s.Event != nil {
		level = slog.LevelInfo
		attrs = append(attrs, slog.String("event", string(s.Event.Type)), slog.String("reason", s.Event.Reason),
			slog.String("sid", s.Event.SID))
		if s.Event.Error != nil {
			attrs = append(attrs, slog.Int("code", s.Event.Error.Code))
		}
	}
	if s.Trouble != "" {
		level = slog.LevelWarn
		attrs = append(attrs, slog.String("trouble", s.Trouble), slog.Any("error", s.Err))
	}
	d.cfg.Log.LogAttrs(ctx, level, "delivery handled", attrs...)
}
