package messaging_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/messaging"
)

func TestCancelWhileTheProviderThinks(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{}, 2)
	client := provider(t, messaging.Config{}, func(_ http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		arrived <- struct{}{}
		<-r.Context().Done()
	})
	stop := errors.New("shutting down")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() { <-arrived; cancel(stop) }()
	_, err := client.Create(ctx, messaging.Message{To: opaque})
	failure := requireFailure(t, err)
	require.Equal(t, messaging.Unknown, failure.Class)
	require.True(t, failure.Written)
	require.ErrorIs(t, err, stop)
}

func TestContextOverBeforeTheCall(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	client := provider(t, messaging.Config{}, func(http.ResponseWriter, *http.Request) { calls.Add(1) })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := client.Create(ctx, messaging.Message{To: opaque})
	failure := requireFailure(t, err)
	require.Equal(t, messaging.Retry, failure.Class)
	require.False(t, failure.Written)
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, calls.Load())
}

func TestWaitingForAConnectionIsPartOfTheTimeout(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	arrived, held := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(held) })
	t.Cleanup(release)
	client := provider(t, messaging.Config{MaxConns: 1}, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		arrived <- struct{}{}
		<-held
		_, _ = io.WriteString(w, `{"sid":"SM1"}`)
	})
	first := make(chan error, 1)
	go func() {
		_, err := client.Create(t.Context(), messaging.Message{To: opaque})
		first <- err
	}()
	<-arrived
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := client.Create(ctx, messaging.Message{To: opaque})
	failure := requireFailure(t, err)
	require.Equal(t, messaging.Retry, failure.Class)
	require.False(t, failure.Written)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	release()
	require.NoError(t, <-first)
	require.EqualValues(t, 1, calls.Load())
}

func TestLocalRateIsPartOfTheTimeout(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	client := provider(t, messaging.Config{RequestsPerSecond: 0.01, Timeout: time.Second}, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		_, _ = io.WriteString(w, `{"sid":"SM1"}`)
	})
	_, err := client.Create(t.Context(), messaging.Message{To: opaque})
	require.NoError(t, err)
	_, err = client.Create(t.Context(), messaging.Message{To: opaque})
	failure := requireFailure(t, err)
	require.Equal(t, messaging.Retry, failure.Class)
	require.False(t, failure.Written)
	require.EqualValues(t, 1, calls.Load())
}

// After a suspend the wall clock is far ahead while the context still has time.
func TestNothingIsSentPastTheDeadlineOnTheWallClock(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	client := provider(t, messaging.Config{}, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		_, _ = io.WriteString(w, `{"sid":"SM1"}`)
	})
	client.SetClock(func() time.Time { return time.Now().Add(time.Hour) })
	_, err := client.Create(t.Context(), messaging.Message{To: opaque})
	failure := requireFailure(t, err)
	require.Equal(t, messaging.Retry, failure.Class)
	require.False(t, failure.Written)
	require.Zero(t, calls.Load())

	client.SetClock(time.Now)
	_, err = client.Create(t.Context(), messaging.Message{To: opaque})
	require.NoError(t, err)
}
