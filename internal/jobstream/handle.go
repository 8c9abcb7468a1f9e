package jobstream

import (
	"context"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go/jetstream"
)

// handle is a stream that is looked up when it is first used, so that nothing
// does I/O when it is made.
type handle struct {
	js   jetstream.JetStream
	name string

	mu     sync.Mutex
	stream jetstream.Stream
}

func (h *handle) get(ctx context.Context) (jetstream.Stream, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stream != nil {
		return h.stream, nil
	}
	stream, err := h.js.Stream(ctx, h.name)
	if err != nil {
		return nil, fmt.Errorf("look up stream %s: %w", h.name, err)
	}
	h.stream = stream
	return stream, nil
}

// info asks the stream's leader.
func (h *handle) info(ctx context.Context, opts ...jetstream.StreamInfoOpt) (*jetstream.StreamInfo, error) {
	stream, err := h.get(ctx)
	if err != nil {
		return nil, err
	}
	info, err := stream.Info(ctx, opts...)
	if err != nil {
		return nil, fmt.Errorf("ask for stream %s: %w", h.name, err)
	}
	return info, nil
}
