package dashboard

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/sluicehq/sluice/delivery"
)

const (
	streamChunk  = 256 // frames written before the next look at the clock
	catchUpBatch = 256 // entries read from the log at once
	streamBuffer = 16 << 10
)

// Why a stream ended, if not by its client.
var (
	errBehind = errors.New("the client does not keep up")
	errClosed = errors.New("the process ends")
)

// stream is one client of GET /v1/events. It belongs to one goroutine.
type stream struct {
	hub    *hub
	out    *bufio.Writer // so that many events are few writes to the connection
	rc     *http.ResponseController
	filter eventFilter
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
		if err := s.send(p.frames, p.next); err != nil {
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
			if err := s.send(frames(entries), entries[len(entries)-1].Seq+1); err != nil {
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

// send writes those of the frames that pass.
func (s *stream) send(all []*frame, next uint64) error {
	var parts [][]byte
	for _, f := range all {
		if s.filter.passes(f) {
			parts = append(parts, f.text())
		}
	}
	if len(parts) > 0 {
		if err := s.write(parts...); err != nil {
			return err
		}
	}
	s.next = next
	return nil
}

func (s *stream) heartbeat() error { return s.write([]byte(": still here\n\n")) }

// write hands the parts to the connection. A client that reads nothing fills
// the buffers between us and is given up once a write has stalled.
func (s *stream) write(parts ...[]byte) error {
	// Where deadlines are not supported the server bounds writes by itself.
	_ = s.rc.SetWriteDeadline(time.Now().Add(s.hub.cfg.Stall))
	for _, part := range parts {
		if _, err := s.out.Write(part); err != nil {
			return err
		}
	}
	if err := s.out.Flush(); err != nil {
		return err
	}
	return s.rc.Flush()
}
