package dashboard

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/sluicehq/sluice/delivery"
)

const (
	streamChunk  = hubBatch // frames taken from the tail at once
	catchUpBatch = 256      // entries read from the log at once
	streamWrite  = 64 << 10 // bytes that a client has to take in one stall time
)

// Why a stream ended, if not by its client.
var (
	errBehind = errors.New("the client does not keep up")
	errClosed = errors.New("the process ends")
)

// stream is one client of GET /v1/events. It belongs to one goroutine.
type stream struct {
	hub    *hub
	out    io.Writer
	rc     *http.ResponseController
	filter eventFilter
	shape  string // of the filter
	next   uint64 // every sequence before it was written, or did not pass
	beat   *time.Ticker
}

// run writes until the client leaves, stalls or falls behind, or the hub ends.
func (s *stream) run(ctx context.Context) error {
	if err := s.write([]byte("retry: 1000\n\n")); err != nil {
		return err
	}
	if !s.hub.tail.near(s.next) {
		if err := s.catchUp(ctx); err != nil {
			return err
		}
	}
	for {
		p, ok := s.hub.tail.since(s.next, streamChunk)
		if !ok {
			return errBehind
		}
		if err := s.send(p.batch); err != nil {
			return err
		}
		if err := s.await(ctx, p.ready); err != nil {
			return err
		}
	}
}

// catchUp reads the log for this client alone, at the client's own pace, until
// the tail holds all that it is still owed. What was read is written before
// the tail is asked, and next is the only memory of both, so that nothing is
// left out between them and nothing told twice.
func (s *stream) catchUp(ctx context.Context) error {
	if err := s.await(ctx, s.hub.catchUps); err != nil {
		return err
	}
	defer func() { s.hub.catchUps <- struct{}{} }()
	ctx, stop := context.WithCancel(ctx)
	read := make(chan []delivery.Entry)
	failed := make(chan error, 1)
	go func() {
		defer close(failed)
		failed <- s.hub.log.Follow(ctx, s.next, catchUpBatch, func(ctx context.Context, entries []delivery.Entry) error {
			select {
			case read <- entries:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	defer func() {
		stop()
		for range failed { // until the reader has ended
		}
	}()
	for !s.hub.tail.near(s.next) {
		select {
		case entries := <-read:
			if err := s.send(&batch{frames: frames(entries), next: entries[len(entries)-1].Seq + 1}); err != nil {
				return err
			}
		case err := <-failed:
			return err
		case <-s.beat.C:
			if err := s.heartbeat(); err != nil {
				return err
			}
		case <-s.hub.ended:
			return errClosed
		}
	}
	return nil
}

// await waits for an event of this process, and keeps the connection open
// meanwhile.
func (s *stream) await(ctx context.Context, event <-chan struct{}) error {
	for {
		select {
		case <-event:
			return nil
		case <-s.beat.C:
			if err := s.heartbeat(); err != nil {
				return err
			}
		case <-s.hub.ended:
			return errClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// send writes what passes of a batch.
func (s *stream) send(b *batch) error {
	if err := s.write(b.text(s.filter, s.shape)); err != nil {
		return err
	}
	s.next = b.next
	return nil
}

func (s *stream) heartbeat() error { return s.write([]byte(": still here\n\n")) }

// write hands a text to the connection. A client that reads nothing fills the
// buffers between us and is given up once a write has stalled.
func (s *stream) write(text []byte) error {
	for len(text) > 0 {
		n := min(len(text), streamWrite)
		// Where deadlines are not supported the server bounds writes by itself.
		_ = s.rc.SetWriteDeadline(time.Now().Add(s.hub.cfg.Stall))
		if _, err := s.out.Write(text[:n]); err != nil {
			return err
		}
		if err := s.rc.Flush(); err != nil {
			return err
		}
		text = text[n:]
	}
	return nil
}
