package dashboard_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
)

// counts is an answer of GET /v1/stats without the states that no job has.
func counts(t *testing.T, r reply) string {
	t.Helper()
	require.Equal(t, http.StatusOK, r.status, r.text)
	var stats struct {
		States map[string]int64
		Errors map[string]int64
		Series []struct {
			At     string
			States map[string]int64
		}
	}
	require.NoError(t, json.Unmarshal([]byte(r.text), &stats))
	text := &strings.Builder{}
	write := func(states map[string]int64) {
		require.Len(t, states, len(delivery.Statuses()))
		for _, s := range delivery.Statuses() {
			if n := states[string(s)]; n > 0 {
				text.WriteString(string(s) + strings.Repeat("+", int(n)) + " ")
			}
		}
	}
	write(stats.States)
	for code := range stats.Errors {
		text.WriteString("!" + code + " ")
	}
	for _, step := range stats.Series {
		text.WriteString("@" + step.At[11:19] + " ")
		write(step.States)
	}
	return strings.TrimSpace(text.String())
}

func TestJobsAreCounted(t *testing.T) {
	t.Parallel()
	w := withJobs(t)
	require.JSONEq(t, `{"states":{"accepted":1,"scheduled":0,"parked":1,"sending":0,"unknown":0,"held":0,"queued":0,"sent":1,
		"delivered":0,"read":0,"undelivered":0,"failed":0,"expired":0,"suppressed":0,"rejected":0,"canceled":0},
		"categories":{"authentication":0,"utility":1,"marketing":2,"service":0},"errors":{}}`,
		w.do("GET", "/v1/stats", "").text)
	w.jobs.records[2].Error = &delivery.Error{Code: 63018}
	for query, want := range map[string]string{
		"":                            "accepted+ parked+ sent+ !63018",
		"from=whatsapp:+15550001111":  "accepted+ sent+",
		"from=15550002222":            "parked+ !63018",
		"since=2026-01-31T13:00:00Z":  "accepted+ parked+ !63018",
		"until=2026-01-31T13:00:00Z&": "sent+",
		"since=2027-01-01T00:00:00Z":  "",
		"step=&since=&until=&from=":   "accepted+ parked+ sent+ !63018",
		"since=2026-01-31T12:00:00%2B01:00&until=2026-01-31T15:00:00Z&step=90m": "accepted+ parked+ sent+ !63018 " +
			"@11:00:00 sent+ @12:30:00 accepted+ @14:00:00 parked+",
	} {
		require.Equal(t, want, counts(t, w.do("GET", "/v1/stats?"+query, "")), query)
	}
}

func TestASeriesEndsNowUnlessToldOtherwise(t *testing.T) {
	t.Parallel()
	w := withJobs(t) // one was created at noon, and it is noon: it is not before now
	require.Equal(t, "@11:00:00 @11:30:00", counts(t, w.do("GET", "/v1/stats?since=2026-01-31T11:00:00Z&step=30m", "")))
	require.Equal(t, "@11:40:00", counts(t, w.do("GET", "/v1/stats?since=2026-01-31T11:40:00Z&step=30m", "")))
}

func TestCountsThatCannotBeMeantAreRefused(t *testing.T) {
	t.Parallel()
	w := withJobs(t)
	for query, field := range map[string]string{
		"step=1h":                                               "since",
		"step=1h&until=2026-01-31T13:00:00Z":                    "since",
		"step=1h&since=2026-01-31T13:00:00Z":                    "since", // it is noon
		"since=2026-01-31T11:00:00Z&step=0s":                    "step",
		"since=2026-01-31T11:00:00Z&step=1ms":                   "step",
		"since=2026-01-31T11:00:00Z&step=-1h":                   "step",
		"since=2026-01-31T11:00:00Z&step=day":                   "step",
		"since=2026-01-31T11:00:00Z&step=7s":                    "step",
		"from=nobody":                                           "from",
		"to=" + customer:                                        "to",
		"status=sent":                                           "status",
		"since=2026-01-31T13:00:00Z&until=2026-01-31T13:00:00Z": "until",
	} {
		w.refused(w.do("GET", "/v1/stats?"+query, ""), 400, "invalid_field", field)
	}
	r := w.do("GET", "/v1/stats?since=2026-01-31T11:00:00Z&step=7s", "")
	require.Contains(t, r.text, "more than 500 steps; the range needs one of at least 8s")
	for step, want := range map[string]int{"7200ms": 500, "8s": 450} {
		r := w.do("GET", "/v1/stats?since=2026-01-31T11:00:00Z&step="+step, "")
		require.Equal(t, want, strings.Count(r.text, `"at"`), step)
	}
}
