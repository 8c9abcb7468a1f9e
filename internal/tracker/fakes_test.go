package tracker_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/ratelimit"
)

var errBroken = errors.New("broken")

// steps is what happened, in order.
type steps struct {
	mu   sync.Mutex
	list []string
}

func (s *steps) add(step string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, step)
}

func (s *steps) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.list)
}

func (s *steps) has(step string) bool { return slices.Contains(s.all(), step) }

// tape is a log that can grow.
type tape struct {
	mu      sync.Mutex
	entries []delivery.Entry
	grown   chan struct{} // closed and replaced whenever it grows
	limit   int           // followers see no entry beyond it; 0: all
	asked   []uint64      // where followers began
}

func newTape(n int) *tape {
	t := &tape{grown: make(chan struct{})}
	t.grow(n)
	return t
}

func (t *tape) grow(n int) { t.change(n, 0) }

// change adds entries and lets followers see them up to a limit.
func (t *tape) change(n, limit int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.limit = limit
	for range n {
		e := event(delivery.EventQueued)
		t.entries = append(t.entries, delivery.Entry{Seq: uint64(len(t.entries) + 1), Event: &e})
	}
	close(t.grown)
	t.grown = make(chan struct{})
}

// shorten makes it an older copy of itself.
func (t *tape) shorten(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.entries = t.entries[:n]
}

func (t *tape) Last(context.Context) (uint64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return uint64(len(t.entries)), nil
}

func (t *tape) began() []uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.asked)
}

func (t *tape) Follow(ctx context.Context, from uint64, batch int, fn func(context.Context, []delivery.Entry) error) error {
	t.mu.Lock()
	t.asked = append(t.asked, from)
	t.mu.Unlock()
	for next := from; ; {
		t.mu.Lock()
		seen := t.entries
		if t.limit > 0 {
			seen = seen[:min(len(seen), t.limit)]
		}
		fresh, grown := seen[min(int(next-1), len(seen)):], t.grown
		t.mu.Unlock()
		if len(fresh) == 0 {
			select {
			case <-grown:
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		fresh = fresh[:min(len(fresh), batch)]
		if err := fn(ctx, fresh); err != nil {
			return err
		}
		next = fresh[len(fresh)-1].Seq + 1
	}
}

// place is a Redis, as gate and as ledger.
type place struct {
	*steps
	mu       sync.Mutex
	position uint64
	current  string
	opened   string
	filling  string
	openedAt time.Time
	had      uint64 // position when it was opened
	holder   string // who has the lease; empty: whoever asks
	renewed  time.Time
	gap      time.Duration // the longest time between two renewals
	applyErr error
	applied  func() // called, locked, after records were written
}

func newPlace() *place { return &place{steps: &steps{}, current: "life 1"} }

func (p *place) locked(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// restart is another Redis at the same address.
func (p *place) restart(epoch string, position uint64) {
	p.locked(func() { p.current, p.position = epoch, position })
}

// empty is FLUSHALL: the same life, with nothing in it.
func (p *place) empty() {
	p.locked(func() { p.opened, p.filling, p.position = "", "", 0 })
}

func (p *place) isOpen() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.current == p.opened
}

func (p *place) Position(context.Context) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.position, nil
}

func (p *place) Lease(_ context.Context, _, holder string, _ time.Duration) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.renewed.IsZero() {
		p.gap = max(p.gap, time.Since(p.renewed))
	}
	p.renewed = time.Now()
	return p.holder == "" || p.holder == holder, nil
}

func (p *place) Unlease(_ context.Context, name, holder string) error {
	p.add("let go " + name)
	return nil
}

// server is a place as the gate.
type server struct{ *place }

func (r server) Apply(_ context.Context, from, to uint64, _ []ratelimit.Change) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if from != r.position {
		r.add("fenced")
		return ratelimit.ErrFenced
	}
	if r.applyErr != nil {
		return r.applyErr
	}
	r.position = to
	return nil
}

func (r server) Epoch(context.Context) (current, opened string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current, r.opened, nil
}

func (r server) Refill(_ context.Context, epoch string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if epoch != r.current {
		return ratelimit.ErrEpoch
	}
	r.filling = epoch
	return nil
}

func (r server) Open(_ context.Context, epoch string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if epoch != r.current || epoch != r.filling {
		return ratelimit.ErrEpoch
	}
	r.add("open " + epoch)
	r.opened, r.openedAt, r.had = epoch, time.Now(), r.position
	return nil
}

func (r server) Close(context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.opened = ""
	return nil
}

// books is a place as the ledger.
type books struct{ *place }

func (b books) Apply(_ context.Context, events []delivery.Event) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.add("apply")
	if b.applied != nil {
		b.applied()
	}
	return b.applyErr
}

func (b books) Advance(_ context.Context, from, upTo uint64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if from != b.position {
		b.add("moved")
		return errBroken
	}
	b.add("advance")
	b.position = upTo
	return nil
}

// standing restores what the log does not carry.
type standing struct {
	*steps
	takes  time.Duration
	during func()
	err    error
}

func (s *standing) Restore(ctx context.Context) error {
	s.add("restore")
	if s.during != nil {
		s.during()
	}
	select {
	case <-time.After(s.takes):
		return s.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

var quiet = slog.New(slog.DiscardHandler)
