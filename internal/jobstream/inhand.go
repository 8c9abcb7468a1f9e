package jobstream

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// inHand are the messages that are fetched and not settled. One goroutine keeps
// all of them from being delivered again meanwhile.
type inHand struct {
	mu   sync.Mutex
	msgs map[jetstream.Msg]struct{} // guarded by mu
}

func newInHand() *inHand { return &inHand{msgs: make(map[jetstream.Msg]struct{})} }

func (h *inHand) add(msg jetstream.Msg) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.msgs[msg] = struct{}{}
}

func (h *inHand) remove(msg jetstream.Msg) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.msgs, msg)
}

func (h *inHand) all() []jetstream.Msg {
	h.mu.Lock()
	defer h.mu.Unlock()
	msgs := make([]jetstream.Msg, 0, len(h.msgs))
	for msg := range h.msgs {
		msgs = append(msgs, msg)
	}
	return msgs
}

// touch gives one sign of life, under the lock: after a message was handed
// back, it would undo the delay.
func (h *inHand) touch(msg jetstream.Msg) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, still := h.msgs[msg]; still {
		_ = msg.InProgress()
	}
}

// beat gives signs of life until ctx ends. One that is lost is made good by the
// next.
func (h *inHand) beat(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			for _, msg := range h.all() {
				h.touch(msg)
			}
		}
	}
}
