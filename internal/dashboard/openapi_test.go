package dashboard_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/ratelimit"
)

// operations of the description, by method and path.
func operations(t *testing.T, d document) map[[2]string]any {
	t.Helper()
	found := map[[2]string]any{}
	for path, item := range d["paths"].(map[string]any) {
		for method, operation := range item.(map[string]any) {
			found[[2]string{strings.ToUpper(method), path}] = operation
		}
	}
	return found
}

func TestTheDescriptionHasEveryRouteAndNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	d := describe(t, w)
	require.Equal(t, "3.1.0", d["openapi"])
	described := operations(t, d)
	for route, scope := range w.api.Routes() {
		operation, ok := described[route].(map[string]any)
		require.True(t, ok, "%v is served and not described", route)
		require.Equal(t, scope.String(), scopeOf(d, operation), "%v", route)
		delete(described, route)
	}
	require.Empty(t, described, "described and not served")
}

// scopeOf is the scope that an operation says its key must have.
func scopeOf(d document, operation map[string]any) string {
	security, own := operation["security"].([]any)
	if !own {
		security = d["security"].([]any)
	}
	if len(security) == 0 {
		return ""
	}
	return security[0].(map[string]any)["key"].([]any)[0].(string)
}

// TestAnswersAreAsDescribed asks every route of the real server and holds each
// answer against its schema.
func TestAnswersAreAsDescribed(t *testing.T) {
	t.Parallel()
	w := withEverything(t)
	d := describe(t, w)
	untried := operations(t, d)
	w.askAll(func(method, path string, r reply) {
		route := d.route(t, method, path)
		require.NoError(t, d.check(route, r), "%s %s: %s", method, path, r.text)
		delete(untried, route)
	})
	m, ok := w.after(0, "").next()
	require.True(t, ok)
	require.NoError(t, d.fits("Event", m.data))
	delete(untried, [2]string{"GET", "/v1/events"})
	require.Empty(t, untried, "routes that were not asked")
}

// withEverything is a world in which answers have all the fields they can.
func withEverything(t *testing.T) *world {
	t.Helper()
	w := withJobs(t)
	failed := delivery.Job{ID: "order-4", From: "whatsapp:+" + sender, To: customer}.Happened(delivery.EventFailed, 1, noon, "e5")
	failed.Reason, failed.Error = "refused", &delivery.Error{Code: 63018, Message: "rate limit exceeded"}
	w.jobs.records = append(w.jobs.records, delivery.Record{}.Apply(failed))
	w.limits["AC1"] = ratelimit.PoolLimits{
		Pool: "AC1", Limit: 250, NextFreeAt: noon.Add(time.Hour), Waiting: [3]int64{1, 20, 300}, Now: noon,
		Senders: []ratelimit.SenderLimits{{Sender: sender, Limit: ratelimit.Unlimited, Free: ratelimit.Unlimited, MPS: 0.5,
			Paused: true, PausedReason: "suspended", TrippedUntil: noon.Add(time.Minute)}},
	}
	w.log.append(failed)
	return w
}

// askAll asks every route, streams aside, for every status that can be had
// here, and hands the answers over.
func (w *world) askAll(answered func(method, path string, r reply)) {
	const person = "/v1/consents/whatsapp%3A%2B491700000001"
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"POST", "/v1/jobs", "{}", 202},
		{"GET", "/v1/jobs", "", 200},
		{"GET", "/v1/jobs?limit=0", "", 400},
		{"GET", "/v1/jobs/order-1", "", 200},
		{"GET", "/v1/jobs/order-4", "", 200},
		{"GET", "/v1/jobs/order-9", "", 404},
		{"GET", "/v1/jobs/bad%20id", "", 400},
		{"POST", "/v1/jobs/order-2/cancel", "", 200},
		{"POST", "/v1/jobs/order-4/cancel", "", 409},
		{"POST", "/v1/jobs/order-9/cancel", "", 404},
		{"POST", "/v1/jobs/order-4/redrive", "", 200},
		{"POST", "/v1/jobs/order-4/redrive", "", 409},
		{"POST", "/v1/jobs/order-9/redrive", "", 404},
		{"POST", "/v1/jobs/redrive", `{"status":["failed"]}`, 200},
		{"POST", "/v1/jobs/redrive", `{}`, 400},
		{"GET", "/v1/events?type=lost", "", 400},
		{"GET", "/v1/stats", "", 200},
		{"GET", "/v1/stats?since=2026-01-31T00:00:00Z&step=1h", "", 200},
		{"GET", "/v1/stats?step=1h", "", 400},
		{"GET", "/v1/backlog", "", 200},
		{"GET", "/v1/limits", "", 200},
		{"GET", "/v1/limits/AC1", "", 200},
		{"GET", "/v1/limits/other", "", 404},
		{"POST", "/v1/plan", `{"from":"whatsapp:+15550001111","to":["+491700000001"],"category":"marketing"}`, 200},
		{"POST", "/v1/plan", `{"from":"whatsapp:+15550003333","to":["+491700000001"]}`, 200},
		{"POST", "/v1/plan", `{"from":"whatsapp:+15550001111"}`, 400},
		{"PUT", "/v1/senders/" + sender, `{"limit":"unlimited","mps":0.5,"pool":"brand"}`, 200},
		{"PUT", "/v1/senders/" + sender, `{"limit":-1}`, 400},
		{"PUT", "/v1/senders/" + sender, strings.Repeat(" ", 70_000), 413},
		{"GET", "/v1/senders/" + sender, "", 200},
		{"GET", "/v1/senders/15550002222", "", 404},
		{"GET", "/v1/senders", "", 200},
		{"POST", "/v1/senders/" + sender + "/pause", `{"reason":"complaints"}`, 200},
		{"POST", "/v1/senders/" + sender + "/resume", "", 200},
		{"PUT", "/v1/pools/brand", `{"limit":500,"reserve":0.1}`, 200},
		{"PUT", "/v1/pools/brand", `{"reserve":2}`, 400},
		{"GET", "/v1/pools/brand", "", 200},
		{"GET", "/v1/pools/other", "", 404},
		{"GET", "/v1/pools", "", 200},
		{"PUT", person, `{"state":"out","source":"call"}`, 200},
		{"PUT", person, `{"state":"in","at":"2026-01-01T00:00:00Z"}`, 409},
		{"PUT", person, `{}`, 400},
		{"GET", person, "", 200},
		{"POST", "/v1/pause", `{"reason":"incident"}`, 200},
		{"POST", "/v1/resume", "", 200},
		{"GET", "/openapi.yaml", "", 200},
	} {
		r := w.do(c.method, c.path, c.body)
		require.Equal(w.t, c.status, r.status, "%s %s: %s", c.method, c.path, r.text)
		answered(c.method, c.path, r)
	}
}

func TestTheDescriptionListsWhatTheCodeKnows(t *testing.T) {
	t.Parallel()
	d := describe(t, newWorld(t, ""))
	for _, s := range delivery.Statuses() {
		require.NoError(t, d.fits("Status", `"`+string(s)+`"`))
	}
	known := d.schema("EventType")["enum"].([]any)
	for _, word := range known {
		require.True(t, delivery.EventType(word.(string)).Known(), "%s", word)
	}
	for _, text := range []string{`"lost"`, `1`, `null`, `{}`} {
		require.Error(t, d.fits("Status", text))
	}
	require.Error(t, d.fits("Record", `{"id":"a","status":"sent","attempt":1}`))
	require.Error(t, d.fits("Backlog", `{"ready":1,"parked":1,"scheduled":1,"inflight":1,"more":1}`))
	require.Error(t, d.fits("Backlog", `{"ready":-1,"parked":1,"scheduled":1,"inflight":1}`))
	require.Error(t, d.fits("Limit", `"provider"`))
	require.Error(t, d.fits("Result", `{"id":"a","status":"sent","error":{"code":"busy","message":""}}`))
}
