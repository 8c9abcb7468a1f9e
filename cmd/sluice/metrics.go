package main

import (
	"net/http"
	"net/http/pprof"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/ratelimit"
)

// metrics are the counters that the roles write. No label carries a customer's
// address or a job's id.
type metrics struct {
	registry      *prometheus.Registry
	admissions    *prometheus.CounterVec
	sendSeconds   prometheus.Histogram
	toSendSeconds prometheus.Histogram
	errors        *prometheus.CounterVec
	unknown       *prometheus.CounterVec
	duplicates    prometheus.Counter
	foreign       prometheus.Counter
	callbacks     *prometheus.CounterVec
}

// processMetrics are those of any Go program.
func processMetrics() *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func newMetrics() *metrics {
	m := &metrics{
		registry: processMetrics().registry,
		admissions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_admissions_total", Help: "Answers of the gate, by outcome."}, []string{"outcome"}),
		sendSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "sluice_send_seconds", Help: "Time of one request to the provider.", Buckets: prometheus.ExponentialBuckets(0.005, 2, 13)}),
		toSendSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "sluice_publish_to_send_seconds", Help: "Time from publishing a job to its send.", Buckets: prometheus.ExponentialBuckets(0.005, 4, 13)}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_provider_errors_total", Help: "Refusals of the provider, and failures it told by callback, by error code; 0: without one."}, []string{"code"}),
		unknown: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_unknown_total", Help: "Unclear outcomes, by how they were resolved."}, []string{"resolution"}),
		duplicates: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sluice_duplicates_total", Help: "Messages that the provider has taken for a job beside its first one."}),
		foreign: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sluice_pool_foreign_total", Help: "Refusals for a messaging limit that was not used up here: others send through the same portfolio."}),
		callbacks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_callbacks_total", Help: "Callbacks of the provider, by kind and result."}, []string{"kind", "result"}),
	}
	m.registry.MustRegister(m.admissions, m.sendSeconds, m.toSendSeconds, m.errors, m.unknown, m.duplicates, m.foreign, m.callbacks)
	m.startAtZero()
	return m
}

// startAtZero makes the series that alerts watch, so that the first event of
// each is a rise.
func (m *metrics) startAtZero() {
	for _, outcome := range []ratelimit.Outcome{ratelimit.OutcomeGo, ratelimit.OutcomePark} {
		m.admissions.WithLabelValues(string(outcome))
	}
	m.errors.WithLabelValues("0")
	for _, resolution := range []string{"callback", "found", "not_sent", string(delivery.EventHeld), string(delivery.EventScheduled)} {
		m.unknown.WithLabelValues(resolution)
	}
	for _, kind := range []string{"status", "inbound", "fallback"} {
		for _, result := range []string{"stored", "forbidden", "failed"} {
			m.callbacks.WithLabelValues(kind, result)
		}
	}
}

// Admitted counts an answer of the gate.
func (m *metrics) Admitted(outcome string) { m.admissions.WithLabelValues(outcome).Inc() }

// Posted measures a request to the provider; code 0 is success or a failure
// without a code.
func (m *metrics) Posted(took, sincePublished time.Duration, code int, failed bool) {
	m.sendSeconds.Observe(took.Seconds())
	m.toSendSeconds.Observe(sincePublished.Seconds())
	if failed {
		m.errors.WithLabelValues(strconv.Itoa(code)).Inc()
	}
}

// Failed counts an error that a status callback told.
func (m *metrics) Failed(code int) { m.errors.WithLabelValues(strconv.Itoa(code)).Inc() }

// Resolved counts the end of an unclear outcome.
func (m *metrics) Resolved(how string) { m.unknown.WithLabelValues(how).Inc() }

// Observe counts a callback.
func (m *metrics) Observe(kind, result string) { m.callbacks.WithLabelValues(kind, result).Inc() }

// handler serves the metrics.
func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// health is what every role serves beside its work.
func (m *metrics) health(ready func() error) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.handler())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := ready(); err != nil {
			http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ready\n"))
	})
	return mux
}

// admin adds the profiler to the health endpoints.
func (m *metrics) admin(ready func() error) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", m.health(ready))
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}
