package dispatcher_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/dispatcher"
	"github.com/sluicehq/sluice/internal/messaging"
)

// message is a job as it is stored in a queue.
type message struct {
	seq      uint64
	task     delivery.Task
	due      time.Time // when it is delivered next
	parked   bool
	schedule string // while it waits for a time: whose place it took
}

// world is a dispatcher, a releaser and everything around them, the queue's
// settlements included. It is deterministic; time passes only where it says.
type world struct {
	t       *testing.T
	clock   *clock
	gate    *turnstile
	log     *logbook
	phone   *phone
	handler *dispatcher.Dispatcher
	lets    *dispatcher.Releaser

	skew  time.Duration // how far the worker's clock is off all others
	queue []*message
	moved map[string]time.Time // by message id, for the dedupe window
	seq   uint64

	// callbackAfter is when the provider tells of a message; 0: never.
	callbackAfter time.Duration
	callbacks     []callback

	// fault is asked at every place where something may go wrong, numbered.
	fault func(n int, op string, after bool) error
	place int
	depth int // of deliveries within deliveries
}

type callback struct {
	at    time.Time
	event delivery.Event
}

// crash is the death of a process, as a panic.
type crash struct{}

func newWorld(t *testing.T) *world {
	w := &world{t: t, clock: &clock{now: start}, moved: map[string]time.Time{}}
	h := func(op string, after bool) error {
		w.place++
		if w.fault == nil {
			return nil
		}
		return w.fault(w.place, op, after)
	}
	w.gate = &turnstile{
		clock: w.clock, hook: h, jobs: map[string]*gated{}, trips: map[string]time.Time{}, leases: map[string]string{},
	}
	w.log = &logbook{
		clock: w.clock, hook: h, told: w.gate.told, stored: map[string]time.Time{}, owners: map[string]string{}, kept: map[string]delivery.Job{},
	}
	w.phone = &phone{clock: w.clock, hook: h, accepted: w.accepted}
	w.handler = dispatcher.New(w.gate, w.log, w.phone, w.log, deaf{},
		config(func() time.Time { return w.clock.Now().Add(w.skew) }))
	w.lets = dispatcher.NewReleaser(w, w.gate, w.log, dispatcher.ReleaserConfig{
		Holder: holder, Account: account, Clock: w.clock.Now,
	})
	return w
}

func (w *world) accepted(r messaging.Resource, m messaging.Message) {
	if w.callbackAfter == 0 {
		return
	}
	var job string
	var attempt int
	path := m.StatusCallback[len("https://example.test/twilio/status/"):]
	for i, c := range path {
		if c == '/' {
			job = path[:i]
			_, err := fmt.Sscanf(path[i+1:], "%d#", &attempt)
			require.NoError(w.t, err)
		}
	}
	w.callbacks = append(w.callbacks, callback{w.clock.Now().Add(w.callbackAfter), delivery.Event{
		ID: "cb:" + r.SID + ":sent", Type: delivery.EventSent, At: w.clock.Now(), Job: job, Attempt: attempt, SID: r.SID,
	}})
}

// publish puts a job on the queue.
func (w *world) publish(job delivery.Job) { w.add(taskOf(job)) }

func (w *world) add(task delivery.Task) *message {
	w.seq++
	task.Ref = fmt.Sprintf("S:%d", w.seq)
	m := &message{seq: w.seq, task: task, due: w.clock.Now()}
	w.queue = append(w.queue, m)
	return m
}

func (w *world) take(m *message) {
	w.queue = slices.DeleteFunc(w.queue, func(o *message) bool { return o == m })
}

// once adds a moved message unless its id was stored within the dedupe window.
func (w *world) once(id string, task delivery.Task, place func(*message)) {
	if at, seen := w.moved[id]; seen && w.clock.Now().Sub(at) < dedupe {
		return
	}
	w.moved[id] = w.clock.Now()
	place(w.add(task))
}

// later makes a message wait for a time. A message waits once: a second move
// of it takes the place of the first.
func (w *world) later(ref string, at time.Time) func(*message) {
	return func(m *message) {
		for _, other := range slices.Clone(w.queue) {
			if other.schedule == ref && other.due.After(w.clock.Now()) {
				w.take(other)
			}
		}
		m.due, m.schedule = at, ref
	}
}

// deliver hands a message to a worker and settles it. A worker that dies leaves
// it to the queue, which waits one ack wait for a sign of life.
func (w *world) deliver(m *message) {
	m.due, m.schedule = w.clock.Now().Add(ackWait), ""
	w.depth++
	defer func() {
		w.depth--
		if cause := recover(); cause != nil {
			if _, died := cause.(crash); !died {
				panic(cause)
			}
		}
	}()
	task := m.task
	task.Token = fmt.Sprintf("token %d", w.place)
	w.settle(m, task, w.handler.Handle(w.t.Context(), task))
}

func (w *world) settle(m *message, task delivery.Task, s delivery.Settlement) {
	onward := task
	onward.Attempt, onward.Ended = cmp.Or(s.Attempt, task.Attempt), s.Ended
	handBack := func() { m.due = w.clock.Now().Add(time.Second) }
	var move func()
	switch s.Action {
	case delivery.HandBack:
		handBack()
		return
	case delivery.Park:
		move = func() { w.once("p:"+task.Ref, onward, func(n *message) { n.parked = true }) }
	case delivery.Schedule:
		move = func() { w.once("s:"+task.Ref, onward, w.later(task.Ref, s.At)) }
	}
	if move != nil {
		if err := around(w.gate.hook, "move", move); err != nil {
			handBack()
			return
		}
	}
	if around(w.gate.hook, "ack", func() { w.take(m) }) != nil {
		return // lost, one way or the other: nobody hears of it
	}
}

// Counts, Head and Release are the waiting room.
func (w *world) Counts(context.Context) (map[string]map[delivery.Priority]int64, error) {
	counts := map[string]map[delivery.Priority]int64{}
	for _, m := range w.queue {
		if m.parked {
			sender := m.task.Job.Sender()
			if counts[sender] == nil {
				counts[sender] = map[delivery.Priority]int64{}
			}
			counts[sender][m.task.Job.Priority]++
		}
	}
	return counts, nil
}

func (w *world) At(_ context.Context, sender string, seq uint64) (delivery.Parked, bool, error) {
	for _, m := range w.queue {
		if m.parked && m.seq == seq && m.task.Job.Sender() == sender {
			return delivery.Parked{Seq: m.seq, Since: start, Task: m.task}, true, nil
		}
	}
	return delivery.Parked{}, false, nil
}

func (w *world) Head(_ context.Context, sender string, p delivery.Priority, behind uint64) (delivery.Parked, bool, error) {
	for _, m := range w.queue {
		if m.parked && m.seq > behind && m.task.Job.Sender() == sender && m.task.Job.Priority == p {
			return delivery.Parked{Seq: m.seq, Since: start, Task: m.task}, true, nil
		}
	}
	return delivery.Parked{}, false, nil
}

func (w *world) Release(_ context.Context, p delivery.Parked) error {
	if err := around(w.gate.hook, "release", func() { w.once(fmt.Sprintf("r:%d", p.Seq), p.Task, func(*message) {}) }); err != nil {
		return err
	}
	return around(w.gate.hook, "delete", func() {
		w.queue = slices.DeleteFunc(w.queue, func(m *message) bool { return m.seq == p.Seq })
	})
}

// pass lets parked jobs out, by a releaser that may die.
func (w *world) pass() {
	defer func() {
		if cause := recover(); cause != nil {
			if _, died := cause.(crash); !died {
				panic(cause)
			}
		}
	}()
	_ = w.lets.Pass(w.t.Context()) // what fails is met again at the next pass
}

// until lets the world run until a time, or, with the zero time, until nothing
// is left to do.
func (w *world) until(end time.Time) {
	for range 5000 {
		w.pass()
		next, parked := w.next()
		switch {
		case next != nil && !next.due.After(w.clock.Now()):
			w.deliver(next)
			continue
		case next == nil && !parked && len(w.callbacks) == 0:
			if !end.IsZero() {
				w.clock.set(end)
			}
			return
		}
		to := w.clock.Now().Add(time.Hour)
		if parked {
			to = w.clock.Now().Add(20 * time.Second)
		}
		if next != nil && next.due.Before(to) {
			to = next.due
		}
		if len(w.callbacks) > 0 && w.callbacks[0].at.Before(to) {
			to = w.callbacks[0].at
		}
		if !end.IsZero() && to.After(end) {
			w.clock.set(end)
			return
		}
		w.clock.set(to)
		w.call()
	}
	w.broken("the job never settles")
}

// call brings the callbacks whose time has come into the log.
func (w *world) call() {
	for len(w.callbacks) > 0 && !w.callbacks[0].at.After(w.clock.Now()) {
		e := w.callbacks[0].event
		w.callbacks = w.callbacks[1:]
		w.log.entries = append(w.log.entries, delivery.Entry{Seq: uint64(len(w.log.entries) + 1), Event: &e})
		if w.log.owners[e.SID] == "" {
			w.log.owners[e.SID] = e.Job
		}
		w.gate.told(delivery.Entry{Event: &e})
	}
}

// next is the message that is delivered first, and whether any is parked.
func (w *world) next() (first *message, parked bool) {
	for _, m := range w.queue {
		if m.parked {
			parked = true
		} else if first == nil || m.due.Before(first.due) {
			first = m
		}
	}
	return first, parked
}
