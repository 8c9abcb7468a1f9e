package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/sluicehq/sluice/delivery/ledger"
)

// lastSpans is how long an ending process tries to get its last spans out.
const lastSpans = 3 * time.Second

// startTraces exports what is traced, where the settings name a collector. An
// absent collector costs spans and nothing else.
func startTraces(ctx context.Context, cfg Config) (stop func(), err error) {
	if cfg.OTLPEndpoint == "" {
		return func() {}, nil
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(strings.TrimRight(cfg.OTLPEndpoint, "/")+"/v1/traces"))
	if err != nil {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_ENDPOINT: %w", err)
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "sluice"), attribute.String("service.version", currentVersion()),
		)),
	)
	otel.SetTracerProvider(provider)
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), lastSpans)
		defer cancel()
		_ = provider.Shutdown(ctx) // the spans are lost, and nothing else
	}, nil
}

// sentUnder finds the traceparent of an attempt in the job's state; nil where
// nothing is traced, so that callbacks do not pay for it.
func (s *system) sentUnder() func(ctx context.Context, job string, attempt int) string {
	if s.cfg.OTLPEndpoint == "" {
		return nil
	}
	return func(ctx context.Context, job string, attempt int) string {
		return traceOf(ctx, s.ledger, job, attempt)
	}
}

// traceOf is empty while the state does not show the attempt: its callback then
// is a trace of its own.
func traceOf(ctx context.Context, states *ledger.Ledger, job string, attempt int) string {
	record, found, err := states.Get(ctx, job)
	if err != nil || !found {
		return ""
	}
	for _, e := range record.Timeline {
		if e.Attempt == attempt && e.Trace != "" {
			return e.Trace
		}
	}
	return ""
}
