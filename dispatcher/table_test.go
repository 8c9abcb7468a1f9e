package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/delivery/ledger"
	"github.com/sluicehq/sluice/dispatcher"
	"github.com/sluicehq/sluice/internal/embedded"
	"github.com/sluicehq/sluice/internal/jobstream"
	"github.com/sluicehq/sluice/internal/messaging"
	"github.com/sluicehq/sluice/internal/sandbox"
	"github.com/sluicehq/sluice/internal/tracker"
	"github.com/sluicehq/sluice/ratelimit"
)

// The writes of a job's way, each with the time that it is met: the job waits
// for its send_at, is parked, let out, granted, sent.
const (
	opSchedule       = "schedule"
	opScheduleAck    = "schedule ack"
	opParkPublish    = "park publish"
	opParkAck        = "park ack"
	opReserve        = "release reserve"
	opReleasePublish = "release publish"
	opReleaseDelete  = "release delete"
	opGrant          = "grant"
	opIntent         = "intent"
	opPost           = "POST"
	opEvent          = "event append"
	opAck            = "ack"
)

// The ways in which one may go wrong.
const (
	fails      = "fails"
	doneFailed = "is done but reported failed"
	diesBefore = "the process dies before"
	diesAfter  = "the process dies after"
)

// Durations of the table; short, since every dead worker is waited for.
const (
	tableAckWait = 2500 * time.Millisecond
	tableTimeout = time.Second
	tableGrace   = 600 * time.Millisecond
	tablePatient = 90 * time.Second
)

// TestFaultTable lets every write go wrong in every way, on a real NATS, a real
// Redis where one is found and the provider's stand-in, and holds each course against the
// same promise.
func TestFaultTable(t *testing.T) {
	t.Parallel()
	everyCell(t, runOnce,
		opSchedule, opScheduleAck, opParkPublish, opParkAck, opReserve, opReleasePublish, opReleaseDelete,
		opGrant, opIntent, opPost, opEvent, opAck)
}

// everyCell runs a course once for each write and way.
func everyCell(t *testing.T, course func(t *testing.T, tr *trap) error, ops ...string) {
	t.Helper()
	var cells errgroup.Group
	cells.SetLimit(8)
	var mu sync.Mutex
	var broken []error
	for _, op := range ops {
		for _, way := range []string{fails, doneFailed, diesBefore, diesAfter} {
			cells.Go(func() error {
				if err := runCell(t, course, op, way); err != nil {
					mu.Lock()
					defer mu.Unlock()
					broken = append(broken, fmt.Errorf("%s %s: %w", op, way, err))
				}
				return nil
			})
		}
	}
	require.NoError(t, cells.Wait())
	require.NoError(t, errors.Join(broken...))
}

// cell is one world of the table.
type cell struct {
	nats   *embedded.NATS
	redis  engine
	box    *sandbox.Sandbox
	base   string // of the provider
	status string // where it reports to
	gate   *ratelimit.Gate
	ledger *ledger.Ledger
	job    delivery.Job
}

// errNoWrong says that a cell came to its end by another way than meant: on a
// busy machine a message may be delivered twice, and the copy goes past the trap.
var errNoWrong = errors.New("it never went wrong")

func runCell(t *testing.T, course func(t *testing.T, tr *trap) error, op, way string) (err error) {
	for range 3 {
		if err = course(t, &trap{op: op, way: way}); !errors.Is(err, errNoWrong) {
			return err
		}
	}
	return err
}

func runOnce(t *testing.T, tr *trap) error {
	ctx, cancel := context.WithTimeout(t.Context(), tablePatient)
	defer cancel()
	c, end, err := newCell(ctx, t.TempDir())
	if err != nil {
		return err
	}
	defer end()
	return play(ctx, tr, []process{c.track, func(ctx context.Context) error { return c.work(ctx, tr) }}, c.drive, c.promise)
}

// process runs until its context ends.
type process func(ctx context.Context) error

// play runs processes while a job is brought to its end, and holds what became of
// it against what was promised.
func play(ctx context.Context, tr *trap, processes []process, drive, promise func(context.Context) error) error {
	group, running := errgroup.WithContext(ctx)
	stop, stopped := context.WithCancel(running)
	for _, run := range processes {
		group.Go(func() error { return run(stop) })
	}
	err := drive(ctx)
	if err == nil {
		err = promise(ctx)
	}
	stopped()
	if err = errors.Join(err, group.Wait()); err == nil && !tr.wentWrong() {
		err = errNoWrong
	}
	return err
}

func newCell(ctx context.Context, dir string) (c *cell, end func(), err error) {
	c = &cell{job: template("j"), status: "http://127.0.0.1:1/twilio/status"}
	if c.nats, err = embedded.StartNATS(ctx, embedded.NATSConfig{Dir: dir}); err != nil {
		return nil, nil, err
	}
	if c.redis, err = newEngine(); err != nil {
		return nil, nil, err
	}
	c.box = sandbox.New(sandbox.Config{})
	if err := c.box.SetFaults(sandbox.Faults{CallbackLost: 1}); err != nil {
		return nil, nil, err
	}
	server := httptest.NewServer(c.box.Handler())
	c.base = server.URL
	c.gate = ratelimit.New(c.redis.client, ratelimit.Options{Epoch: c.redis.epoch, GrantLife: tableAckWait - tableTimeout})
	c.ledger = ledger.New(c.redis.client, ledger.Options{})
	return c, func() {
		server.Close()
		_ = c.redis.close()
		c.nats.Close()
	}, nil
}

// connect is a connection of its own, as every process has one.
func (c *cell) connect() (jetstream.JetStream, error) {
	nc, err := c.nats.Connect(nats.ReconnectBufSize(-1))
	if err != nil {
		return nil, err
	}
	return jetstream.New(nc)
}

type nothingStands struct{}

func (nothingStands) Restore(context.Context) error { return nil }

// track keeps gate and ledger, unharmed.
func (c *cell) track(ctx context.Context) error {
	js, err := c.connect()
	if err != nil {
		return err
	}
	defer js.Conn().Close()
	if err := jobstream.Setup(ctx, js, jobstream.Config{AckWait: tableAckWait}); err != nil {
		return err
	}
	log := jobstream.NewLog(js)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return tracker.NewGateProjection(log, c.gate, nothingStands{}, tracker.GateConfig{Holder: "tracker"}).Run(ctx)
	})
	group.Go(func() error {
		return tracker.NewLedgerProjection(log, c.ledger, c.gate, "tracker", slog.New(slog.DiscardHandler)).Run(ctx)
	})
	return group.Wait()
}

// work runs processes one after the other: the first meets the trap, and each
// that dies is followed by another.
func (c *cell) work(ctx context.Context, tr *trap) error {
	for ctx.Err() == nil {
		js, err := c.connect()
		if err != nil {
			return err
		}
		life, die := context.WithCancel(ctx)
		tr.dying(func() {
			js.Conn().Close()
			die()
		})
		err = c.process(life, &trapped{JetStream: js, trap: tr})
		die()
		js.Conn().Close()
		if err != nil {
			return err
		}
		tr.revive()
	}
	return nil
}

func (c *cell) process(ctx context.Context, js jetstream.JetStream) error {
	tr := js.(*trapped).trap
	client := messaging.NewClient(messaging.Account{SID: account, AuthToken: "x"}, messaging.Config{BaseURL: c.base, Timeout: tableTimeout})
	defer client.Close()
	log, gate := jobstream.NewLog(js), trappedGate{oneAccount{c.gate}, tr}
	evidence := tracker.Evidence{Log: log, Records: c.ledger, Owners: c.gate, Intents: log, Pairs: alone{}}
	d := dispatcher.New(gate, log, trappedPhone{client, tr}, evidence, deaf{}, dispatcher.Config{
		Account: account, StatusURL: c.status, SendTimeout: tableTimeout, AckWait: tableAckWait, UnknownGrace: tableGrace,
	})
	worker := jobstream.NewWorker(js, log, d, jobstream.WorkerConfig{AckWait: tableAckWait, Concurrency: 4, DrainTimeout: time.Second})
	lets := dispatcher.NewReleaser(jobstream.NewRoom(js), gate, log, dispatcher.ReleaserConfig{
		Holder: fmt.Sprintf("process %p", js), Account: account, Tick: 50 * time.Millisecond,
	})
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return worker.Run(ctx) })
	group.Go(func() error { return lets.Run(ctx) })
	return group.Wait()
}

// alone says that no other job's outcome is open.
type alone struct{}

func (alone) Open(context.Context, string, string) ([]delivery.Record, error) { return nil, nil }

// drive hands the job in while its sender is paused, resumes it once the job
// is parked, and waits for its end.
func (c *cell) drive(ctx context.Context) error {
	js, err := c.connect()
	if err != nil {
		return err
	}
	defer js.Conn().Close()
	pause := func(paused bool, version uint64) error {
		return c.gate.SetSender(ctx, sender, ratelimit.SenderPolicy{Paused: paused}, version)
	}
	if err := c.until(ctx, func() bool { _, err := js.Consumer(ctx, jobstream.StreamWait, "due-low"); return err == nil }); err != nil {
		return err
	}
	c.job.SendAt = time.Now().Add(1500 * time.Millisecond).UTC().Round(time.Millisecond)
	data := []byte(fmt.Sprintf(`{"id":"j","from":%q,"to":%q,"content_sid":%q,"send_at":%q}`, from, customer, c.job.ContentSID, c.job.SendAt.Format(time.RFC3339Nano)))
	if err := pause(true, 1); err != nil {
		return err
	}
	if _, err := js.Publish(ctx, delivery.JobSubject(delivery.Normal, sender), data); err != nil {
		return err
	}
	if err := c.until(ctx, func() bool { return c.current(ctx) == delivery.StatusParked && c.parked(ctx, js) > 0 }); err != nil {
		return err
	}
	if err := pause(false, 2); err != nil {
		return err
	}
	return c.until(ctx, func() bool { return c.current(ctx) == delivery.StatusQueued && c.empty(ctx, js) })
}

func (c *cell) current(ctx context.Context) delivery.Status {
	record, _, _ := c.ledger.Get(ctx, "j") // asked again if it fails
	return record.Status
}

func (c *cell) parked(ctx context.Context, js jetstream.JetStream) int64 {
	counts, _ := jobstream.NewRoom(js).Counts(ctx) // asked again if it fails
	return counts[sender][delivery.Normal]
}

// empty reports whether neither queue holds anything.
func (c *cell) empty(ctx context.Context, js jetstream.JetStream) bool {
	for _, name := range []string{jobstream.StreamJobs, jobstream.StreamWait} {
		stream, err := js.Stream(ctx, name)
		if err != nil || stream.CachedInfo().State.Msgs > 0 {
			return false
		}
	}
	return true
}

func (c *cell) until(ctx context.Context, so func() bool) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			record, _, _ := c.ledger.Get(context.WithoutCancel(ctx), "j")
			return fmt.Errorf("not done in time: the job is %s: %+v", record.Status, record.Timeline)
		}
	}
	return nil
}

// promise is what holds whatever went wrong: the job has one end, which nobody
// is working on any more, and the provider has one message of it, whose place
// counts.
func (c *cell) promise(ctx context.Context) error {
	record, _, err := c.ledger.Get(ctx, "j")
	if err != nil {
		return err
	}
	var sids []string
	for _, m := range c.box.Ledger() {
		sids = append(sids, m.SID)
	}
	limits, err := c.gate.Limits(ctx, account)
	switch {
	case err != nil:
		return err
	case len(sids) != 1:
		return fmt.Errorf("the provider has %d messages: %+v", len(sids), record.Timeline)
	case record.SID != sids[0]:
		return fmt.Errorf("the job has the message %q, the provider %q", record.SID, sids[0])
	case limits.Used != 1:
		return fmt.Errorf("%d places count", limits.Used)
	}
	return nil
}
