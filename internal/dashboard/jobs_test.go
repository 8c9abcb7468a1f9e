package dashboard_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
)

func withJobs(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, "")
	job := delivery.Job{ID: "order-1", From: "whatsapp:+" + sender, To: customer, Category: delivery.Marketing, Metadata: map[string]string{"order": "1"}}
	var one delivery.Record
	one = one.Apply(job.Happened(delivery.EventAccepted, 1, noon, "e1"))
	sent := job.Happened(delivery.EventSent, 1, noon.Add(time.Second), "e2")
	sent.SID = sid
	one = one.Apply(sent)
	job.ID, job.To = "order-2", "whatsapp:+491700000002"
	two := delivery.Record{}.Apply(job.Happened(delivery.EventAccepted, 1, noon.Add(time.Hour), "e3"))
	job.ID, job.From, job.Category = "order-3", "whatsapp:+15550002222", delivery.Utility
	three := delivery.Record{}.Apply(job.Happened(delivery.EventParked, 1, noon.Add(2*time.Hour), "e4"))
	w.jobs.records = []delivery.Record{one, two, three}
	return w
}

func TestAJobIsReadWithItsTimeline(t *testing.T) {
	t.Parallel()
	w := withJobs(t)
	r := w.do("GET", "/v1/jobs/order-1", "")
	require.Equal(t, http.StatusOK, r.status)
	require.Equal(t, "application/json", r.header.Get("Content-Type"))
	require.JSONEq(t, `{"id":"order-1","status":"sent","attempt":1,"from":"whatsapp:+15550001111",
		"to":"whatsapp:+491700000001","category":"marketing","sid":"SM00000000000000000000000000000001",
		"created_at":"2026-01-31T12:00:00Z","updated_at":"2026-01-31T12:00:01Z","metadata":{"order":"1"},
		"timeline":[
		{"id":"e1","type":"accepted","at":"2026-01-31T12:00:00Z","job":"order-1","attempt":1,"from":"whatsapp:+15550001111",
		"to":"whatsapp:+491700000001","status":"accepted","category":"marketing","metadata":{"order":"1"}},
		{"id":"e2","type":"sent","at":"2026-01-31T12:00:01Z","job":"order-1","attempt":1,"from":"whatsapp:+15550001111",
		"to":"whatsapp:+491700000001","sid":"SM00000000000000000000000000000001","status":"sent","category":"marketing","metadata":{"order":"1"}}]}`, r.text)

	w.refused(w.do("GET", "/v1/jobs/order-9", ""), 404, "not_found", "")
	w.refused(w.do("GET", "/v1/jobs/bad%20id", ""), 400, "invalid_field", "id")
}

func TestJobsAreListedByFilters(t *testing.T) {
	t.Parallel()
	w := withJobs(t)
	for query, want := range map[string][]string{
		"":                                           {"order-3", "order-2", "order-1"},
		"?to=whatsapp:%2B491700000001":               {"order-1"},
		"?to=whatsapp:+491700000001":                 {"order-1"},
		"?to=whatsapp:%20491700000001":               {"order-1"},
		"?to=+491700000001":                          {"order-1"},
		"?from=15550002222":                          {"order-3"},
		"?from=whatsapp:+15550001111":                {"order-2", "order-1"},
		"?status=parked,sent":                        {"order-3", "order-1"},
		"?status=parked&status=accepted":             {"order-3", "order-2"},
		"?sid=" + sid:                                {"order-1"},
		"?since=2026-01-31T13:00:00Z":                {"order-3", "order-2"},
		"?until=2026-01-31T14:00:00+01:00":           {"order-1"},
		"?since=2026-01-31T13:00:00Z&status=sent":    {},
		"?from=&to=&sid=&since=&until=&limit=&from=": nil,
	} {
		r := w.do("GET", "/v1/jobs"+query, "")
		if want == nil {
			w.refused(r, 400, "invalid_field", "from")
			continue
		}
		require.Equal(t, want, ids(t, r), query)
		require.NotContains(t, r.text, "timeline")
		require.Contains(t, r.text, `"next_cursor":""`)
	}
	require.JSONEq(t, `{"jobs":[],"next_cursor":""}`, w.do("GET", "/v1/jobs?status=held", "").text)

	page := w.do("GET", "/v1/jobs?limit=2", "")
	require.Equal(t, []string{"order-3", "order-2"}, ids(t, page))
	require.Contains(t, page.text, `"next_cursor":"after+2"`)
	require.Equal(t, http.StatusOK, w.do("GET", "/v1/jobs?cursor=after+2", "").status, "a cursor comes back as it was given")
}

func ids(t *testing.T, r reply) []string {
	t.Helper()
	require.Equal(t, http.StatusOK, r.status, r.text)
	var list struct{ Jobs []delivery.Record }
	require.NoError(t, json.Unmarshal([]byte(r.text), &list))
	found := []string{}
	for _, job := range list.Jobs {
		found = append(found, job.ID)
	}
	return found
}

func TestBadFiltersAreNamed(t *testing.T) {
	t.Parallel()
	w := withJobs(t)
	for query, field := range map[string]string{
		"to=nobody":        "to",
		"from=nobody":      "from",
		"status=lost":      "status",
		"since=yesterday":  "since",
		"until=1":          "until",
		"limit=0":          "limit",
		"limit=1001":       "limit",
		"limit=ten":        "limit",
		"limit=5&limit=6":  "limit",
		"cursor=elsewhere": "cursor",
		"sid=%00":          "sid",
		"form=15550002222": "form",
		"since=2026-01-31T13:00:00Z&until=2026-01-31T13:00:00Z": "until",
	} {
		w.refused(w.do("GET", "/v1/jobs?"+query, ""), 400, "invalid_field", field)
	}
	w.refused(w.do("GET", "/v1/jobs?to=%zz", ""), 400, "invalid_body", "")
}

func TestBacklog(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	require.JSONEq(t, `{"ready":1,"parked":2,"scheduled":3,"inflight":4}`, w.do("GET", "/v1/backlog", "").text)
}

func TestAFailureIsNotShown(t *testing.T) {
	t.Parallel()
	w := withJobs(t)
	w.jobs.fail = errors.New("redis at 10.0.0.7: connection refused")
	for _, path := range []string{"/v1/jobs/order-1", "/v1/jobs", "/v1/stats", "/v1/stats?since=2026-01-31T00:00:00Z&step=1h"} {
		r := w.do("GET", path, "")
		w.refused(r, 500, "internal", "")
		require.NotContains(t, r.text, "10.0.0.7")
	}
}

func TestPathsAndMethods(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.refused(w.do("GET", "/v1/nothing", ""), 404, "not_found", "")
	r := w.do("DELETE", "/v1/jobs", "")
	w.refused(r, 405, "method_not_allowed", "")
	require.Equal(t, "GET, POST", r.header.Get("Allow"))
	w.refused(w.do("POST", "/v1/limits", "{}"), 405, "method_not_allowed", "")

	require.Equal(t, http.StatusAccepted, w.do("POST", "/v1/jobs", "{}").status)
	require.Equal(t, http.StatusOK, w.do("HEAD", "/v1/backlog", "").status)

	home := w.do("GET", "/", "")
	require.Equal(t, "text/html; charset=utf-8", home.header.Get("Content-Type"))
	require.Contains(t, home.text, "Sluice")
	require.Contains(t, home.text, `href="/senders"`)
	require.Contains(t, home.text, `href="/jobs"`)
}
