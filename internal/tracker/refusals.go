package tracker

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/ratelimit"
)

// Payloads reads what was about to be sent.
type Payloads interface {
	LastIntent(ctx context.Context, sender, job string) (delivery.Intent, bool, error)
}

// WaitingRoom takes jobs that are in no queue. Repeating it is harmless.
type WaitingRoom interface {
	Park(ctx context.Context, task delivery.Task) (delivery.Parked, error)
}

// Brakes are what the gate has against going too fast, and against writing
// freely to those who must not be.
type Brakes interface {
	// Recent counts the customers that a sender has reached within the last
	// span.
	Recent(ctx context.Context, sender string, span time.Duration) (int, error)
	Limits(ctx context.Context, pool string) (ratelimit.PoolLimits, error)
	Trip(ctx context.Context, sender, reason string, until time.Time) error
	// CutRate halves the rate of a sender, unless the message at fault was granted
	// before the last cut.
	CutRate(ctx context.Context, sender string, sent time.Time) (mps float64, cut bool, err error)
	// ShutWindow forgets what a customer wrote to a sender up to a time.
	ShutWindow(ctx context.Context, sender, customer string, upTo time.Time) error
}

// RefusalsConfig is how a [Refusals] works.
type RefusalsConfig struct {
	Window  time.Duration // of the messaging limit
	Foreign func()        // counts words that somebody else uses the portfolio
	// CaughtUp returns once gate and ledger have everything that the log held
	// when it was called, or an error.
	CaughtUp func(ctx context.Context) error
	Clock    func() time.Time
	Log      *slog.Logger
}

// Refusals takes the provider's word against the gate's. A message that it took
// and then refused goes back to the waiting room as the next attempt, with the
// payload that its intent kept.
//
// After a limit (error 63018) the sender's rate is cut if it was sending near it;
// else somebody else uses up the portfolio's limit, and all its senders rest.
// After free form outside the customer service window (error 63016) the gate
// takes the window for shut, so that the job's template goes.
type Refusals struct {
	records  Records
	payloads Payloads
	room     WaitingRoom
	log      Appender
	gate     Brakes
	cfg      RefusalsConfig

	mu    sync.Mutex
	rests map[string]rest // by pool; guarded by mu. Forgotten by a restart, which begins with the shortest again.
}

// rest is how long a pool rests, and until when.
type rest struct {
	until time.Time
	long  time.Duration
}

const (
	// mostRefusals bounds how often one job comes back, from when it was accepted
	// or last redriven.
	mostRefusals = 5
	// A sender counts as fast that sent so much of its rate in the last moments.
	fastShare = 0.7
	fastSpan  = 10 * time.Second
	// How long a sender rests whose rate is cut.
	senderRest = time.Second
	// The first rest of a pool. While the provider keeps saying so, each is four
	// times the last, up to a quarter of the window.
	poolRest   = 30 * time.Second
	restGrowth = 4
)

// NewRefusals makes it from its parts.
func NewRefusals(records Records, payloads Payloads, room WaitingRoom, log Appender, gate Brakes, cfg RefusalsConfig) *Refusals {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	return &Refusals{
		records: records, payloads: payloads, room: room, log: log, gate: gate, cfg: cfg, rests: map[string]rest{},
	}
}

// Take handles one parked event that [delivery.Event.WaitsAgain] has made. It
// is the only one that can bring the job back, so an error must bring the event
// again. Every step may be repeated.
func (r *Refusals) Take(ctx context.Context, e delivery.Event) error {
	// A gate that has the message's SID and not yet its refusal takes the message
	// for one that arrived, and would end the job with it.
	if err := r.cfg.CaughtUp(ctx); err != nil {
		return err
	}
	record, _, err := r.records.Get(ctx, e.Job)
	if err != nil {
		return err
	}
	// The event is the provider's telling, and names the number that a messaging
	// service chose; the record names the service.
	intent, found, err := r.payloads.LastIntent(ctx, delivery.SenderToken(cmp.Or(record.From, e.From)), e.Job)
	switch {
	case err != nil:
		return err
	case !found:
		return r.giveUp(ctx, e, "its content is no longer in the log")
	case intent.Attempt >= e.Attempt:
		return nil // a late repetition: the attempt has begun
	case record.CanceledSince(e.Attempt - 1):
		// A person canceled it while its message's outcome was open, and wants no other.
		return r.end(ctx, e, delivery.EventCanceled, "canceled before the provider refused it")
	case record.Comebacks(intent.Redriven, e.Attempt-1) >= mostRefusals:
		return r.giveUp(ctx, e, fmt.Sprintf("the provider refused it %d times", mostRefusals+1))
	}
	if err := r.heed(ctx, intent, e); err != nil {
		return err
	}
	// Once parked the job has its turn like any other. A crash before leads back
	// here; one after parks nothing more, or a copy that the grant catches.
	_, err = r.room.Park(ctx, intent.Task(e.Attempt))
	return err
}

// heed lets the gate know better before the job is parked, from where it may go
// at once.
func (r *Refusals) heed(ctx context.Context, intent delivery.Intent, e delivery.Event) error {
	sender := intent.Job.Sender()
	if e.Reason == delivery.ReasonWindow {
		// What the customer wrote since the message was sent opens the window.
		return r.gate.ShutWindow(ctx, sender, delivery.CustomerKey(intent.Job.To), intent.At)
	}
	// Best effort: the provider says it again otherwise.
	if err := r.brake(ctx, intent, e); err != nil {
		r.cfg.Log.WarnContext(ctx, "the gate was not slowed down", "sender", sender, "error", err)
	}
	return nil
}

// giveUp ends the job as the provider has.
func (r *Refusals) giveUp(ctx context.Context, e delivery.Event, reason string) error {
	return r.end(ctx, e, delivery.EventUndelivered, reason)
}

// end ends the job in place of its next attempt.
func (r *Refusals) end(ctx context.Context, e delivery.Event, t delivery.EventType, reason string) error {
	e.ID = fmt.Sprintf("%s:%s:%d", t, e.Job, e.Attempt)
	e.Type, e.Status, e.Reason = t, t.Status(), reason
	_, err := r.log.Append(ctx, e)
	return err
}

// brake decides by what the sender was doing what the provider means.
func (r *Refusals) brake(ctx context.Context, intent delivery.Intent, e delivery.Event) error {
	limits, err := r.gate.Limits(ctx, intent.Pool)
	if err != nil {
		return err
	}
	sender := intent.Job.Sender()
	fast, err := r.fast(ctx, limits, sender)
	if err != nil {
		return err
	}
	if fast {
		return r.slowDown(ctx, sender, intent, e)
	}
	r.cfg.Foreign()
	until, fresh := r.rest(intent.Pool)
	if !fresh {
		return nil
	}
	const reason = "the provider says that the limit is used up: somebody else may send from this portfolio"
	for _, s := range limits.Senders {
		if s.TrippedUntil.After(until) {
			continue
		}
		if err := r.gate.Trip(ctx, s.Sender, reason, until); err != nil {
			return err
		}
	}
	_, err = r.log.Append(ctx, delivery.Event{
		ID: "foreign:" + e.ID, Type: delivery.EventPool, At: e.At, From: intent.Job.Origin(),
		Reason: fmt.Sprintf("pool %s rests until %s: %s", intent.Pool, until.UTC().Format(time.RFC3339), reason), Error: e.Error,
	})
	return err
}

// slowDown cuts the sender's rate, and lets it rest while what it has sent too
// much drains from the provider's own queue. Of the messages that were under way
// at the old rate only the first has an effect.
func (r *Refusals) slowDown(ctx context.Context, sender string, intent delivery.Intent, e delivery.Event) error {
	mps, cut, err := r.gate.CutRate(ctx, sender, intent.At)
	if err != nil || !cut {
		return err
	}
	const reason = "the provider finds it too fast"
	if err := r.gate.Trip(ctx, sender, reason, r.cfg.Clock().Add(senderRest)); err != nil {
		return err
	}
	_, err = r.log.Append(ctx, delivery.Event{
		ID: "cut:" + e.ID, Type: delivery.EventSender, At: e.At, From: intent.Job.Origin(),
		Reason: fmt.Sprintf("rate cut to %.4g a second for some minutes: %s", mps, reason), Error: e.Error,
	})
	return err
}

// fast reports whether a sender has been sending near its rate.
func (r *Refusals) fast(ctx context.Context, limits ratelimit.PoolLimits, sender string) (bool, error) {
	recent, err := r.gate.Recent(ctx, sender, fastSpan)
	if err != nil {
		return false, err
	}
	for _, s := range limits.Senders {
		if s.Sender == sender {
			return recent >= 2 && float64(recent) >= fastShare*s.EffectiveMPS*fastSpan.Seconds(), nil
		}
	}
	return false, nil
}

// rest says until when a pool rests, and whether that is a new rest. What is said
// while it rests is of messages from before.
func (r *Refusals) rest(pool string) (until time.Time, fresh bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, was := r.cfg.Clock(), r.rests[pool]
	if now.Before(was.until) {
		return was.until, false
	}
	longest := max(r.cfg.Window/4, time.Second)
	long := min(poolRest, longest)
	if was.long > 0 && now.Sub(was.until) < was.long {
		long = min(was.long*restGrowth, longest)
	}
	r.rests[pool] = rest{now.Add(long), long}
	return now.Add(long), true
}
