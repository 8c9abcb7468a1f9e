package dashboard

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/sluicehq/sluice/delivery"
)

// Log is the log of everything that happens to jobs.
type Log interface {
	// Last is the sequence of the newest entry, 0 if there was never one.
	Last(ctx context.Context) (uint64, error)
	// Follow hands over entries from a sequence on, in order and each once, in
	// batches of at most batch, until fn returns an error, which is returned,
	// or ctx ends. Outages are waited out. It returns when fn has.
	Follow(ctx context.Context, from uint64, batch int, fn func(context.Context, []delivery.Entry) error) error
}

// Streams bounds what GET /v1/events takes. Zero fields have their defaults.
type Streams struct {
	Most      int           // clients at a time, more are refused; default 2000
	CatchUps  int           // of them reading the log for themselves at a time, others wait; default 32
	Keep      int           // events at the end of the log kept for all; default 4096, at least 2
	Heartbeat time.Duration // between comments that keep a connection open; default 15s
	Stall     time.Duration // how long a client may take no byte of a write; default 10s
}

func (s Streams) withDefaults() Streams {
	return Streams{
		Most: cmp.Or(s.Most, 2000), CatchUps: cmp.Or(s.CatchUps, 32), Keep: max(2, cmp.Or(s.Keep, 4096)),
		Heartbeat: cmp.Or(s.Heartbeat, 15*time.Second), Stall: cmp.Or(s.Stall, 10*time.Second),
	}
}

const (
	hubBatch = 1024 // entries that the hub takes from the log at once
	lastWait = 500 * time.Millisecond

	// Every round of the hub wakes every client. Rounds are kept apart by
	// perClient for each, so that many clients make rounds larger instead of
	// more, and the writes to them take a small share of one processor.
	perClient  = 100 * time.Microsecond
	maxBetween = 100 * time.Millisecond
)

// hub follows the log once for all clients of this process.
type hub struct {
	log    Log
	cfg    Streams
	logger *slog.Logger

	tail     *tail
	clients  atomic.Int64
	catchUps chan struct{} // holds the places that are free
	ready    chan struct{} // closed once the tail has begun
	ended    chan struct{} // closed when nobody adds to the tail any more
}

func newHub(log Log, cfg Streams, logger *slog.Logger) *hub {
	cfg = cfg.withDefaults()
	h := &hub{
		log: log, cfg: cfg, logger: logger, tail: newTail(cfg.Keep), catchUps: make(chan struct{}, cfg.CatchUps),
		ready: make(chan struct{}), ended: make(chan struct{}),
	}
	for range cfg.CatchUps {
		h.catchUps <- struct{}{}
	}
	return h
}

// Run follows the log for the clients of GET /v1/events until ctx ends; then
// it cuts them off, and they go on elsewhere from the last id they saw. It is
// to be called once, beside the server. Without events to serve it only waits.
func (a *API) Run(ctx context.Context) error {
	if a.hub == nil {
		<-ctx.Done()
		return nil
	}
	return a.hub.run(ctx)
}

func (h *hub) run(ctx context.Context) error {
	defer close(h.ended)
	last, err := h.last(ctx)
	if err != nil {
		return nil // ended before the log could be reached
	}
	h.tail.begin(last + 1)
	close(h.ready)
	err = h.log.Follow(ctx, last+1, hubBatch, func(ctx context.Context, entries []delivery.Entry) error {
		h.tail.add(frames(entries), entries[len(entries)-1].Seq+1)
		return wait(ctx, min(maxBetween, perClient*time.Duration(h.clients.Load())))
	})
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("follow the log for event streams: %w", err)
}

// last asks for the end of the log until it is told, or ctx ends.
func (h *hub) last(ctx context.Context) (uint64, error) {
	for told := false; ; told = true {
		last, err := h.log.Last(ctx)
		if err == nil {
			return last, nil
		}
		if !told {
			h.logger.WarnContext(ctx, "event streams wait for the log", "error", err)
		}
		if ended := wait(ctx, lastWait); ended != nil {
			return 0, ended
		}
	}
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// admit counts a client in; leave must be called if it is let in.
func (h *hub) admit() bool {
	if h.clients.Add(1) > int64(h.cfg.Most) {
		h.clients.Add(-1)
		return false
	}
	return true
}

func (h *hub) leave() { h.clients.Add(-1) }
