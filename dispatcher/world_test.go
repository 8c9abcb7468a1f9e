package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/dispatcher"
	"github.com/sluicehq/sluice/internal/messaging"
)

// The durations of every test, those of the defaults.
const (
	ackWait     = 30 * time.Second
	sendTimeout = 15 * time.Second
	grantLife   = ackWait - sendTimeout
	grace       = 30 * time.Second
	dedupe      = 2 * time.Minute // of the queue and the log
)

const (
	account  = "AC1"
	from     = "whatsapp:+15550001111"
	sender   = "15550001111"
	customer = "whatsapp:+491701234567"
	holder   = "me"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func template(id string) delivery.Job {
	return delivery.Job{ID: id, From: from, To: customer, ContentSID: "HX" + strings.Repeat("0", 32)}.WithDefaults("")
}

func freeForm(id, body string) delivery.Job {
	return delivery.Job{ID: id, From: from, To: customer, Body: body}.WithDefaults("")
}

func taskOf(job delivery.Job) delivery.Task {
	return delivery.Task{Job: job, Attempt: 1, Token: "token", Ref: "JOBS:1", Published: start}
}

// clock is everybody's clock. A real one, where set, passes by itself.
type clock struct {
	now  time.Time
	real func() time.Time
}

func (c *clock) Now() time.Time {
	if c.real != nil {
		return c.real()
	}
	return c.now
}

func (c *clock) set(to time.Time) {
	if to.After(c.now) {
		c.now = to
	}
}

func (c *clock) advance(d time.Duration) { c.set(c.Now().Add(d)) }

// hook is called before and after every effect of an operation. An error fails
// the operation; a panic is the death of the process.
type hook func(op string, after bool) error

var errInjected = errors.New("injected")

// around gives an operation its two places to fail.
func around(h hook, op string, effect func()) error {
	if err := h(op, false); err != nil {
		return err
	}
	effect()
	return h(op, true)
}

// bounded is around for an operation on a context: one that stood still for
// long finds its time over.
func bounded(ctx context.Context, c *clock, h hook, op string, effect func()) error {
	begun := c.Now()
	late := func() error {
		if c.Now().Sub(begun) >= ackWait {
			return context.DeadlineExceeded
		}
		return ctx.Err()
	}
	if err := errors.Join(h(op, false), late()); err != nil {
		return err
	}
	effect()
	return errors.Join(h(op, true), late())
}

// logbook is the log, what follows from it, and the bonds of SIDs.
type logbook struct {
	clock   *clock
	hook    hook
	told    func(delivery.Entry) // of every entry, as a tracker without lag
	entries []delivery.Entry
	stored  map[string]time.Time // by message id, for the dedupe window
	owners  map[string]string    // SID to job
	kept    map[string]delivery.Job
	lags    bool // the ledger does not keep up
}

func (l *logbook) store(ctx context.Context, op, id string, e delivery.Entry) (uint64, error) {
	err := bounded(ctx, l.clock, l.hook, op, func() {
		if at, seen := l.stored[id]; seen && l.clock.Now().Sub(at) < dedupe {
			return
		}
		l.stored[id] = l.clock.Now()
		e.Seq = uint64(len(l.entries) + 1)
		l.entries = append(l.entries, e)
		if event, ok := e.AsEvent(); ok && event.SID != "" && l.owners[event.SID] == "" {
			l.owners[event.SID] = event.Job
		}
		l.told(e)
	})
	return uint64(len(l.entries)), err
}

func (l *logbook) Append(ctx context.Context, e delivery.Event) (uint64, error) {
	return l.store(ctx, "event "+string(e.Type), e.ID, delivery.Entry{Event: &e})
}

func (l *logbook) Intent(ctx context.Context, i delivery.Intent) (uint64, error) {
	return l.store(ctx, "intent", "i:"+i.Token, delivery.Entry{Intent: &i})
}

func (l *logbook) Keep(ctx context.Context, job delivery.Job) error {
	return bounded(ctx, l.clock, l.hook, "keep", func() { l.kept[job.ID] = job })
}

func (l *logbook) LastIntent(_ context.Context, job delivery.Job) (last delivery.Intent, found bool, err error) {
	err = around(l.hook, "read intent", func() {})
	for _, e := range l.entries {
		if e.Intent != nil && e.Intent.Job.ID == job.ID {
			last, found = *e.Intent, true
		}
	}
	return last, found, err
}

func (l *logbook) Rivals(ctx context.Context, job delivery.Job) (rivals []delivery.Intent, err error) {
	seen := map[string]bool{job.ID: true}
	for _, e := range l.entries {
		if e.Intent == nil || seen[e.Intent.Job.ID] || e.Intent.Job.To != job.To {
			continue
		}
		seen[e.Intent.Job.ID] = true
		if s := l.record(e.Intent.Job.ID).Status; s == delivery.StatusSending || s == delivery.StatusUnknown {
			last, _, err := l.LastIntent(ctx, e.Intent.Job)
			if err != nil {
				return nil, err
			}
			rivals = append(rivals, last)
		}
	}
	return rivals, nil
}

func (l *logbook) record(job string) delivery.Record {
	var r delivery.Record
	for _, entry := range l.entries {
		if e, ok := entry.AsEvent(); ok && e.Job == job {
			r = r.Apply(e)
		}
	}
	return r
}

func (l *logbook) Record(_ context.Context, job string) (delivery.Record, error) {
	if l.lags {
		return delivery.Record{}, errors.New("the ledger lags")
	}
	err := around(l.hook, "read record", func() {})
	return l.record(job), err
}

func (l *logbook) Own(_ context.Context, sid, job string) (bool, error) {
	err := around(l.hook, "own", func() {
		if l.owners[sid] == "" {
			l.owners[sid] = job
		}
	})
	return l.owners[sid] == job, err
}

// phone is the provider. Answers are taken from script; an empty one is "ok".
type phone struct {
	clock    *clock
	hook     hook
	script   []string
	calls    int
	lists    int
	sent     []messaging.Message
	messages []messaging.Resource
	accepted func(messaging.Resource, messaging.Message)
	listErr  error
	listAll  bool // the filters are not heeded
}

// Answers of the provider beside the classes of failure.
const (
	ok     = "ok"
	lost   = "lost"   // taken, and the answer never arrives
	vanish = "vanish" // neither taken nor answered
)

func (p *phone) Create(_ context.Context, m messaging.Message) (messaging.Resource, error) {
	p.calls++
	answer := ok
	if len(p.script) > 0 {
		answer, p.script = p.script[0], p.script[1:]
	}
	begun := p.clock.Now()
	if err := p.hook("post", false); err != nil {
		return messaging.Resource{}, &messaging.Failure{Class: messaging.Retry, Message: "no connection"}
	}
	// The client writes nothing once its time is over.
	if p.clock.Now().Sub(begun) >= sendTimeout {
		return messaging.Resource{}, &messaging.Failure{Class: messaging.Retry, Message: "time-out before writing"}
	}
	var r messaging.Resource
	if answer == ok || answer == lost {
		r = p.accept(m)
	}
	if err := p.hook("post", true); err != nil || answer == lost || answer == vanish {
		return messaging.Resource{}, &messaging.Failure{Class: messaging.Unknown, Written: true, Message: "no answer"}
	}
	if answer == ok {
		return r, nil
	}
	return messaging.Resource{}, &messaging.Failure{Class: messaging.Class(answer), Code: 4711, Message: "refused"}
}

func (p *phone) accept(m messaging.Message) messaging.Resource {
	r := messaging.Resource{
		SID: fmt.Sprintf("SM%d", len(p.messages)+1), From: m.From, To: m.To, Body: m.Body,
		Direction: "outbound-api", DateCreated: p.clock.Now().Truncate(time.Second),
	}
	if m.ContentSID != "" {
		r.Body = "the provider's rendering"
	}
	p.messages, p.sent = append(p.messages, r), append(p.sent, m)
	p.accepted(r, m)
	return r
}

func (p *phone) List(_ context.Context, to, from string, most int) ([]messaging.Resource, error) {
	p.lists++
	if p.listErr != nil {
		return nil, p.listErr
	}
	if err := around(p.hook, "list", func() {}); err != nil {
		return nil, err
	}
	var found []messaging.Resource
	for _, m := range slices.Backward(p.messages) {
		asked := m.To == to && (from == "" || m.From == from)
		if (asked || p.listAll) && len(found) < most {
			found = append(found, m)
		}
	}
	return found, nil
}

// deaf is an observer that does not listen.
type deaf struct{}

func (deaf) Admitted(string)                                {}
func (deaf) Posted(time.Duration, time.Duration, int, bool) {}
func (deaf) Resolved(string)                                {}

func config(now func() time.Time) dispatcher.Config {
	return dispatcher.Config{
		Account: account, StatusURL: "https://example.test/twilio/status", Clock: now,
		SendTimeout: sendTimeout, AckWait: ackWait, UnknownGrace: grace,
	}
}
