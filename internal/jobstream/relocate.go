package jobstream

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// relocate publishes a message in its new place and deletes it from its old
// one. The id names the message moved and not the job, which may be moved again
// within the dedupe window: swallowing that move would lose it.
func relocate(ctx context.Context, js jetstream.JetStream, stream jetstream.Stream, seq uint64, id string, out *nats.Msg) error {
	out.Header.Set(nats.MsgIdHdr, id)
	if _, err := publish(ctx, js, out); err != nil {
		return fmt.Errorf("move message %d: %w", seq, err)
	}
	// The job is now in both places. A crash here moves it once more, under the
	// same id.
	if err := stream.DeleteMsg(ctx, seq); err != nil && !gone(ctx, stream, seq) {
		return fmt.Errorf("take moved message %d out of its old place: %w", seq, err)
	}
	return nil
}

// gone asks instead of reading the refusal: standalone and clustered servers
// word "no such message" differently, and the client drops the code.
func gone(ctx context.Context, stream jetstream.Stream, seq uint64) bool {
	_, err := stream.GetMsg(ctx, seq)
	return errors.Is(err, jetstream.ErrMsgNotFound)
}
