package jobstream_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/embedded"
	"github.com/sluicehq/sluice/internal/jobstream"
)

func event(id string) delivery.Event {
	return job("j-"+id, delivery.Normal).Happened(delivery.EventSent, 1, time.Now(), id)
}

func intent(token string) delivery.Intent {
	return delivery.Intent{
		Job: job("j-"+token, delivery.Normal), Attempt: 1, Token: token, At: time.Now().UTC(), Pool: "p", Counted: true,
	}
}

func TestAppendKeepsOneOfEachID(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{})
	log := jobstream.NewLog(js)
	// Some differ only in what a header would lose.
	ids := []string{"plain", strings.Repeat("long", 100), "two\nlines", "two lines", "ünïcode", " trimmed", "trimmed"}
	for i, id := range ids {
		for range 3 {
			seq, err := log.Append(t.Context(), event(id))
			require.NoError(t, err)
			require.EqualValues(t, i+1, seq, "%q", id)
		}
	}
	last, err := log.Last(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, len(ids), last)
	require.Len(t, events(t, js, delivery.EventSent), len(ids))
}

func TestIntentsAndEventsOfOneNameAreDistinct(t *testing.T) {
	t.Parallel()
	log := jobstream.NewLog(ready(t, jobstream.Config{}))
	first, err := log.Append(t.Context(), event("x"))
	require.NoError(t, err)
	second, err := log.Intent(t.Context(), intent("x"))
	require.NoError(t, err)
	again, err := log.Intent(t.Context(), intent("x"))
	require.NoError(t, err)
	require.Equal(t, []uint64{1, 2, 2}, []uint64{first, second, again})
}

func TestAppendRetriesAnUnclearOutcomeUnderTheSameID(t *testing.T) {
	t.Parallel()
	js := &faulty{JetStream: ready(t, jobstream.Config{}), loseAnswer: true}
	seq, err := jobstream.NewLog(js).Append(t.Context(), event("x"))
	require.NoError(t, err)
	require.EqualValues(t, 1, seq)
	require.EqualValues(t, 1, state(t, js, jobstream.StreamLog).Msgs)
}

func TestAppendWaitsForTheStream(t *testing.T) {
	t.Parallel()
	js := bare(t)
	done := make(chan error, 1)
	go func() {
		_, err := jobstream.NewLog(js).Append(t.Context(), event("x"))
		done <- err
	}()
	require.NoError(t, jobstream.Setup(t.Context(), js, jobstream.Config{}))
	require.NoError(t, receive(t, done))
}

func TestAppendGivesUpWithItsContextAndSaysWhy(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := jobstream.NewLog(bare(t)).Append(ctx, event("x"))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "sluice.events."+sender)
}

func TestAppendRefusesWhatHasNoPlace(t *testing.T) {
	t.Parallel()
	log := jobstream.NewLog(bare(t))
	for _, e := range []delivery.Event{{}, {ID: "x"}, {ID: "x", Type: "a b"}, {Type: delivery.EventSent}} {
		_, err := log.Append(t.Context(), e)
		require.Error(t, err)
	}
	for _, i := range []delivery.Intent{{}, {Token: "x"}, {Job: job("a", delivery.Low)}} {
		_, err := log.Intent(t.Context(), i)
		require.Error(t, err)
	}
}

func TestFullLogIsAnErrorAtOnce(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{})
	setLogBound(t, js, 1)
	log := jobstream.NewLog(js)
	_, err := log.Append(t.Context(), event("a"))
	require.NoError(t, err)
	start := time.Now()
	_, err = log.Append(t.Context(), event("b"))
	require.ErrorIs(t, err, jobstream.ErrFull)
	require.Less(t, time.Since(start), 5*time.Second)
	seq, err := log.Append(t.Context(), event("a")) // and what is there is still recognised
	require.NoError(t, err)
	require.EqualValues(t, 1, seq)
}

func TestFollowHandsOverInOrderInBatches(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{})
	log := jobstream.NewLog(js)
	_, err := log.Append(t.Context(), event("e1"))
	require.NoError(t, err)
	_, err = log.Intent(t.Context(), intent("i2"))
	require.NoError(t, err)
	publishRaw(t, js, "sluice.events.-.sent", []byte(`no event`))
	publishRaw(t, js, "sluice.intents."+sender+".j", []byte(`{}`))
	for i := 5; i <= 20; i++ {
		_, err := log.Append(t.Context(), event(fmt.Sprint("e", i)))
		require.NoError(t, err)
	}

	enough := errors.New("enough")
	var got []delivery.Entry
	most := 0
	err = log.Follow(t.Context(), 0, 7, func(_ context.Context, batch []delivery.Entry) error {
		most = max(most, len(batch))
		if got = append(got, batch...); len(got) >= 20 {
			return enough
		}
		return nil
	})
	require.Equal(t, enough, err)
	require.Equal(t, 7, most)
	for i, entry := range got {
		require.EqualValues(t, i+1, entry.Seq)
		require.WithinDuration(t, time.Now(), entry.Time, time.Minute)
	}
	require.Equal(t, "e1", got[0].Event.ID)
	require.Equal(t, "i2", got[1].Intent.Token)
	for _, broken := range got[2:4] {
		require.Nil(t, broken.Event)
		require.Nil(t, broken.Intent)
	}
	require.Equal(t, "e20", got[19].Event.ID)
}

func TestFollowStartsWhereAskedAndEndsWithItsContext(t *testing.T) {
	t.Parallel()
	log := jobstream.NewLog(ready(t, jobstream.Config{}))
	for i := range 3 {
		_, err := log.Append(t.Context(), event(fmt.Sprint(i)))
		require.NoError(t, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	seen, done := make(chan uint64, 8), make(chan error, 1)
	go func() {
		done <- log.Follow(ctx, 3, 100, func(_ context.Context, batch []delivery.Entry) error {
			for _, e := range batch {
				seen <- e.Seq
			}
			return nil
		})
	}()
	require.EqualValues(t, 3, receive(t, seen))
	_, err := log.Append(t.Context(), event("later"))
	require.NoError(t, err)
	require.EqualValues(t, 4, receive(t, seen))
	cancel()
	require.ErrorIs(t, receive(t, done), context.Canceled)
}

func TestFollowGoesOnAfterARestartOfTheServer(t *testing.T) {
	t.Parallel()
	cfg := embedded.NATSConfig{Dir: t.TempDir(), Addr: "127.0.0.1:0"}
	srv, err := embedded.StartNATS(t.Context(), cfg)
	require.NoError(t, err)
	cfg.Addr = srv.URL()[len("nats://"):]
	conn, err := nats.Connect(srv.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	require.NoError(t, jobstream.Setup(t.Context(), js, jobstream.Config{}))
	log := jobstream.NewLog(js)

	ctx, cancel := context.WithCancel(t.Context())
	seen, done := make(chan uint64, 64), make(chan error, 1)
	go func() {
		done <- log.Follow(ctx, 1, 100, func(_ context.Context, batch []delivery.Entry) error {
			for _, e := range batch {
				seen <- e.Seq
			}
			return nil
		})
	}()
	next := uint64(0)
	for round := range 3 {
		for i := range 10 {
			_, err := log.Append(t.Context(), event(fmt.Sprint(round, "-", i)))
			require.NoError(t, err)
		}
		for range 10 {
			next++
			require.Equal(t, next, receive(t, seen))
		}
		srv.Close()
		srv, err = embedded.StartNATS(t.Context(), cfg)
		require.NoError(t, err)
	}
	cancel()
	require.ErrorIs(t, receive(t, done), context.Canceled)
	require.Empty(t, seen)
	conn.Close()
	srv.Close()
}
