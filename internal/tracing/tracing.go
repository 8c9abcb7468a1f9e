// Package tracing carries a trace from where a job is published to where the
// provider calls back. In between the context is a string, the traceparent of
// W3C Trace Context: in the header of a queued job and in the log's intent.
//
// Without a tracer set by the program every call here does next to nothing.
package tracing

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Header names the traceparent in a message of NATS, as in HTTP.
const Header = "traceparent"

var (
	tracer = otel.Tracer("github.com/sluicehq/sluice")
	format = propagation.TraceContext{}
)

// Of is the traceparent of ctx, empty where nothing is traced.
func Of(ctx context.Context) string {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return ""
	}
	carrier := propagation.MapCarrier{}
	format.Inject(ctx, carrier)
	return carrier[Header]
}

// With is ctx as a part of the trace that traceparent names. Anything that is
// no traceparent changes nothing.
func With(ctx context.Context, traceparent string) context.Context {
	if traceparent == "" {
		return ctx
	}
	return format.Extract(ctx, propagation.MapCarrier{Header: traceparent})
}

// WithRequest is [With] for what an HTTP client sent.
func WithRequest(ctx context.Context, h http.Header) context.Context {
	return With(ctx, h.Get(Header))
}

// Span is one step of a job. End it once.
type Span struct{ span trace.Span }

// Start begins a step of a job. Neither the customer's address nor a text
// belongs into it.
func Start(ctx context.Context, name, job string, kind trace.SpanKind) (context.Context, Span) {
	ctx, span := tracer.Start(ctx, name, trace.WithSpanKind(kind))
	if span.IsRecording() {
		span.SetAttributes(attribute.String("sluice.job", job))
	}
	return ctx, Span{span}
}

// Again begins the trace of a job that is taken up again: one of its own, with
// links to those that it was sent under before, given as traceparents. What is
// no traceparent is left out.
func Again(ctx context.Context, name, job string, before []string) (context.Context, Span) {
	options := []trace.SpanStartOption{trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindProducer)}
	seen := map[trace.TraceID]bool{}
	for _, traceparent := range before {
		earlier := trace.SpanContextFromContext(With(context.Background(), traceparent))
		if id := earlier.TraceID(); earlier.IsValid() && !seen[id] {
			seen[id] = true
			options = append(options, trace.WithLinks(trace.Link{SpanContext: earlier}))
		}
	}
	ctx, span := tracer.Start(ctx, name, options...)
	if span.IsRecording() {
		span.SetAttributes(attribute.String("sluice.job", job))
	}
	return ctx, Span{span}
}

// Note adds what came of the step.
func (s Span) Note(key, value string) {
	if s.span.IsRecording() {
		s.span.SetAttributes(attribute.String(key, value))
	}
}

// End ends the step, as failed with an error.
func (s Span) End(err error) {
	if err != nil && s.span.IsRecording() {
		s.span.SetStatus(codes.Error, err.Error())
	}
	s.span.End()
}
