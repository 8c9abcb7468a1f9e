package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ask is one request and what has to come back: the status, the names at the
// answer's top, and for an error its code and field.
type ask struct {
	method, path, body string
	status             int
	has                string // names, or code and field of an error
}

func (a ask) check(t *testing.T, api *site) {
	t.Helper()
	got := api.do(a.method, a.path, []byte(a.body))
	require.Equal(t, a.status, got.status, "%s %s %s: %s", a.method, a.path, a.body, got.body)
	if a.status >= 400 {
		code, field := got.problem(t)
		require.Equal(t, a.has, strings.TrimSpace(code+" "+field), "%s %s %s", a.method, a.path, a.body)
		return
	}
	var top map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(got.body, &top), "%s", got.body)
	for name := range strings.FieldsSeq(a.has) {
		require.Contains(t, top, name, "%s %s: %s", a.method, a.path, got.body)
	}
}

const limitNames = "pool limit window used free reserved next_free_at parked drains_at senders"

// TestEveryRouteOfTheAPI asks each route well and badly, on a house in which
// one job was delivered and one waits.
func TestEveryRouteOfTheAPI(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t).with("SLUICE_WINDOW", "1h"))
	api := h.api
	api.must(http.MethodPut, "/v1/senders/"+alpha, fields{"limit": 1, "pool": "east"}, nil)
	require.Equal(t, http.StatusAccepted, api.post(notice("gone", alpha, 1)).status)
	sid := api.await("gone", "delivered", "read").SID
	require.Equal(t, http.StatusAccepted, api.post(notice("waits", alpha, 2)).status)
	api.await("waits", "parked")
	record := "id status attempt from to created_at updated_at timeline"

	for _, a := range []ask{
		{"POST", "/v1/jobs", string(notice("gone", alpha, 1).json()), 202, "id status"},
		{"POST", "/v1/jobs", string(notice("gone", alpha, 3).json()), 409, "conflict id"},
		{"POST", "/v1/jobs", `[` + string(notice("gone", alpha, 1).json()) + `,{}]`, 202, "results"},
		{"POST", "/v1/jobs", `[` + strings.Repeat("{},", 1000) + `{}]`, 413, "too_large"},
		{"POST", "/v1/jobs", `{"body":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "too_large"},
		{"POST", "/v1/jobs", strings.Repeat(`[`, 100_000), 400, "invalid_json"},
		{"POST", "/v1/jobs", `{"metadata":` + strings.Repeat(`{"a":`, 20_000) + `1` + strings.Repeat(`}`, 20_000) + `}`, 400, "invalid_json"},
		{"POST", "/v1/jobs", "", 400, "invalid_json"},

		{"GET", "/v1/jobs/gone", "", 200, record + " sid"},
		{"GET", "/v1/jobs/nobody", "", 404, "not_found"},
		{"GET", "/v1/jobs/-no-id", "", 400, "invalid_field id"},
		{"GET", "/v1/jobs", "", 200, "jobs next_cursor"},
		{"GET", "/v1/jobs?from=tel", "", 400, "invalid_field from"},
		{"GET", "/v1/jobs?to=tel", "", 400, "invalid_field to"},
		{"GET", "/v1/jobs?sid=SM%C3%A41", "", 400, "invalid_field sid"},
		{"GET", "/v1/jobs?status=flying", "", 400, "invalid_field status"},
		{"GET", "/v1/jobs?since=yesterday", "", 400, "invalid_field since"},
		{"GET", "/v1/jobs?until=tomorrow", "", 400, "invalid_field until"},
		{"GET", "/v1/jobs?limit=0", "", 400, "invalid_field limit"},
		{"GET", "/v1/jobs?limit=1001", "", 400, "invalid_field limit"},
		{"GET", "/v1/jobs?cursor=no", "", 400, "invalid_field cursor"},
		{"GET", "/v1/jobs?colour=red", "", 400, "invalid_field colour"},

		{"POST", "/v1/jobs/gone/cancel", "", 409, "conflict"},
		{"POST", "/v1/jobs/nobody/cancel", "", 404, "not_found"},
		{"POST", "/v1/jobs/waits/cancel", "", 200, record},

		{"POST", "/v1/jobs/gone/redrive", "", 409, "conflict"},
		{"POST", "/v1/jobs/nobody/redrive", "", 404, "not_found"},
		{"POST", "/v1/jobs/redrive", `{"status":"failed","code":63016}`, 200, "redriven refused results"},
		{"POST", "/v1/jobs/redrive", `{}`, 400, "invalid_field status"},
		{"POST", "/v1/jobs/redrive", `{"status":"flying"}`, 400, "invalid_field status"},
		{"POST", "/v1/jobs/redrive", `{"colour":"red"}`, 400, "invalid_field colour"},

		{"POST", "/v1/plan", `{"from":"whatsapp:+` + alpha + `","to":["whatsapp:+15552000001"],"category":"utility"}`, 200,
			"new known in_window opted_out free_now finishes_at"},
		{"POST", "/v1/plan", `{"from":"tel","to":[]}`, 400, "invalid_field from"},
		{"POST", "/v1/plan", `{"from":"whatsapp:+` + alpha + `","to":["tel"]}`, 400, "invalid_field to"},
		{"POST", "/v1/plan", `{"from":"whatsapp:+` + alpha + `","to":["whatsapp:+15552000001"],"category":"promotion"}`, 400, "invalid_field category"},

		{"GET", "/v1/senders", "", 200, "senders"},
		{"GET", "/v1/senders/" + alpha, "", 200, "sender pool limit mps account require_opt_in"},
		{"GET", "/v1/senders/nobody", "", 400, "invalid_field sender"},
		{"PUT", "/v1/senders/" + beta, `{"limit":"unlimited","mps":0.5,"require_opt_in":true}`, 200, "limit mps require_opt_in"},
		{"PUT", "/v1/senders/" + beta, `{"limit":-1}`, 400, "invalid_field limit"},
		{"PUT", "/v1/senders/" + beta, `{"limit":1.5}`, 400, "invalid_field limit"},
		{"PUT", "/v1/senders/" + beta, `{"mps":-1}`, 400, "invalid_field mps"},
		{"PUT", "/v1/senders/" + beta, `{"colour":"red"}`, 400, "invalid_field colour"},
		{"PUT", "/v1/senders/" + beta, `[]`, 400, "invalid_body"},
		{"POST", "/v1/senders/" + beta + "/pause", `{"reason":"holiday"}`, 200, "state reasons"},
		{"POST", "/v1/senders/" + beta + "/resume", "", 200, "state reasons"},
		{"POST", "/v1/senders/nobody/pause", "", 400, "invalid_field sender"},

		{"GET", "/v1/pools", "", 200, "pools"},
		{"GET", "/v1/pools/east", "", 200, "pool limit reserve"},
		{"GET", "/v1/pools/nowhere", "", 404, "not_found"},
		{"PUT", "/v1/pools/east", `{"limit":2,"reserve":0.5}`, 200, "pool limit reserve"},
		{"PUT", "/v1/pools/east", `{"reserve":1.5}`, 400, "invalid_field reserve"},
		{"PUT", "/v1/pools/east", `{"limit":"none"}`, 400, "invalid_field limit"},
		{"GET", "/v1/limits", "", 200, "limits"},
		{"GET", "/v1/limits/east", "", 200, limitNames},
		{"GET", "/v1/limits/nowhere", "", 404, "not_found"},

		{"GET", "/v1/consents/whatsapp%3A%2B15552000001", "", 200, "address consents"},
		{"PUT", "/v1/consents/whatsapp%3A%2B15552000009", `{"from":"whatsapp:+` + alpha + `","state":"out","source":"form"}`, 200, "from state source at"},
		{"PUT", "/v1/consents/whatsapp%3A%2B15552000009", `{"state":"maybe"}`, 400, "invalid_field state"},
		{"PUT", "/v1/consents/tel", `{"state":"out"}`, 400, "invalid_field address"},

		{"GET", "/v1/stats", "", 200, "states errors"},
		{"GET", "/v1/stats?since=" + time.Now().Add(-time.Hour).UTC().Format(time.RFC3339) + "&step=10m", "", 200, "states errors series"},
		{"GET", "/v1/stats?step=1h", "", 400, "invalid_field since"},
		{"GET", "/v1/stats?since=2026-01-01T00:00:00Z&until=2026-06-01T00:00:00Z&step=1s", "", 400, "invalid_field step"},
		{"GET", "/v1/backlog", "", 200, "ready parked scheduled inflight"},
		{"GET", "/v1/events?type=none", "", 400, "invalid_field type"},
		{"GET", "/v1/events?last_event_id=99999999", "", 400, "invalid_field last_event_id"},

		{"POST", "/v1/pause", `{"reason":"maintenance"}`, 200, "paused"},
		{"POST", "/v1/pause", `{"why":"maintenance"}`, 400, "invalid_field why"},
		{"POST", "/v1/resume", "", 200, "paused"},
		{"GET", "/v1/nothing", "", 404, "not_found"},
		{"PATCH", "/v1/pools/east", "", 405, "method_not_allowed"},
	} {
		t.Run(a.method+" "+a.path, func(t *testing.T) { a.check(t, api) })
	}

	t.Run("every filter finds what it names", func(t *testing.T) { everyFilter(t, api, sid) })
	t.Run("pages follow each other", func(t *testing.T) {
		var first, second struct {
			Jobs []record2
			Next string `json:"next_cursor"`
		}
		api.must("GET", "/v1/jobs?limit=1", nil, &first)
		require.Equal(t, []record2{{"waits"}}, first.Jobs, "newest first")
		api.must("GET", "/v1/jobs?limit=1&cursor="+first.Next, nil, &second)
		require.Equal(t, []record2{{"gone"}}, second.Jobs)
	})
	t.Run("events resume", func(t *testing.T) { eventsResume(t, api) })
	t.Run("documents", func(t *testing.T) {
		for path, kind := range map[string]string{"/": "text/html", "/openapi.yaml": "yaml"} {
			res, err := http.Get(api.base + path)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			require.Equal(t, http.StatusOK, res.StatusCode)
			require.Contains(t, res.Header.Get("Content-Type"), kind)
		}
	})
}

// record2 is the least of a record.
type record2 struct{ ID string }

func everyFilter(t *testing.T, api *site, sid string) {
	hour := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }
	for query, want := range map[string][]string{
		"from=whatsapp:+" + alpha: {"waits", "gone"}, "from=whatsapp:+" + beta: {},
		"to=" + customer(1): {"gone"}, "sid=" + sid: {"gone"},
		"status=canceled": {"waits"}, "status=delivered,read": {"gone"}, "status=canceled&status=delivered,read": {"waits", "gone"},
		"since=" + hour(-time.Hour): {"waits", "gone"}, "since=" + hour(time.Hour): {},
		"until=" + hour(time.Hour): {"waits", "gone"}, "until=" + hour(-time.Hour): {},
		"from=whatsapp:+" + alpha + "&to=" + customer(2) + "&status=canceled": {"waits"},
	} {
		var page struct{ Jobs []record2 }
		api.must("GET", "/v1/jobs?"+query, nil, &page)
		ids := []string{}
		for _, r := range page.Jobs {
			ids = append(ids, r.ID)
		}
		require.Equal(t, want, ids, query)
	}
}

// eventsResume reads the stream of events from an id on, and again from where
// it was left.
func eventsResume(t *testing.T, api *site) {
	first := readEvents(t, api, "?last_event_id=0&job=gone", "", 3)
	require.Equal(t, []string{"accepted", "sending", "queued"}, kinds(first))
	again := readEvents(t, api, "?last_event_id=0&job=gone", first[0].id, 2)
	require.Equal(t, first[1:], again, "the header of a second connection counts")
}

type streamed struct{ id, kind, data string }

func kinds(all []streamed) (names []string) {
	for _, e := range all {
		names = append(names, e.kind)
	}
	return names
}

// readEvents reads n server-sent events.
func readEvents(t *testing.T, api *site, query, last string, n int) (all []streamed) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, api.base+"/v1/events"+query, nil)
	require.NoError(t, err)
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, "text/event-stream", res.Header.Get("Content-Type"))
	var e streamed
	for scan := bufio.NewScanner(res.Body); len(all) < n && scan.Scan(); {
		name, value, _ := strings.Cut(scan.Text(), ": ")
		switch name {
		case "id":
			e.id = value
		case "event":
			e.kind = value
		case "data":
			e.data = value
		case "":
			if e.id != "" {
				all, e = append(all, e), streamed{}
			}
		}
	}
	require.Len(t, all, n, "the stream ended")
	return all
}

// TestManyJobsAtOnce: an array and a stream of lines, good and bad ones mixed.
func TestManyJobsAtOnce(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t).with("SLUICE_WINDOW", "1h"))
	h.api.must(http.MethodPost, "/v1/pause", nil, nil)
	var body bytes.Buffer
	const many = 3000
	for i := range many {
		job := notice(fmt.Sprintf("line-%d", i), alpha, i)
		if i%1000 == 999 {
			job["to"] = "nobody"
		}
		body.Write(append(job.json(), '\n'))
	}
	res, err := http.Post(h.API+"/v1/jobs", "application/x-ndjson", &body)
	require.NoError(t, err)
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, res.StatusCode, "%s", data)
	var told struct {
		Results []struct {
			ID, Status string
			Error      struct{ Field string }
		}
	}
	require.NoError(t, json.Unmarshal(data, &told))
	require.Len(t, told.Results, many)
	for i, r := range told.Results {
		if i%1000 == 999 {
			require.Equal(t, "to", r.Error.Field)
			continue
		}
		require.Equal(t, fmt.Sprintf("line-%d", i), r.ID, "in order")
		require.NotEmpty(t, r.Status)
	}
}

// TestAFullQueueRefuses fills the waiting room and then the queue. Nothing that
// was taken is dropped, and what is refused is told when to come again.
func TestAFullQueueRefuses(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t).with("SLUICE_WINDOW", "1h", "SLUICE_WAIT_MAX", "5", "SLUICE_JOBS_MAX", "5"))
	h.api.must(http.MethodPost, "/v1/pause", nil, nil)
	var taken []string
	var refused *http.Response
	eventually(t, func() bool {
		id := fmt.Sprintf("job-%d", len(taken))
		res, err := http.Post(h.API+"/v1/jobs", "application/json", bytes.NewReader(notice(id, alpha, len(taken)).json()))
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		if res.StatusCode == http.StatusAccepted {
			taken = append(taken, id)
			return false
		}
		refused = res
		return true
	}, func() string { return fmt.Sprintf("%d jobs were taken without an end", len(taken)) })
	require.Contains(t, []int{http.StatusTooManyRequests, http.StatusServiceUnavailable}, refused.StatusCode)
	require.NotEmpty(t, refused.Header.Get("Retry-After"))
	require.GreaterOrEqual(t, len(taken), 10)
	_, err := h.nats.try(subject("normal", alpha), notice("bare", alpha, 99).json(), "bare")
	require.ErrorContains(t, err, "maximum messages exceeded")

	h.api.must(http.MethodPost, "/v1/resume", nil, nil)
	h.api.awaitEnd(taken)
	h.provider.requireOnce(slices.Clone(taken))
}
