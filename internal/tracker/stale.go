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

// Unfinished lists jobs that the provider took before the given time and whose
// delivery is still awaited, without their timelines.
type Unfinished interface {
	Unfinished(ctx context.Context, before time.Time) ([]delivery.Record, error)
}

// Appender puts events into the log.
type Appender interface {
	Append(ctx context.Context, e delivery.Event) (uint64, error)
}

// StaleConfig is how a [Stale] works.
type StaleConfig struct {
	Holder string        // unique per process
	After  time.Duration // without news, after which a message is asked for, default 5m
	Clock  func() time.Time
	Log    *slog.Logger
}

// Stale asks for messages whose callbacks are overdue, since the provider
// promises none of them. A message is asked for again at four times the age of
// the last answer, until there is news of it, and no more after a day: one to a
// customer who blocked the sender stays sent for ever, and is shown so. A
// provider that cannot be asked is let alone until the next pass. One tracker
// does it, under a lease; what it remembers is lost with it and only saves
// requests.
type Stale struct {
	messages Messages
	jobs     Unfinished
	intents  Intents
	log      Appender
	lessor   Lessor
	cfg      StaleConfig
	looks    map[string]look // the last of each message, by SID; of Run's goroutine
}

// look is that a message was asked for.
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
func NewStale(m Messages, jobs Unfinished, intents Intents, log Appender, lessor Lessor, cfg StaleConfig) *Stale {
	cfg.After = cmp.Or(cfg.After, 5*time.Minute)
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Stale{messages: m, jobs: jobs, intents: intents, log: log, lessor: lessor, cfg: cfg, looks: map[string]look{}}
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
		err := s.ask(ctx, r, now)
		next := staleGrowth * age
		if err != nil {
			next = age + s.cfg.After // and not before those behind it had their turn
		}
		s.looks[r.SID] = look{r.UpdatedAt, next}
		if err != nil {
			return err
		}
		if !pause(ctx, fetchPause) {
			return ctx.Err()
		}
	}
	return nil
}

// forget drops the looks of messages that are no longer awaited.
func (s *Stale) forget(awaited []delivery.Record) {
	sids := make(map[string]bool, len(awaited))
	for _, r := range awaited {
		sids[r.SID] = true
	}
	maps.DeleteFunc(s.looks, func(sid string, _ look) bool { return !sids[sid] })
}

func (s *Stale) due(r delivery.Record, age time.Duration) bool {
	last := s.looks[r.SID]
	fresh := !last.news.Equal(r.UpdatedAt)
	return r.SID != "" && age >= s.cfg.After && age <= staleLongest && (fresh || age >= last.next)
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
