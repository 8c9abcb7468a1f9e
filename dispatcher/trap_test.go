package dispatcher_test

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/messaging"
	"github.com/sluicehq/sluice/ratelimit"
)

// trap makes one write go wrong once.
type trap struct {
	op, way string

	mu     sync.Mutex
	sprung bool
	dead   bool
	met    map[string]int
	die    func()
}

var errDead = errors.New("the process is dead")

// hits counts an operation, and reports whether it is the one to go wrong.
func (tr *trap) hits(op string) bool {
	if tr.met == nil {
		tr.met = map[string]int{}
	}
	tr.met[op]++
	return !tr.sprung && op == tr.op
}

// around is an operation with its places to go wrong.
func (tr *trap) around(op string, effect func() error) error {
	tr.mu.Lock()
	if tr.dead {
		tr.mu.Unlock()
		return errDead
	}
	hit := tr.hits(op)
	tr.sprung = tr.sprung || hit
	if hit && tr.way == diesBefore {
		tr.dead = true
	}
	die := tr.die
	tr.mu.Unlock()
	switch {
	case !hit:
		return effect()
	case tr.way == fails:
		return errInjected
	case tr.way == diesBefore:
		die()
		return errDead
	}
	if err := effect(); err != nil {
		return err
	}
	if tr.way == doneFailed {
		return errInjected
	}
	tr.mu.Lock()
	tr.dead = true
	tr.mu.Unlock()
	die()
	return errDead
}

// dying says how the process at work dies.
func (tr *trap) dying(die func()) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.die = die
}

// wentWrong reports whether it has sprung. A server's handler may still be at
// work.
func (tr *trap) wentWrong() bool {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.sprung
}

// revive is the next process, which meets no trap.
func (tr *trap) revive() {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.dead = false
}

// trappedGate traps the grant, not the verdict that parks, and the reservation.
type trappedGate struct {
	oneAccount
	tr *trap
}

func (g trappedGate) Admit(ctx context.Context, r ratelimit.Request) (v ratelimit.Verdict, err error) {
	op := "admission"
	if limits, lerr := g.Limits(ctx, account); lerr == nil && len(limits.Senders) > 0 && !limits.Senders[0].Paused {
		op = opGrant
	}
	err = g.tr.around(op, func() error {
		v, err = g.oneAccount.Admit(ctx, r)
		return err
	})
	return v, err
}

func (g trappedGate) Reserve(ctx context.Context, r ratelimit.Request) (v ratelimit.Verdict, err error) {
	op := "look"
	if limits, lerr := g.Limits(ctx, account); lerr == nil && len(limits.Senders) > 0 && !limits.Senders[0].Paused {
		op = opReserve
	}
	err = g.tr.around(op, func() error {
		v, err = g.oneAccount.Reserve(ctx, r)
		return err
	})
	return v, err
}

// trappedPhone traps the POST. A failure before is one to connect, one after it
// a lost answer.
type trappedPhone struct {
	*messaging.Client
	tr *trap
}

func (p trappedPhone) Create(ctx context.Context, m messaging.Message) (r messaging.Resource, err error) {
	posted := false
	err = p.tr.around(opPost, func() error {
		posted = true
		r, err = p.Client.Create(ctx, m)
		return err
	})
	switch {
	case err == nil:
		return r, nil
	case posted && (errors.Is(err, errInjected) || errors.Is(err, errDead)):
		return messaging.Resource{}, &messaging.Failure{Class: messaging.Unknown, Written: true, Err: err}
	case errors.Is(err, errInjected) || errors.Is(err, errDead):
		return messaging.Resource{}, &messaging.Failure{Class: messaging.Retry, Err: err}
	}
	return r, err
}

// trapped traps what goes to NATS.
type trapped struct {
	jetstream.JetStream
	trap *trap
}

func (j *trapped) PublishMsg(ctx context.Context, m *nats.Msg, opts ...jetstream.PublishOpt) (ack *jetstream.PubAck, err error) {
	op := "other"
	switch {
	case strings.HasPrefix(m.Subject, "sluice.schedules."):
		op = opSchedule
	case strings.HasPrefix(m.Subject, "sluice.parked."):
		op = opParkPublish
	case strings.HasPrefix(m.Subject, "sluice.due."):
		op = opReleasePublish
	case strings.HasPrefix(m.Subject, "sluice.intents."):
		op = opIntent
	case strings.HasSuffix(m.Subject, ".queued"):
		op = opEvent
	}
	err = j.trap.around(op, func() error {
		ack, err = j.JetStream.PublishMsg(ctx, m, opts...)
		return err
	})
	if errors.Is(err, errDead) {
		return nil, nats.ErrConnectionClosed
	}
	return ack, err
}

func (j *trapped) Stream(ctx context.Context, name string) (jetstream.Stream, error) {
	s, err := j.JetStream.Stream(ctx, name)
	return trappedStream{s, j.trap}, err
}

type trappedStream struct {
	jetstream.Stream
	trap *trap
}

func (s trappedStream) DeleteMsg(ctx context.Context, seq uint64) error {
	return s.trap.around(opReleaseDelete, func() error { return s.Stream.DeleteMsg(ctx, seq) })
}

func (j *trapped) Consumer(ctx context.Context, stream, name string) (jetstream.Consumer, error) {
	c, err := j.JetStream.Consumer(ctx, stream, name)
	return trappedConsumer{c, j.trap}, err
}

type trappedConsumer struct {
	jetstream.Consumer
	trap *trap
}

func (c trappedConsumer) Fetch(n int, opts ...jetstream.FetchOpt) (jetstream.MessageBatch, error) {
	b, err := c.Consumer.Fetch(n, opts...)
	return trappedBatch{b, c.trap}, err
}

func (c trappedConsumer) FetchNoWait(n int) (jetstream.MessageBatch, error) {
	b, err := c.Consumer.FetchNoWait(n)
	return trappedBatch{b, c.trap}, err
}

type trappedBatch struct {
	jetstream.MessageBatch
	trap *trap
}

func (b trappedBatch) Messages() <-chan jetstream.Msg {
	out := make(chan jetstream.Msg)
	go func() {
		defer close(out)
		for msg := range b.MessageBatch.Messages() {
			out <- trappedMsg{msg, b.trap}
		}
	}()
	return out
}

type trappedMsg struct {
	jetstream.Msg
	trap *trap
}

// Ack tells the three acknowledgements of the job's way apart by what was
// moved before.
func (m trappedMsg) Ack() error {
	m.trap.mu.Lock()
	op := opScheduleAck
	switch {
	case m.trap.met[opPost] > 0:
		op = opAck
	case m.trap.met[opParkPublish] > 0:
		op = opParkAck
	}
	m.trap.mu.Unlock()
	return m.trap.around(op, m.Msg.Ack)
}
