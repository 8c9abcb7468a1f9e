package tracing_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/internal/tracing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func TestTheContextIsAString(t *testing.T) {
	t.Parallel()
	require.Empty(t, tracing.Of(t.Context()))
	require.Equal(t, parent, tracing.Of(tracing.With(t.Context(), parent)))
	require.Equal(t, parent, tracing.Of(tracing.WithRequest(t.Context(), http.Header{"Traceparent": {parent}})))
	for _, wrong := range []string{"", "x", "00-0-0-0", parent + "\n"} {
		require.Empty(t, tracing.Of(tracing.With(t.Context(), wrong)), wrong)
	}
}

// TestWithoutATracer a step carries the context of its parent on, and costs no
// memory but its own.
func TestWithoutATracer(t *testing.T) {
	t.Parallel()
	ctx, span := tracing.Start(tracing.With(t.Context(), parent), "publish", "order-17", trace.SpanKindProducer)
	span.Note("outcome", "go")
	span.End(errors.New("failed"))
	require.Equal(t, parent, tracing.Of(ctx))
}

// TestAgain leaves the traces before alone, whatever they are called.
func TestAgain(t *testing.T) {
	t.Parallel()
	ctx, span := tracing.Again(t.Context(), "redrive", "order-17", []string{"", "x", parent, parent})
	span.End(nil)
	require.Empty(t, tracing.Of(ctx), "nothing is traced here")
}

func BenchmarkStepWithoutATracer(b *testing.B) {
	b.ReportAllocs()
	for range b.N {
		_, span := tracing.Start(context.Background(), "publish", "order-17", trace.SpanKindProducer)
		span.End(nil)
	}
}
