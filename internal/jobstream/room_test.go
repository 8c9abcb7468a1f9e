package jobstream_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/jobstream"
)

// park puts a job into the room without a worker.
func park(t *testing.T, js jetstream.JetStream, j delivery.Job) uint64 {
	t.Helper()
	data, err := json.Marshal(j)
	require.NoError(t, err)
	return publishRaw(t, js, fmt.Sprintf("sluice.parked.%s.%s", j.Sender(), j.Priority), data)
}

func TestRoomCountsBySenderAndPriority(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{})
	room := jobstream.NewRoom(js)
	counts, err := room.Counts(t.Context())
	require.NoError(t, err)
	require.Empty(t, counts)

	other := job("o", delivery.Low)
	other.From = "whatsapp:+4930123456"
	park(t, js, job("a", delivery.High))
	park(t, js, job("b", delivery.High))
	park(t, js, job("c", delivery.Low))
	park(t, js, other)
	publishRaw(t, js, "sluice.parked.x.y", nil)
	publishDue(t, js, job("d", delivery.High))

	counts, err = room.Counts(t.Context())
	require.NoError(t, err)
	require.Equal(t, map[string]map[delivery.Priority]int64{
		sender:       {delivery.High: 2, delivery.Low: 1},
		"4930123456": {delivery.Low: 1},
	}, counts)
}

func TestHeadIsTheOldest(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{})
	room := jobstream.NewRoom(js)
	_, ok, err := room.Head(t.Context(), sender, delivery.Low, 0)
	require.NoError(t, err)
	require.False(t, ok)

	park(t, js, job("high", delivery.High))
	for i := range 3 {
		park(t, js, job(fmt.Sprint("low-", i), delivery.Low))
	}
	for i := range 3 {
		head, ok, err := room.Head(t.Context(), sender, delivery.Low, 0)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, fmt.Sprint("low-", i), head.Task.Job.ID)
		require.Equal(t, fmt.Sprint("SLUICE_WAIT:", head.Seq), head.Task.Ref)
		require.NoError(t, room.Release(t.Context(), head))
	}
	_, ok, err = room.Head(t.Context(), sender, delivery.Low, 0)
	require.NoError(t, err)
	require.False(t, ok)
}

func TestReleaseTwiceReleasesOnce(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{})
	park(t, js, job("a", delivery.Normal))
	for name, js := range map[string]jetstream.JetStream{
		"known gone":  js,
		"answer lost": &faulty{JetStream: js, loseAnswer: true},
	} {
		room := jobstream.NewRoom(js)
		head, ok, err := room.Head(t.Context(), sender, delivery.Normal, 0)
		require.NoError(t, err, name)
		if !ok {
			park(t, js, job("b", delivery.Normal))
			head, _, err = room.Head(t.Context(), sender, delivery.Normal, 0)
			require.NoError(t, err, name)
		}
		require.NoError(t, room.Release(t.Context(), head), name)
		require.NoError(t, room.Release(t.Context(), head), name)
	}
	require.EqualValues(t, 2, state(t, js, jobstream.StreamWait).Msgs) // both due, once each
}

func TestUnreadableHeadDoesNotBarTheWay(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{})
	publishRaw(t, js, "sluice.parked."+sender+".normal", []byte(`{"id":"broken","nonsense":1}`))
	foreign := job("foreign", delivery.Normal)
	foreign.From = "whatsapp:+4930123456"
	data, err := json.Marshal(foreign)
	require.NoError(t, err)
	publishRaw(t, js, "sluice.parked."+sender+".normal", data)
	park(t, js, job("good", delivery.Normal))

	head, ok, err := jobstream.NewRoom(js).Head(t.Context(), sender, delivery.Normal, 0)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "good", head.Task.Job.ID)

	tasks := make(chan delivery.Task, 4)
	work(t, js, handlerFunc(func(_ context.Context, task delivery.Task) delivery.Settlement {
		tasks <- task
		return ack()
	}), jobstream.WorkerConfig{})
	require.Equal(t, "foreign", receive(t, tasks).Job.ID)
	require.Eventually(t, func() bool { return len(events(t, js, delivery.EventRejected)) == 1 }, patience, tick)
	require.Equal(t, "broken", events(t, js, delivery.EventRejected)[0].Job)
}

func TestBacklog(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{})
	room := jobstream.NewRoom(js)
	for i := range 3 {
		park(t, js, job(fmt.Sprint(i), delivery.Low))
	}
	publishMany(t, js, delivery.Low, 5)
	publishDue(t, js, job("due", delivery.High))
	perishable := job("perishable", delivery.High)
	perishable.ExpiresAt = time.Now().Add(time.Hour).UTC()
	publishDue(t, js, perishable)
	holds := func(want jobstream.Backlog) { // a consumer hears of a stored message a moment after its publisher does
		t.Helper()
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			got, err := room.Backlog(t.Context())
			require.NoError(c, err)
			require.Equal(c, want, got)
		}, patience, 50*time.Millisecond)
	}
	holds(jobstream.Backlog{Ready: 7, Parked: 3})

	open := make(chan struct{})
	stop := work(t, js, handlerFunc(func(_ context.Context, task delivery.Task) delivery.Settlement {
		switch task.Job.ID {
		case "due":
			return delivery.Settlement{Action: delivery.Schedule, At: time.Now().Add(time.Hour)}
		case "perishable":
			return delivery.Settlement{Action: delivery.Park} // with a copy for its expiry
		}
		<-open
		return ack()
	}), jobstream.WorkerConfig{Concurrency: 1})
	// One of the five is handled, the others are in hand and wait for it.
	holds(jobstream.Backlog{Ready: 0, Parked: 4, Scheduled: 1, InFlight: 5})
	close(open)
	empties(t, js, jobstream.StreamJobs)
	stop()
}
