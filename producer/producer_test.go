package producer_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/producer"
)

func TestPublishStoresAValidJob(t *testing.T) {
	t.Parallel()
	js, stream := newQueue(t, -1)
	given := job("order-1")
	given.Category = delivery.Authentication
	given.SendAt = time.Date(2026, 3, 1, 10, 0, 0, 5, time.FixedZone("CET", 3600))

	receipt, err := producer.New(js).Publish(t.Context(), given)
	require.NoError(t, err)
	require.Equal(t, producer.Receipt{ID: "order-1"}, receipt)

	message, header := published(t, stream, 1)
	require.Equal(t, "sluice.jobs.high.4915112345678", message.Subject)
	require.Equal(t, "order-1", message.MsgID)
	require.Empty(t, header.Get(delivery.HeaderAnnounced))
	read, err := message.Job()
	require.NoError(t, err)
	require.Equal(t, given.WithDefaults("").Digest(), read.Digest())
	require.True(t, given.SendAt.Equal(read.SendAt))
}

func TestPublishGivesAnID(t *testing.T) {
	t.Parallel()
	js, stream := newQueue(t, -1)
	receipt, err := producer.New(js, producer.WithAnnounced()).Publish(t.Context(), job(""))
	require.NoError(t, err)

	id, err := uuid.Parse(receipt.ID)
	require.NoError(t, err)
	require.Equal(t, uuid.Version(7), id.Version())
	message, header := published(t, stream, 1)
	require.Equal(t, receipt.ID, message.MsgID)
	require.Equal(t, "1", header.Get(delivery.HeaderAnnounced))
	read, err := message.Job()
	require.NoError(t, err)
	require.Equal(t, receipt.ID, read.ID)
}

func TestPublishRefusesABadJob(t *testing.T) {
	t.Parallel()
	js, stream := newQueue(t, -1)
	bad := job("order-1")
	bad.To = "4915187654321"
	late := job("order-2")
	late.ExpiresAt = time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -3600)) // year 10000 in UTC

	for field, j := range map[string]producer.Job{"to": bad, "expires_at": late} {
		receipt, err := producer.New(js).Publish(t.Context(), j)
		var wrong *producer.FieldError
		require.ErrorAs(t, err, &wrong)
		require.Equal(t, field, wrong.Field)
		require.Equal(t, j.ID, receipt.ID)
	}
	require.Zero(t, stored(t, stream))
}

func TestSameIDIsOneMessage(t *testing.T) {
	t.Parallel()
	js, stream := newQueue(t, -1)
	p := producer.New(js)
	for i := range 10 {
		receipt, err := p.Publish(t.Context(), job("order-1"))
		require.NoError(t, err)
		require.Equal(t, i > 0, receipt.Duplicate)
	}
	require.EqualValues(t, 1, stored(t, stream))
}

func TestSameIDWithOtherContentIsAConflictWhileItIsQueued(t *testing.T) {
	t.Parallel()
	js, stream := newQueue(t, -1)
	p := producer.New(js)
	_, err := p.Publish(t.Context(), job("order-1"))
	require.NoError(t, err)

	other := job("order-1")
	other.Body = "something else"
	receipt, err := p.Publish(t.Context(), other)
	require.ErrorIs(t, err, producer.ErrConflict)
	require.Equal(t, "order-1", receipt.ID)
	require.EqualValues(t, 1, stored(t, stream))

	require.NoError(t, stream.Purge(t.Context()), "a dispatcher takes the job")
	receipt, err = p.Publish(t.Context(), other)
	require.NoError(t, err)
	require.True(t, receipt.Duplicate)
	require.True(t, receipt.Taken, "nobody can tell any more")

	receipt, err = p.PublishAgain(t.Context(), other)
	require.NoError(t, err)
	require.False(t, receipt.Duplicate)
	require.EqualValues(t, 1, stored(t, stream))
}

func TestFullQueueRefuses(t *testing.T) {
	t.Parallel()
	js, stream := newQueue(t, 1)
	p := producer.New(js)
	_, err := p.Publish(t.Context(), job("first"))
	require.NoError(t, err)

	receipt, err := p.Publish(t.Context(), job("second"))
	require.ErrorIs(t, err, producer.ErrQueueFull)
	require.NotErrorIs(t, err, producer.ErrUnavailable)
	require.Equal(t, "second", receipt.ID)

	receipt, err = p.Publish(t.Context(), job("first"))
	require.NoError(t, err, "what is stored stays accepted in a full queue")
	require.True(t, receipt.Duplicate)
	require.EqualValues(t, 1, stored(t, stream))
}

func TestTooLargeForTheServer(t *testing.T) {
	t.Parallel()
	js, _ := newQueue(t, -1)
	large := job("order-1")
	large.ContentSID = "HX" + strings.Repeat("0", 32)
	large.ContentVariables = producer.Variables{"1": strings.Repeat("x", 2<<20)}
	_, err := producer.New(js).Publish(t.Context(), large)
	require.ErrorIs(t, err, producer.ErrTooLarge)
}

func TestServerThatReturnsInTimeGetsTheJob(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := runServer(t, dir, -1)
	port := first.Addr().(*net.TCPAddr).Port
	js := connect(t, first)
	createQueue(t, js, -1)

	disconnected := js.Conn().StatusChanged(nats.RECONNECTING)
	stopServer(first)
	<-disconnected

	type outcome struct {
		receipt producer.Receipt
		err     error
	}
	done := make(chan outcome, 1)
	go func() {
		receipt, err := producer.New(js).Publish(context.WithoutCancel(t.Context()), job("order-1"))
		done <- outcome{receipt, err}
	}()
	runServer(t, dir, port)

	got := <-done
	require.NoError(t, got.err)
	require.Equal(t, "order-1", got.receipt.ID)
	stream, err := js.Stream(t.Context(), "SLUICE_JOBS")
	require.NoError(t, err)
	require.EqualValues(t, 1, stored(t, stream))
}

func TestCanceledBeforeTheFirstTryPublishesNothing(t *testing.T) {
	t.Parallel()
	js, stream := newQueue(t, -1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	receipt, err := producer.New(js).Publish(ctx, job(""))
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, producer.ErrUnavailable, "nothing can be stored")
	require.NotEmpty(t, receipt.ID)
	require.Zero(t, stored(t, stream))
}

func TestClosedConnectionIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	js, _ := newQueue(t, -1)
	js.Conn().Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err := producer.New(js).Publish(ctx, job("order-1"))
	require.ErrorIs(t, err, producer.ErrUnavailable)
	require.NoError(t, ctx.Err())
}

func TestBatchAnswersInOrder(t *testing.T) {
	t.Parallel()
	js, stream := newQueue(t, 2)
	bad := job("bad")
	bad.To = ""
	results, err := producer.New(js, producer.WithInFlight(1)).PublishBatch(t.Context(),
		[]producer.Job{job("a"), bad, job("a"), job("b"), job("c"), job("")})
	require.NoError(t, err)
	require.Len(t, results, 6)
	require.Equal(t, producer.Result{Receipt: producer.Receipt{ID: "a"}}, results[0])
	var wrong *producer.FieldError
	require.ErrorAs(t, results[1].Err, &wrong)
	require.Equal(t, producer.Result{Receipt: producer.Receipt{ID: "a", Duplicate: true}}, results[2])
	require.Equal(t, producer.Result{Receipt: producer.Receipt{ID: "b"}}, results[3])
	require.ErrorIs(t, results[4].Err, producer.ErrQueueFull)
	require.ErrorIs(t, results[5].Err, producer.ErrQueueFull)
	require.NotEmpty(t, results[5].ID)
	require.EqualValues(t, 2, stored(t, stream))
}

func TestBatchOfManyIsStoredWhole(t *testing.T) {
	t.Parallel()
	js, stream := newQueue(t, -1)
	results, err := producer.New(js).PublishBatch(t.Context(), make2000())
	require.NoError(t, err)
	ids := map[string]bool{}
	for _, r := range results {
		require.NoError(t, r.Err)
		require.False(t, ids[r.ID])
		ids[r.ID] = true
	}
	require.EqualValues(t, 2000, stored(t, stream))
}

func make2000() []producer.Job {
	jobs := make([]producer.Job, 2000)
	for i := range jobs {
		jobs[i] = job("")
	}
	return jobs
}
