package jobstream_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/jobstream"
)

func TestThePayloadIsThatOfTheLastIntentOrKept(t *testing.T) {
	t.Parallel()
	log := jobstream.NewLog(ready(t, jobstream.Config{}))
	_, found, err := log.Payload(t.Context(), sender, "a..b/c d")
	require.NoError(t, err)
	require.False(t, found)

	kept := job("kept", delivery.High)
	for range 2 {
		require.NoError(t, log.Keep(t.Context(), kept))
	}
	got, found, err := log.Payload(t.Context(), sender, "kept")
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, kept, got)
	last, err := log.Last(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, last, "kept once")

	for i, token := range []string{"t1", "t2"} {
		sent := intent(token)
		sent.Job, sent.Attempt = job("sent", delivery.Normal), i+1
		_, err := log.Intent(t.Context(), sent)
		require.NoError(t, err)
	}
	_, err = log.Intent(t.Context(), intent("t3"))
	require.NoError(t, err)
	of, found, err := log.LastIntent(t.Context(), sender, "sent")
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, 2, of.Attempt)
	_, found, err = log.LastIntent(t.Context(), "15550009999", "sent")
	require.NoError(t, err)
	require.False(t, found, "of another sender")
}

func TestAReadWhoseAnswerIsLostEnds(t *testing.T) {
	t.Parallel()
	conn := bare(t).Conn()
	_, err := conn.Subscribe("silent.>", func(*nats.Msg) {})
	require.NoError(t, err)
	js, err := jetstream.NewWithAPIPrefix(conn, "silent", jetstream.WithDefaultTimeout(50*time.Millisecond))
	require.NoError(t, err)
	_, _, err = jobstream.NewLog(js).LastIntent(context.WithoutCancel(t.Context()), sender, "a")
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestARedriveIsDeliveredOnceWithItsAttempt(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{})
	room := jobstream.NewRoom(js)
	task := delivery.Task{Job: job("a", delivery.Normal), Attempt: 4, Redriven: 4, Announced: true}
	for range 3 {
		require.NoError(t, room.Redrive(t.Context(), task))
	}
	handled := make(chan delivery.Task, 3)
	work(t, js, handlerFunc(func(_ context.Context, task delivery.Task) delivery.Settlement {
		handled <- task
		return ack()
	}), jobstream.WorkerConfig{})
	got := receive(t, handled)
	require.Equal(t, 4, got.Attempt)
	require.Equal(t, 4, got.Redriven)
	require.True(t, got.Announced)
	empties(t, js, jobstream.StreamWait)
	require.Empty(t, handled)
}
