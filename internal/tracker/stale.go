package tracker

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"github.com/sluicehq/sluice/delivery"
)

// Messages asks the provider about one message. What the provider says of one it
// does not know is the zero Report; an error is that it could not be asked.
type Messages interface {
	Fetch(ctx context.Context, sid string) (Report, error)
}

// Report is what the provider says of a message.
type Report struct {
	Status  string // the provider's word, in lower case
	Code    int    // error code, 0 if none
	Message string
}

// Unfinished lists jobs from before the given time, without their timelines,
// that are being sent, of which nobody knows whether they were, or whose delivery
// is still awaited.
type Unfinished interface {
	Unfinished(ctx context.Context, before time.Time) ([]delivery.Record, error)
}

// Dispatchers take a job that may be in no queue. Repeating it is harmless.
type Dispatchers interface {
	Redrive(ctx context.Context, task delivery.Task) error
}

// Appender puts events into the log.
type Appender interface {
	Append(ctx context.Context, e delivery.Event) (uint64, error)
}

// StaleConfig is how a [Stale] works.
type StaleConfig struct {
	Holder string        // unique per process
	After  time.Duration // without news, after which a message is asked for, default 5m
	// Unclear is how long the outcome of an attempt may be open while all goes
	// well: ack wait and grace. Default 1m.
	Unclear time.Duration
	Clock   func() time.Time
	Log     *slog.Logger
}

// Stale asks for messages whose callbacks are overdue, since the provider
// promises none of them. A message is asked for again at four times the age of
// the last answer, until there is news of it, and no more after a day: one to a
// customer who blocked the sender stays sent for ever, and is shown so. A
// provider that cannot be asked is let alone until the next pass. One tracker
// does it, under a lease; what it remembers is lost with it and only saves
// requests.
//
// A job without a SID, whose attempt nobody seems to look after, is handed to the
// dispatchers once more. Its message may have been lost with the queue, as when
// streams are restored from backups of different times. If it was not, this is a
// copy like any other: it finds the attempt granted, sends nothing, and looks for
// evidence.
type Stale struct {
	messages Messages
	jobs     Unfinished
	intents  Intents
	queue    Dispatchers
	log      Appender
	lessor   Lessor
	cfg      StaleConfig
	looks    map[string]look // the last at each job; of Run's goroutine
}

// look is that a job's message was asked for.
type look struct {
	news time.Time     // the last there was of its job
	next time.Duration // the age from which on it may be asked for again
}

const (
	staleLongest = 24 * time.Hour
	staleGrowth  = 4
	// fetchPause spaces requests, so that a day without callbacks is not
	// answered with a storm.
	fetchPause = 50 * time.Millisecond
)

// NewStale makes it from its parts.
func NewStale(m Messages, jobs Unfinished, intents Intents, queue Dispatchers, log Appender, lessor Lessor, cfg StaleConfig) *Stale {
	cfg.After = cmp.Or(cfg.After, 5*time.Minute)
	cfg.Unclear = cmp.Or(cfg.Unclear, time.Minute)
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Stale{messages: m, jobs: jobs, intents: intents, queue: queue, log: log, lessor: lessor, cfg: cfg, looks: map[string]look{}}
}

// Run asks until ctx ends, and returns nil then.
func (s *Stale) Run(ctx context.Context) error {
	every := max(s.cfg.After/4, 100*time.Millisecond)
	for pause(ctx, every) {
		mine, err := s.lessor.Lease(ctx, "stale", s.cfg.Holder, 2*every+leaseLife)
		if err == nil && mine {
			err = s.Pass(ctx)
		}
		if err != nil && ctx.Err() == nil {
			s.cfg.Log.WarnContext(ctx, "messages without news not asked for, trying again", "error", err)
		}
	}
	return nil
}

// Pass asks once for everything that is due.
func (s *Stale) Pass(ctx context.Context) error {
	now := s.cfg.Clock()
	records, err := s.jobs.Unfinished(ctx, now.Add(-s.cfg.After))
	if err != nil {
		return err
	}
	s.forget(records)
	for _, r := range records {
		age := now.Sub(r.UpdatedAt)
		if !s.due(r, age) {
			continue
		}
		err := s.see(ctx, r, now)
		next := staleGrowth * age
		if err != nil {
			next = age + s.cfg.After // and not before those behind it had their turn
		}
		s.looks[r.ID] = look{r.UpdatedAt, next}
		if err != nil {
			return err
		}
		if !pause(ctx, fetchPause) {
			return ctx.Err()
		}
	}
	return nil
}

// forget drops the looks at jobs that are no longer awaited.
func (s *Stale) forget(awaited []delivery.Record) {
	ids := make(map[string]bool, len(awaited))
	for _, r := range awaited {
		ids[r.ID] = true
	}
	maps.DeleteFunc(s.looks, func(id string, _ look) bool { return !ids[id] })
}

func (s *Stale) due(r delivery.Record, age time.Duration) bool {
	patience, last := s.cfg.After, s.looks[r.ID]
	if unclear(r) {
		patience += s.cfg.Unclear
	}
	fresh := !last.news.Equal(r.UpdatedAt)
	return age >= patience && age <= staleLongest && (fresh || age >= last.next)
}

// unclear reports whether nobody knows, or knew lately, what came of the job's
// attempt.
func unclear(r delivery.Record) bool {
	return r.Status == delivery.StatusSending || r.Status == delivery.StatusUnknown
}

func (s *Stale) see(ctx context.Context, r delivery.Record, now time.Time) error {
	switch {
	case unclear(r):
		return s.handOver(ctx, r)
	case r.SID != "":
		return s.ask(ctx, r, now)
	}
	return nil
}

// handOver gives the dispatchers the attempt whose outcome is open. What they
// find is told by them; a crash before or after leads back here.
func (s *Stale) handOver(ctx context.Context, r delivery.Record) error {
	intent, found, err := s.intents.LastIntent(ctx, delivery.SenderToken(r.From), r.ID)
	if err != nil || !found || intent.Attempt != r.Attempt {
		return err
	}
	s.cfg.Log.InfoContext(ctx, "job handed to the dispatchers once more: nothing was heard of its attempt",
		"job", r.ID, "attempt", r.Attempt)
	return s.queue.Redrive(ctx, intent.Task(r.Attempt))
}

// ask tells the log what the provider says, if that is news. A message that
// the provider does not know is left as it is.
func (s *Stale) ask(ctx context.Context, r delivery.Record, now time.Time) error {
	report, err := s.messages.Fetch(ctx, r.SID)
	if err != nil {
		return fmt.Errorf("ask what became of job %s: %w", r.ID, err)
	}
	t, known := delivery.Reported(report.Status)
	if !known || t.Status() == r.Status {
		return nil
	}
	e := delivery.Event{
		ID: delivery.ReportID(r.SID, report.Status, report.Code), Type: t, At: now.UTC(),
		Job: r.ID, Attempt: r.Attempt, From: r.From, To: r.To, SID: r.SID, Status: t.Status(),
		Reason: "fetched: no callback came", Metadata: r.Metadata,
	}
	if report.Code != 0 {
		e.Error = &delivery.Error{Code: report.Code, Message: report.Message}
	}
	var sent delivery.Intent
	if e.OutsideWindow() {
		if sent, _, err = s.intents.LastIntent(ctx, e.Sender(), e.Job); err != nil {
			return err
		}
	}
	_, err = s.log.Append(ctx, e.WaitsAgain(sent))
	return err
}
