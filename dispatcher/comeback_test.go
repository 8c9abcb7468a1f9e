package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/sluicehq/sluice/callbacks"
	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/jobstream"
	"github.com/sluicehq/sluice/internal/sandbox"
	"github.com/sluicehq/sluice/internal/tracker"
	"github.com/sluicehq/sluice/ratelimit"
)

// The writes that bring a job back whose message the provider took and refused;
// the others are those of the first table.
const (
	opReport = "report append"
	opShut   = "window shut"
)

// TestComebackFaultTable is the table of the way back: free form is refused by
// callback, and the template goes.
func TestComebackFaultTable(t *testing.T) {
	t.Parallel()
	everyCell(t, runComeback, opReport, opShut, opParkPublish, opParkAck)
}

func runComeback(t *testing.T, tr *trap) error {
	ctx, cancel := context.WithTimeout(t.Context(), tablePatient)
	defer cancel()
	c, end, err := newCell(ctx, t.TempDir())
	if err != nil {
		return err
	}
	defer end()
	if err := c.box.SetFaults(sandbox.Faults{}); err != nil {
		return err
	}
	reports, err := c.receive(tr)
	if err != nil {
		return err
	}
	defer reports()
	return play(ctx, tr, []process{
		c.box.Run, c.track,
		func(ctx context.Context) error { return c.work(ctx, &trap{}) },
		func(ctx context.Context) error { return c.bringBack(ctx, tr) },
	}, c.refuse, c.broughtBack)
}

// receive serves the provider's reports. A process that dies there is replaced at
// once.
func (c *cell) receive(tr *trap) (end func(), err error) {
	js, err := c.connect()
	if err != nil {
		return nil, err
	}
	log := jobstream.NewLog(js)
	server := httptest.NewServer(callbacks.New(callbacks.Config{
		PublicURL: "http://callbacks.test", Verifier: anybody{}, Log: trappedLog{log, tr}, Intents: log, Resolver: c.ledger,
	}))
	c.status = server.URL + "/twilio/status"
	if tr.op == opReport {
		tr.dying(tr.revive)
	}
	return func() {
		server.Close()
		js.Conn().Close()
	}, nil
}

type anybody struct{}

func (anybody) Verify(string, string, url.Values, []byte, string) bool { return true }

// trappedLog traps the report that brings the job back.
type trappedLog struct {
	log *jobstream.Log
	tr  *trap
}

func (l trappedLog) Append(ctx context.Context, e delivery.Event) error {
	op := "other"
	if e.CameBack() {
		op = opReport
	}
	return l.tr.around(op, func() error {
		_, err := l.log.Append(ctx, e)
		return err
	})
}

// bringBack runs the trackers that bring jobs back, one after the other.
func (c *cell) bringBack(ctx context.Context, tr *trap) error {
	for ctx.Err() == nil {
		js, err := c.connect()
		if err != nil {
			return err
		}
		life, die := context.WithCancel(ctx)
		if tr.op != opReport {
			tr.dying(func() {
				js.Conn().Close()
				die()
			})
		}
		hindered := &trapped{JetStream: js, trap: tr}
		log := jobstream.NewLog(js)
		refusals := tracker.NewRefusals(c.ledger, log, jobstream.NewRoom(hindered), log, trappedBrakes{c.gate, tr}, tracker.RefusalsConfig{
			Window: time.Hour, Foreign: func() {}, CaughtUp: c.caughtUp(log), Log: slog.New(slog.DiscardHandler),
		})
		err = jobstream.NewAgain(hindered, slog.New(slog.DiscardHandler)).Run(life, refusals.Take)
		die()
		js.Conn().Close()
		if err != nil {
			return err
		}
		tr.revive()
	}
	return nil
}

type trappedBrakes struct {
	*ratelimit.Gate
	tr *trap
}

func (b trappedBrakes) ShutWindow(ctx context.Context, sender, customer string, upTo time.Time) error {
	return b.tr.around(opShut, func() error { return b.Gate.ShutWindow(ctx, sender, customer, upTo) })
}

func (c *cell) caughtUp(log *jobstream.Log) func(context.Context) error {
	return func(ctx context.Context) error {
		last, err := log.Last(ctx)
		if err != nil {
			return err
		}
		return c.until(ctx, func() bool {
			gate, one := c.gate.Position(ctx)
			state, other := c.ledger.Position(ctx)
			return errors.Join(one, other) == nil && min(gate, state) >= last
		})
	}
}

// refuse hands in a job with both forms, whose customer has written to us and,
// for all the provider knows, to nobody, and waits for its end.
func (c *cell) refuse(ctx context.Context) error {
	js, err := c.connect()
	if err != nil {
		return err
	}
	defer js.Conn().Close()
	if err := c.until(ctx, func() bool { _, err := js.Consumer(ctx, jobstream.StreamWait, "due-low"); return err == nil }); err != nil {
		return err
	}
	log := jobstream.NewLog(js)
	if _, err := log.Append(ctx, delivery.Event{ID: "wrote", Type: delivery.EventInbound, At: time.Now(), From: customer, To: from}); err != nil {
		return err
	}
	if err := c.caughtUp(log)(ctx); err != nil {
		return err
	}
	data := []byte(fmt.Sprintf(`{"id":"j","from":%q,"to":%q,"content_sid":%q,"body":"hello"}`, from, customer, c.job.ContentSID))
	if _, err := js.Publish(ctx, delivery.JobSubject(delivery.Normal, sender), data); err != nil {
		return err
	}
	return c.until(ctx, func() bool {
		s := c.current(ctx)
		return (s == delivery.StatusDelivered || s == delivery.StatusRead) && c.empty(ctx, js)
	})
}

// broughtBack is what holds whatever went wrong: the provider refused one message
// and delivered the next, which counts, and nobody saw an end in between.
func (c *cell) broughtBack(ctx context.Context) error {
	record, _, err := c.ledger.Get(ctx, "j")
	if err != nil {
		return err
	}
	limits, err := c.gate.Limits(ctx, account)
	if err != nil {
		return err
	}
	for _, e := range record.Timeline {
		if e.Type == delivery.EventUndelivered {
			return fmt.Errorf("an end was told that is none: %+v", record.Timeline)
		}
	}
	sent := c.box.Ledger()
	switch {
	case len(sent) != 2 || sent[0].ErrorCode != delivery.CodeWindow || sent[1].ErrorCode != 0:
		return fmt.Errorf("the provider has %+v: %+v", sent, record.Timeline)
	case record.SID != sent[1].SID: // an attempt in between may have ended before it was sent
		return fmt.Errorf("the job has the message %q of attempt %d, the provider %q", record.SID, record.Attempt, sent[1].SID)
	case limits.Used != 1:
		return fmt.Errorf("%d places count", limits.Used)
	}
	return nil
}
