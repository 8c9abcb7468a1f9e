package producer_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/producer"
)

func apiError(status int, code jetstream.ErrorCode, text string) error {
	return &jetstream.APIError{Code: status, ErrorCode: code, Description: text}
}

// Every way a try can end, and what becomes of the publish when the stream
// would take the next one.
func TestWhatIsTriedAgain(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		first error
		want  error // nil: published again and stored
	}{
		"time-out":          {context.DeadlineExceeded, nil},
		"nats time-out":     {nats.ErrTimeout, nil},
		"disconnected":      {nats.ErrDisconnected, nil},
		"no leader":         {jetstream.ErrNoStreamResponse, nil},
		"in process":        {apiError(409, 10158, "duplicate message id is in process"), nil},
		"unavailable":       {apiError(503, 10008, "JetStream system temporarily unavailable"), nil},
		"account not ready": {apiError(503, 10039, "JetStream not enabled for account"), nil},
		"not enabled":       {apiError(503, 10076, "JetStream not enabled"), nil},
		"too many at once":  {apiError(429, 10167, "too many requests"), nil},
		"unreadable answer": {jetstream.ErrInvalidJSAck, nil},
		"never seen":        {errors.New("something new"), nil},
		"messages":          {apiError(503, 10077, "maximum messages exceeded"), producer.ErrQueueFull},
		"bytes":             {apiError(503, 10077, "maximum bytes exceeded"), producer.ErrQueueFull},
		"store":             {apiError(503, 10077, "write failed"), producer.ErrNoSpace},
		"server store":      {apiError(503, 10023, "insufficient resources"), producer.ErrNoSpace},
		"account store":     {apiError(400, 10002, "resource limits exceeded for account"), producer.ErrNoSpace},
		"too large":         {apiError(400, 10054, "message size exceeds maximum allowed"), producer.ErrTooLarge},
		"closed":            {nats.ErrConnectionClosed, producer.ErrUnavailable},
		"draining":          {nats.ErrConnectionDraining, producer.ErrUnavailable},
		"other stream":      {apiError(400, 10060, "expected stream does not match"), apiError(400, 10060, "")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var ids []string
				js := scripted{publish: func(_ context.Context, msg *nats.Msg) (*jetstream.PubAck, error) {
					if ids = append(ids, msg.Header.Get(jetstream.MsgIDHeader)); len(ids) == 1 {
						return nil, tc.first
					}
					return &jetstream.PubAck{Stream: "SLUICE_JOBS", Duplicate: true}, nil
				}}
				receipt, err := producer.New(js).Publish(t.Context(), job("order-1"))
				if tc.want != nil {
					require.ErrorIs(t, err, tc.want)
					require.Len(t, ids, 1)
					return
				}
				require.NoError(t, err)
				require.Equal(t, producer.Receipt{ID: "order-1", Duplicate: true, Taken: true}, receipt)
				require.Equal(t, []string{"order-1", "order-1"}, ids)
			})
		})
	}
}

// silent answers nothing before the try's own time is up.
var silent = scripted{publish: func(ctx context.Context, _ *nats.Msg) (*jetstream.PubAck, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}}

func TestPatienceEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, err := producer.New(silent).Publish(t.Context(), job("order-1"))
		require.ErrorIs(t, err, producer.ErrUnavailable)
		require.NotErrorIs(t, err, context.DeadlineExceeded, "the caller set no deadline")
		require.Equal(t, 30*time.Second, time.Since(start))
	})
}

func TestNeverBeyondTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
		defer cancel()
		start := time.Now()
		_, err := producer.New(silent, producer.WithRetryFor(time.Hour)).Publish(ctx, job("order-1"))
		require.ErrorIs(t, err, producer.ErrUnavailable)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 7*time.Second, time.Since(start))
	})
}

func TestBatchStopsWhenNobodyIsAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		results, err := producer.New(silent, producer.WithInFlight(4)).PublishBatch(t.Context(), make2000())
		require.ErrorIs(t, err, producer.ErrUnavailable)
		require.Equal(t, 30*time.Second, time.Since(start))
		for _, r := range results {
			require.ErrorIs(t, r.Err, producer.ErrUnavailable)
			require.NotEmpty(t, r.ID)
		}
	})
}

func TestBatchGoesOnWhenOneIsNotAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		js := scripted{publish: func(ctx context.Context, msg *nats.Msg) (*jetstream.PubAck, error) {
			if msg.Header.Get(jetstream.MsgIDHeader) == "forbidden" {
				return silent.publish(ctx, msg)
			}
			<-time.After(time.Second) // of the bubble's clock
			return &jetstream.PubAck{Stream: "SLUICE_JOBS"}, nil
		}}
		jobs := append([]producer.Job{job("forbidden")}, make2000()[:200]...)
		results, err := producer.New(js, producer.WithInFlight(2)).PublishBatch(t.Context(), jobs)
		require.NoError(t, err)
		require.ErrorIs(t, results[0].Err, producer.ErrUnavailable)
		for _, r := range results[1:] {
			require.NoError(t, r.Err)
		}
	})
}

func TestBatchKeepsToItsBound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var now, most int
		js := scripted{publish: func(context.Context, *nats.Msg) (*jetstream.PubAck, error) {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			<-time.After(time.Millisecond) // of the bubble's clock
			mu.Lock()
			now--
			mu.Unlock()
			return &jetstream.PubAck{Stream: "SLUICE_JOBS"}, nil
		}}
		_, err := producer.New(js, producer.WithInFlight(7)).PublishBatch(t.Context(), make2000()[:100])
		require.NoError(t, err)
		require.Equal(t, 7, most)
	})
}
