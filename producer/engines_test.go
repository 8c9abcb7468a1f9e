package producer_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/producer"
)

// engines stands for the gate, the stream, the log and the ledger behind a
// handler. Each write can be made to fail once, before or after it is done.
type engines struct {
	mu        sync.Mutex
	claims    map[string]string            // id → sender and digest
	published map[string][]producer.Job    // id → every time it was published
	records   map[string]delivery.Record   // id → what the ledger shows
	ended     map[string]delivery.Status   // id → the end that only the gate remembers
	faults    map[string]fault             // step → what happens there next
	refuse    func(job producer.Job) error // when set, what Publish answers
	unclaimed map[string]bool              // ids that the stream met without a claim, and that were taken
}

type fault int

const (
	failed         fault = iota + 1 // nothing was done
	failedButStood                  // done, but the answer was lost
)

var errEngine = errors.New("engine does not answer")

func newEngines() *engines {
	return &engines{
		claims: map[string]string{}, published: map[string][]producer.Job{},
		records: map[string]delivery.Record{}, faults: map[string]fault{}, unclaimed: map[string]bool{},
	}
}

func (e *engines) handler() *producer.Handler { return e.handlerWith(producer.HandlerConfig{}) }

func (e *engines) handlerWith(cfg producer.HandlerConfig) *producer.Handler {
	cfg.Publisher, cfg.Identities, cfg.States, cfg.Announcer = e, e, e, e
	cfg.Now = func() time.Time { return time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC) }
	return producer.NewHandler(cfg)
}

// step does a write, or not, as the fault set for it says.
func (e *engines) step(name string, write func()) error {
	f := e.faults[name]
	delete(e.faults, name)
	if f != failed {
		write()
	}
	if f != 0 {
		return errEngine
	}
	return nil
}

func (e *engines) Claim(_ context.Context, id, digest, sender string) (bool, delivery.Status, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	before, known := e.claims[id]
	if known && before != sender+digest {
		return false, "", producer.ErrConflict
	}
	return known, e.ended[id], e.step("claim", func() { e.claims[id] = sender + digest })
}

func (e *engines) Disclaim(_ context.Context, id, digest, sender string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.step("disclaim", func() {
		if e.claims[id] == sender+digest {
			delete(e.claims, id)
		}
	})
}

func (e *engines) Get(_ context.Context, id string) (delivery.Record, bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	record, found := e.records[id]
	return record, found, e.step("get", func() {})
}

func (e *engines) Publish(_ context.Context, job producer.Job) (producer.Receipt, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.refuse != nil {
		if err := e.refuse(job); err != nil {
			return producer.Receipt{ID: job.ID}, err
		}
	}
	if e.unclaimed[job.ID] { // somebody else's message under this id is or was in the stream
		return producer.Receipt{ID: job.ID, Duplicate: true, Taken: true}, nil
	}
	err := e.step("publish", func() { e.published[job.ID] = append(e.published[job.ID], job) })
	return producer.Receipt{ID: job.ID, Duplicate: len(e.published[job.ID]) > 1}, err
}

func (e *engines) PublishAgain(_ context.Context, job producer.Job) (producer.Receipt, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	err := e.step("publish again", func() { e.published[job.ID] = append(e.published[job.ID], job) })
	return producer.Receipt{ID: job.ID}, err
}

func (e *engines) Announce(ctx context.Context, event delivery.Event) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.step("announce", func() { e.records[event.Job] = e.records[event.Job].Apply(event) })
}

// requireKept checks what a 202 promises: the job is in the stream, its state
// can be read, and the id is taken.
func (e *engines) requireKept(t testing.TB, id string) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	require.NotEmpty(t, e.published[id], "published")
	require.NotEmpty(t, e.records[id].Status, "readable")
	require.NotEmpty(t, e.claims[id], "claimed")
	for _, j := range e.published[id] {
		require.Equal(t, e.claims[id], j.Sender()+j.Digest(), "of the claimed content")
	}
}

var _ http.Handler = (*producer.Handler)(nil)
