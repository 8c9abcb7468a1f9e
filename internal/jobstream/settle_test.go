package jobstream_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/jobstream"
)

// publishDue puts a job on the due queue, as the releaser or a schedule does.
func publishDue(t *testing.T, js jetstream.JetStream, j delivery.Job) {
	t.Helper()
	data, err := json.Marshal(j)
	require.NoError(t, err)
	publishRaw(t, js, fmt.Sprintf("sluice.due.%s.%s", j.Priority, j.Sender()), data)
}

// twoSteps settles fresh jobs in one way and acknowledges those that come back.
func twoSteps(tasks chan<- delivery.Task, first func() delivery.Settlement) handlerFunc {
	return func(_ context.Context, task delivery.Task) delivery.Settlement {
		tasks <- task
		if task.Ref[:len(jobstream.StreamJobs)] == jobstream.StreamJobs {
			return first()
		}
		return ack()
	}
}

func TestScheduleBringsTheJobBackAtItsTime(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{})
	at := time.Now().Add(700 * time.Millisecond)
	ended := time.Now().Add(-time.Minute)
	tasks := make(chan delivery.Task, 2)
	work(t, js, twoSteps(tasks, func() delivery.Settlement {
		return delivery.Settlement{Action: delivery.Schedule, At: at, Attempt: 3, Ended: ended}
	}), jobstream.WorkerConfig{})
	j := job("a", delivery.Low)
	j.ContentVariables, j.Metadata = delivery.Variables{}, map[string]string{"order": "<7>"}
	publish(t, js, j)

	fresh := receive(t, tasks)
	backlog, err := jobstream.NewRoom(js).Backlog(t.Context())
	require.NoError(t, err)
	require.LessOrEqual(t, backlog.Scheduled, int64(1))
	back := receive(t, tasks)
	require.False(t, time.Now().Before(at))
	require.Less(t, time.Since(at), 5*time.Second)
	require.Equal(t, fresh.Job, back.Job)
	require.Equal(t, 3, back.Attempt)
	require.True(t, ended.Equal(back.Ended))
	require.True(t, fresh.Published.Equal(back.Published))
	empties(t, js, jobstream.StreamJobs)
	empties(t, js, jobstream.StreamWait)
}

func TestScheduleInThePastFiresAtOnce(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{})
	tasks := make(chan delivery.Task, 2)
	work(t, js, twoSteps(tasks, func() delivery.Settlement {
		return delivery.Settlement{Action: delivery.Schedule}
	}), jobstream.WorkerConfig{})
	publish(t, js, job("a", delivery.High))
	receive(t, tasks)
	require.Equal(t, 1, receive(t, tasks).Attempt)
}

func TestParkReleaseRoundTrip(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{})
	ended := time.Now().Add(-time.Minute)
	tasks := make(chan delivery.Task, 2)
	work(t, js, twoSteps(tasks, func() delivery.Settlement {
		return delivery.Settlement{Action: delivery.Park, Attempt: 2, Ended: ended}
	}), jobstream.WorkerConfig{})
	data, err := json.Marshal(job("a", delivery.Normal))
	require.NoError(t, err)
	msg := &nats.Msg{Subject: delivery.JobSubject(delivery.Normal, sender), Data: data, Header: nats.Header{}}
	msg.Header.Set(delivery.HeaderAnnounced, "1")
	_, err = js.PublishMsg(t.Context(), msg)
	require.NoError(t, err)

	fresh := receive(t, tasks)
	empties(t, js, jobstream.StreamJobs)
	room := jobstream.NewRoom(js)
	head, ok, err := room.Head(t.Context(), sender, delivery.Normal, 0)
	require.NoError(t, err)
	require.True(t, ok)
	require.Empty(t, head.Task.Token)
	require.WithinRange(t, head.Since, fresh.Published, time.Now())

	require.NoError(t, room.Release(t.Context(), head))
	back := receive(t, tasks)
	require.NotEmpty(t, back.Token)
	for _, task := range []delivery.Task{head.Task, back} {
		require.Equal(t, fresh.Job, task.Job)
		require.Equal(t, 2, task.Attempt)
		require.True(t, ended.Equal(task.Ended))
		require.True(t, fresh.Published.Equal(task.Published))
		require.True(t, task.Announced)
	}
	empties(t, js, jobstream.StreamWait)
}

// A crash between parking and acknowledging, and an answer that was lost, must
// not make a second parked job.
func TestParkedJobComesOutWhenItExpires(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{})
	j := job("brief", delivery.Normal)
	j.ExpiresAt = time.Now().Add(700 * time.Millisecond).UTC()
	tasks := make(chan delivery.Task, 4)
	work(t, js, twoSteps(tasks, func() delivery.Settlement {
		return delivery.Settlement{Action: delivery.Park, Attempt: 2}
	}), jobstream.WorkerConfig{})
	publish(t, js, j)
	receive(t, tasks)

	back := receive(t, tasks)
	require.False(t, time.Now().Before(j.ExpiresAt))
	require.Equal(t, j.ID, back.Job.ID)
	require.Equal(t, 2, back.Attempt)
	_, parked, err := jobstream.NewRoom(js).Head(t.Context(), sender, delivery.Normal, 0)
	require.NoError(t, err)
	require.True(t, parked, "the job itself stays where it waits")
}

func TestSameMessageParkedTwiceIsParkedOnce(t *testing.T) {
	t.Parallel()
	const ackWait = 200 * time.Millisecond
	js := &faulty{JetStream: ready(t, jobstream.Config{AckWait: ackWait}), loseAck: true, loseAnswer: true}
	tasks := make(chan delivery.Task, 2)
	work(t, js, handlerFunc(func(_ context.Context, task delivery.Task) delivery.Settlement {
		tasks <- task
		return delivery.Settlement{Action: delivery.Park}
	}), jobstream.WorkerConfig{AckWait: ackWait})
	publish(t, js, job("a", delivery.Normal))
	require.Equal(t, receive(t, tasks).Ref, receive(t, tasks).Ref)
	empties(t, js, jobstream.StreamJobs)
	require.EqualValues(t, 1, state(t, js, jobstream.StreamWait).Msgs)
}

func TestSameMessageScheduledTwiceIsScheduledOnce(t *testing.T) {
	t.Parallel()
	const ackWait = 200 * time.Millisecond
	js := &faulty{JetStream: ready(t, jobstream.Config{AckWait: ackWait}), loseAck: true}
	tasks := make(chan delivery.Task, 2)
	work(t, js, handlerFunc(func(_ context.Context, task delivery.Task) delivery.Settlement {
		tasks <- task
		return delivery.Settlement{Action: delivery.Schedule, At: time.Now().Add(time.Hour)}
	}), jobstream.WorkerConfig{AckWait: ackWait})
	publish(t, js, job("a", delivery.Normal))
	require.Equal(t, receive(t, tasks).Ref, receive(t, tasks).Ref)
	empties(t, js, jobstream.StreamJobs)
	require.EqualValues(t, 1, state(t, js, jobstream.StreamWait).Msgs)
}

// The same job, not the same message: a park swallowed as a repetition would
// be a lost job.
func TestJobParksAgainWithinTheDedupeWindow(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{})
	tasks := make(chan delivery.Task, 8)
	work(t, js, handlerFunc(func(_ context.Context, task delivery.Task) delivery.Settlement {
		tasks <- task
		if task.Attempt == 4 {
			return ack()
		}
		return delivery.Settlement{Action: delivery.Park, Attempt: task.Attempt + 1}
	}), jobstream.WorkerConfig{})
	publish(t, js, job("a", delivery.Normal))
	room := jobstream.NewRoom(js)
	for attempt := 1; attempt < 4; attempt++ {
		require.Equal(t, attempt, receive(t, tasks).Attempt)
		var head delivery.Parked
		require.Eventually(t, func() bool {
			var ok bool
			var err error
			head, ok, err = room.Head(t.Context(), sender, delivery.Normal, 0)
			return err == nil && ok
		}, patience, tick)
		require.NoError(t, room.Release(t.Context(), head))
	}
	require.Equal(t, 4, receive(t, tasks).Attempt)
	empties(t, js, jobstream.StreamWait)
}

func TestMoveThatFailsLeavesTheJobInTheQueue(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{})
	stream, err := js.Stream(t.Context(), jobstream.StreamWait)
	require.NoError(t, err)
	cfg := stream.CachedInfo().Config
	cfg.MaxMsgSize = 1 // refuses everything, at once and for certain
	_, err = js.UpdateStream(t.Context(), cfg)
	require.NoError(t, err)

	tasks := make(chan delivery.Task, 16)
	work(t, js, handlerFunc(func(_ context.Context, task delivery.Task) delivery.Settlement {
		tasks <- task
		return delivery.Settlement{Action: delivery.Park}
	}), jobstream.WorkerConfig{})
	publish(t, js, job("a", delivery.Normal))
	receive(t, tasks)
	receive(t, tasks)
	require.EqualValues(t, 1, state(t, js, jobstream.StreamJobs).Msgs)

	cfg.MaxMsgSize = -1
	_, err = js.UpdateStream(t.Context(), cfg)
	require.NoError(t, err)
	empties(t, js, jobstream.StreamJobs)
	require.EqualValues(t, 1, state(t, js, jobstream.StreamWait).Msgs)
}
