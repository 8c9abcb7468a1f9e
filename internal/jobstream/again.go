package jobstream

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/delivery"
)

// Again hands over the parked events that tell of a job whose message was in
// the provider's hands: nothing of it is in any queue. Its place in the log is
// the stream's own, so that no event is passed over, whoever dies; one that was
// not done with is handed over again. Any number may run.
type Again struct {
	js  jetstream.JetStream
	log *slog.Logger
}

// NewAgain makes one. It does no I/O.
func NewAgain(js jetstream.JetStream, log *slog.Logger) *Again { return &Again{js: js, log: log} }

// Run hands over until ctx ends, and returns nil then. What fn fails with comes
// again after a moment.
func (a *Again) Run(ctx context.Context, fn func(context.Context, delivery.Event) error) error {
	for ctx.Err() == nil {
		if err := a.serve(ctx, fn); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "jobs that have to wait again not looked for, trying again", "error", err)
			sleep(ctx, laneRetry)
		}
	}
	return nil
}

func (a *Again) serve(ctx context.Context, fn func(context.Context, delivery.Event) error) error {
	consumer, err := a.js.Consumer(ctx, StreamLog, parkedConsumer)
	if err != nil {
		return fmt.Errorf("look up consumer %s: %w", parkedConsumer, err)
	}
	for ctx.Err() == nil {
		msgs, err := takeReady(consumer, againBatch)
		if len(msgs) == 0 && err == nil {
			var msg jetstream.Msg
			if msg, err = waitForOne(ctx, a.js.Conn(), consumer); msg != nil {
				msgs = []jetstream.Msg{msg}
			}
		}
		for _, msg := range msgs {
			a.one(ctx, msg, fn)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

const againBatch = 256

// one acknowledges last. A crash before, or an acknowledgement that is lost,
// hands the event over once more.
func (a *Again) one(ctx context.Context, msg jetstream.Msg, fn func(context.Context, delivery.Event) error) {
	var e delivery.Event
	if json.Unmarshal(msg.Data(), &e) != nil || !e.CameBack() {
		_ = msg.Ack()
		return
	}
	if err := fn(ctx, e); err != nil {
		a.log.WarnContext(ctx, "job not brought back to the waiting room, trying again", "job", e.Job, "error", err)
		_ = msg.NakWithDelay(time.Second)
		return
	}
	_ = msg.Ack()
}

// Park brings a job to the waiting room that is in no queue, and says where it
// lies. Repeating it for
// the same attempt parks nothing more within the dedupe window, and a copy
// beyond it, which the grant catches.
func (r *Room) Park(ctx context.Context, task delivery.Task) (delivery.Parked, error) {
	task.Ref = "again-" + jobToken(task.Job.ID)
	return park(ctx, r.js, task, delivery.Settlement{Action: delivery.Park, Attempt: task.Attempt})
}
