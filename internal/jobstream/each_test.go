package jobstream_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/jobstream"
)

func TestEachMeetsEveryJobThatIsNotSettled(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{})
	publish(t, js, job("queued", delivery.High))
	publishRaw(t, js, "sluice.jobs.low."+sender, []byte("no job"))
	park(t, js, job("parked", delivery.Low))
	publishDue(t, js, job("due", delivery.Normal))
	publish(t, js, job("later", delivery.Normal))
	settled := make(chan struct{}, 4)
	stop := work(t, js, handlerFunc(func(_ context.Context, task delivery.Task) delivery.Settlement {
		if task.Job.ID == "later" {
			settled <- struct{}{}
			return delivery.Settlement{Action: delivery.Schedule, At: time.Now().Add(time.Hour), Attempt: 3}
		}
		return delivery.Settlement{Action: delivery.HandBack, At: time.Now().Add(time.Hour)}
	}), jobstream.WorkerConfig{})
	receive(t, settled)
	stop()

	room := jobstream.NewRoom(js)
	met := map[string]int{}
	require.NoError(t, room.Each(t.Context(), func(_ context.Context, task delivery.Task) error {
		met[task.Job.ID] = task.Attempt
		return nil
	}))
	require.Equal(t, map[string]int{"queued": 1, "parked": 1, "due": 1, "later": 3}, met)

	broken := errors.New("broken")
	require.ErrorIs(t, room.Each(t.Context(), func(context.Context, delivery.Task) error { return broken }), broken)
}
