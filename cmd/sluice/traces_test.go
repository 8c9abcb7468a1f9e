package main_test

import (
	"bytes"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collector receives spans over OTLP, as a real one does.
type collector struct {
	*httptest.Server
	mu    sync.Mutex
	spans map[string][]string // names, by trace
	links map[string][]string // other traces, by trace
	text  []byte              // everything that came
}

func startCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{spans: map[string][]string{}, links: map[string][]string{}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(r.Body)
		var request coltrace.ExportTraceServiceRequest
		if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(data, &request) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.text = append(c.text, data...)
		for _, resource := range request.GetResourceSpans() {
			for _, scope := range resource.GetScopeSpans() {
				for _, span := range scope.GetSpans() {
					id := hex.EncodeToString(span.GetTraceId())
					c.spans[id] = append(c.spans[id], span.GetName())
					for _, link := range span.GetLinks() {
						c.links[id] = append(c.links[id], hex.EncodeToString(link.GetTraceId()))
					}
				}
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// TestOneTraceFromPublishToCallback follows a job that a client traces, and one
// that parks in between.
func TestOneTraceFromPublishToCallback(t *testing.T) {
	t.Parallel()
	c := startCollector(t)
	h := startHouse(t, quick(t).with("OTEL_EXPORTER_OTLP_ENDPOINT", c.URL, "SLUICE_DEFAULT_LIMIT", "1", "SLUICE_WINDOW", "8s"))
	h.provider.faults(fields{"callback_delay": "500ms"}) // the state shows the attempt by then
	traces := map[string]string{
		"goes":  "4bf92f3577b34da6a3ce929d0e0e4736",
		"waits": "5bf92f3577b34da6a3ce929d0e0e4736",
	}
	for i, id := range []string{"goes", "waits"} {
		req, err := http.NewRequest(http.MethodPost, h.API+"/v1/jobs", bytes.NewReader(notice(id, alpha, i+1).json()))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("traceparent", "00-"+traces[id]+"-00f067aa0ba902b7-01")
		a, err := h.api.send(req)
		require.NoError(t, err)
		require.Equal(t, http.StatusAccepted, a.status, "%s", a.body)
		if id == "goes" {
			h.api.await(id, "delivered", "read")
		}
	}
	record := h.api.await("waits", "delivered", "read")
	require.Contains(t, record.types(), "parked")
	code, _ := h.terminate()
	require.Zero(t, code)

	c.mu.Lock()
	defer c.mu.Unlock()
	for id, trace := range traces {
		for _, name := range []string{"publish", "dispatch", "admit", "POST", "callback"} {
			require.Contains(t, c.spans[trace], name, "%s: %v", id, c.spans)
		}
	}
	for _, private := range []string{customer(1)[10:], customer(2)[10:], "sandbox"} {
		require.NotContains(t, string(c.text), private)
	}
}

// TestARedriveLinksToTheTraceBefore: what is taken up again has a trace of its
// own, from which one finds back to why that was needed.
func TestARedriveLinksToTheTraceBefore(t *testing.T) {
	t.Parallel()
	c := startCollector(t)
	h := startHouse(t, quick(t).with("OTEL_EXPORTER_OTLP_ENDPOINT", c.URL))
	h.provider.faults(fields{"reset": 1})
	h.api.post(notice("doubtful", alpha, 1).with("on_unknown", "hold"))
	first := h.api.await("doubtful", "held")
	h.provider.faults(fields{})
	h.api.must(http.MethodPost, "/v1/jobs/doubtful/redrive", nil, nil)
	second := h.api.await("doubtful", "delivered", "read")
	require.Equal(t, first.Attempt+1, second.Attempt)
	code, _ := h.terminate()
	require.Zero(t, code)

	before, after := first.trace(t, 1), second.trace(t, 2)
	require.NotEqual(t, before, after)
	c.mu.Lock()
	defer c.mu.Unlock()
	require.Contains(t, c.spans[before], "POST")
	for _, name := range []string{"redrive", "dispatch", "POST"} {
		require.Contains(t, c.spans[after], name, "%v", c.spans)
	}
	require.Equal(t, []string{before}, c.links[after])
}

// trace is the trace that an attempt was sent under.
func (r record) trace(t *testing.T, attempt int) string {
	t.Helper()
	for _, e := range r.Timeline {
		if parts := strings.Split(e.Traceparent, "-"); e.Attempt == attempt && len(parts) == 4 {
			return parts[1]
		}
	}
	require.FailNow(t, "no trace", "attempt %d: %+v", attempt, r.Timeline)
	return ""
}

// TestAnAbsentCollectorCostsNothing but the spans.
func TestAnAbsentCollectorCostsNothing(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t).with("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+fixedAddr(t)))
	h.api.post(notice("goes", alpha, 1))
	h.api.await("goes", "delivered", "read")
	code, _ := h.terminate()
	require.Zero(t, code)
}
