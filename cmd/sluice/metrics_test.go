package main_test

import (
	"net/http"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
)

// contractMetrics are the names that dashboards and alerts are built on, with
// their labels.
var contractMetrics = map[string][]string{
	"sluice_jobs_total": {"state"}, "sluice_send_seconds": nil, "sluice_publish_to_send_seconds": nil,
	"sluice_admissions_total": {"outcome"}, "sluice_window_used": {"pool"}, "sluice_window_limit": {"pool"},
	"sluice_parked": {"pool", "priority"}, "sluice_parked_oldest_seconds": {"pool"}, "sluice_backlog_ready": nil,
	"sluice_callbacks_total": {"kind", "result"}, "sluice_unknown_total": {"resolution"}, "sluice_duplicates_total": nil,
	"sluice_pool_foreign_total": nil, "sluice_provider_errors_total": {"code"}, "sluice_gate_open": nil,
	"sluice_tracker_lag": {"consumer"},

	"sluice_sender_paused": {"sender"}, "sluice_sender_mps": {"sender"}, "sluice_backlog_oldest_seconds": nil,
}

// scrape reads the metrics as Prometheus does.
func scrape(t *testing.T, s *site) map[string]*dto.MetricFamily {
	t.Helper()
	a := s.do(http.MethodGet, "/metrics", nil)
	require.Equal(t, http.StatusOK, a.status)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(string(a.body)))
	require.NoError(t, err)
	return families
}

// TestMetrics finds every name with its labels after a small run, and no
// customer or job in any of them.
func TestMetrics(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t).with("SLUICE_WINDOW", "1h", "SLUICE_DEFAULT_LIMIT", "1"))
	require.Equal(t, http.StatusAccepted, h.api.post(notice("order-17", alpha, 1)).status)
	h.api.await("order-17", "delivered", "read")
	require.Equal(t, http.StatusAccepted, h.api.post(notice("order-18", alpha, 2)).status)
	h.api.await("order-18", "parked")
	h.api.must(http.MethodPost, "/v1/senders/"+alpha+"/pause", fields{"reason": "test"}, nil)

	found := scrape(t, h.api)
	for name, labels := range contractMetrics {
		family := found[name]
		require.NotNil(t, family, name)
		require.NotEmpty(t, family.GetHelp(), name)
		for _, m := range family.GetMetric() {
			var names []string
			for _, label := range m.GetLabel() {
				names = append(names, label.GetName())
				for _, private := range []string{customer(1), customer(2), "order-17", "order-18"} {
					require.NotContains(t, label.GetValue(), strings.TrimPrefix(private, "whatsapp:+"), name)
				}
			}
			require.ElementsMatch(t, labels, names, name)
		}
	}
	for name := range found {
		if strings.HasPrefix(name, "sluice_") {
			require.Contains(t, contractMetrics, name, "a metric that nobody has written down")
		}
	}
	require.EqualValues(t, 1, sample(found, "sluice_gate_open").GetGauge().GetValue())
	require.EqualValues(t, 1, sample(found, "sluice_window_used").GetGauge().GetValue())
	require.EqualValues(t, 1, sample(found, "sluice_window_limit").GetGauge().GetValue())
	require.EqualValues(t, 1, sample(found, "sluice_sender_paused").GetGauge().GetValue())
	require.EqualValues(t, 1, sample(found, "sluice_parked", "priority", "normal").GetGauge().GetValue())
	require.EqualValues(t, 1, sample(found, "sluice_jobs_total", "state", "parked").GetGauge().GetValue())
	require.EqualValues(t, 1, sample(found, "sluice_send_seconds").GetHistogram().GetSampleCount())
	require.EqualValues(t, 1, sample(found, "sluice_admissions_total", "outcome", "go").GetCounter().GetValue())
	require.GreaterOrEqual(t, sample(found, "sluice_callbacks_total", "kind", "status", "result", "stored").GetCounter().GetValue(), 2.0)
	require.Contains(t, scrape(t, newSite(t, h.Admin)), "sluice_gate_open", "the admin address serves them too")
}

// sample is the one with these labels, given as pairs, empty if there is none.
func sample(found map[string]*dto.MetricFamily, name string, pairs ...string) *dto.Metric {
next:
	for _, m := range found[name].GetMetric() {
		for i := 0; i+1 < len(pairs); i += 2 {
			for _, label := range m.GetLabel() {
				if label.GetName() == pairs[i] && label.GetValue() != pairs[i+1] {
					continue next
				}
			}
		}
		return m
	}
	return &dto.Metric{}
}
