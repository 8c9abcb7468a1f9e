package jobstream_test

import (
	"context"
	"errors"
	"fmt"
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
	met, parked := map[string]int{}, map[string]uint64{}
	require.NoError(t, room.Each(t.Context(), func(_ context.Context, jobs []delivery.Parked) error {
		for _, p := range jobs {
			met[p.Task.Job.ID] = p.Task.Attempt
			if p.Seq > 0 {
				parked[p.Task.Job.ID] = p.Seq
			}
		}
		return nil
	}))
	require.Equal(t, map[string]int{"queued": 1, "parked": 1, "due": 1, "later": 3}, met)
	head, found, err := room.Head(t.Context(), sender, delivery.Low, 0)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, map[string]uint64{"parked": head.Seq}, parked)

	broken := errors.New("broken")
	require.ErrorIs(t, room.Each(t.Context(), func(context.Context, []delivery.Parked) error { return broken }), broken)
}

// More than one batch has, with gaps.
func TestEachGoesOnUntilTheEnd(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{})
	const many = 700
	for i := range many {
		park(t, js, job(fmt.Sprint("job-", i), delivery.Low))
	}
	stream, err := js.Stream(t.Context(), jobstream.StreamWait)
	require.NoError(t, err)
	for seq := uint64(2); seq <= many; seq += 3 {
		require.NoError(t, stream.DeleteMsg(t.Context(), seq))
	}
	met := map[string]bool{}
	require.NoError(t, jobstream.NewRoom(js).Each(t.Context(), func(_ context.Context, jobs []delivery.Parked) error {
		for _, p := range jobs {
			met[p.Task.Job.ID] = true
		}
		return nil
	}))
	require.Len(t, met, int(stream.CachedInfo().State.Msgs)-233)
}
