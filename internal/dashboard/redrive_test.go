package dashboard_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/dashboard"
)

// redrives is a Redriver; fail says what a job's redrive comes to.
type redrives struct {
	fail     map[string]error
	behind   error
	caughtUp func() // nil: nothing was on its way

	mu    sync.Mutex
	asked map[string]int
}

func (d *redrives) CaughtUp(context.Context) error {
	if d.caughtUp != nil {
		d.caughtUp()
	}
	return d.behind
}

func (d *redrives) Redrive(_ context.Context, r delivery.Record, attempt int) error {
	if err := d.fail[r.ID]; err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.asked == nil {
		d.asked = map[string]int{}
	}
	d.asked[r.ID] = attempt
	return nil
}

func (w *world) redrive() reply { return w.do("POST", "/v1/jobs/order-1/redrive", "") }

func TestWhatEndedBadlyOrIsHeldIsRedriven(t *testing.T) {
	t.Parallel()
	for _, kind := range []delivery.EventType{delivery.EventFailed, delivery.EventUndelivered, delivery.EventHeld} {
		w := withJob(t, 2, kind)
		r := w.redrive()
		require.Equal(t, http.StatusOK, r.status, r.text)
		var record delivery.Record
		require.NoError(t, json.Unmarshal([]byte(r.text), &record))
		require.Equal(t, delivery.StatusAccepted, record.Status)
		require.Equal(t, 3, record.Attempt)
		require.Equal(t, map[string]int{"order-1": 3}, w.redrives.asked)
		require.Equal(t, []delivery.Event{{
			ID: "redriven:order-1:3", Type: delivery.EventRedriven, At: noon, Job: "order-1", Attempt: 3,
			From: "whatsapp:+" + sender, To: customer, Status: delivery.StatusAccepted, Reason: "redriven by hand",
			Metadata: map[string]string{"order": "1"},
		}}, w.jobs.told)
		w.refused(w.redrive(), 409, "conflict", "")
	}
}

func TestOtherStatesAreNotRedriven(t *testing.T) {
	t.Parallel()
	for _, kind := range []delivery.EventType{
		delivery.EventAccepted, delivery.EventParked, delivery.EventSending, delivery.EventUnknown, delivery.EventQueued,
		delivery.EventSent, delivery.EventDelivered, delivery.EventRead, delivery.EventExpired, delivery.EventSuppressed,
		delivery.EventRejected, delivery.EventCanceled,
	} {
		w := withJob(t, 1, kind)
		w.refused(w.redrive(), 409, "conflict", "")
		require.Empty(t, w.redrives.asked, kind)
		require.Empty(t, w.jobs.told, kind)
	}
	w := newWorld(t, "")
	w.refused(w.redrive(), 404, "not_found", "")
}

func TestARedriveThatCannotBe(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]int{
		dashboard.ErrPayloadGone: 409, dashboard.ErrExpired: 409, errDown: 503,
	} {
		w := withJob(t, 1, delivery.EventFailed)
		w.redrives.fail = map[string]error{"order-1": err}
		require.Equal(t, want, w.redrive().status)
		require.Empty(t, w.jobs.told)
	}
	w := withJob(t, 1, delivery.EventFailed)
	w.redrives.behind = errDown
	w.refused(w.redrive(), 503, "unavailable", "")
	require.Empty(t, w.redrives.asked, "the job may have been delivered meanwhile")
}

func TestARedriveNamesTheKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "publish+read:first,second")
	w.jobs.records = []delivery.Record{delivery.Record{}.Apply(
		delivery.Job{ID: "order-1", From: "whatsapp:+" + sender, To: customer}.Happened(delivery.EventFailed, 1, noon, "f"))}
	require.Equal(t, 403, w.do("POST", "/v1/jobs/order-1/redrive", "", "Authorization", "Bearer first").status)
	require.Equal(t, 200, w.do("POST", "/v1/jobs/order-1/redrive", "", "Authorization", "Bearer second").status)
	require.Regexp(t, `^redriven by hand: key [0-9a-f]{8}$`, w.jobs.told[0].Reason)
}

// withFailures is a world of twelve jobs of mixed states and codes.
func withFailures(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, "")
	kinds := []delivery.EventType{delivery.EventFailed, delivery.EventUndelivered, delivery.EventHeld, delivery.EventDelivered}
	for i := range 12 {
		e := delivery.Job{ID: fmt.Sprintf("order-%d", i), From: "whatsapp:+" + sender, To: customer}.
			Happened(kinds[i%4], 1, noon.Add(time.Duration(i)*time.Minute), "e")
		e.Error = &delivery.Error{Code: []int{63018, 63024, 63016}[i%3]}
		w.jobs.records = append(w.jobs.records, delivery.Record{}.Apply(e))
	}
	return w
}

func TestManyAreRedrivenByFilter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, query, body string
		want              []string
	}{
		{"failed", "", `{"status":"failed"}`, []string{"order-0", "order-4", "order-8"}},
		{"an array", "", `{"status":["failed","held"]}`, []string{"order-0", "order-2", "order-4", "order-6", "order-8", "order-10"}},
		{"by code, which leaves held ones out", "", `{"code":63018}`, []string{"order-0", "order-9"}},
		{"several codes", "", `{"code":[63018,"63016"],"status":"failed"}`, []string{"order-0", "order-8"}},
		{"the query string", "?status=failed&code=63018,63016", "", []string{"order-0", "order-8"}},
		{"since", "", `{"since":"2026-01-31T12:08:00Z"}`, []string{"order-8", "order-9"}},
		{"until", "", `{"until":"2026-01-31T12:02:00Z"}`, []string{"order-0", "order-1"}},
		{"another sender", "", `{"from":"15550009999"}`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := withFailures(t)
			r := w.do("POST", "/v1/jobs/redrive"+c.query, c.body)
			require.Equal(t, 200, r.status, r.text)
			var asked []string
			for id := range w.redrives.asked {
				asked = append(asked, id)
			}
			require.ElementsMatch(t, c.want, asked)
			require.Contains(t, r.text, fmt.Sprintf(`"redriven":%d,"refused":0`, len(c.want)))
		})
	}
}

func TestOneThatCannotBeRedrivenStopsNoOther(t *testing.T) {
	t.Parallel()
	w := withFailures(t)
	w.redrives.fail = map[string]error{"order-4": dashboard.ErrPayloadGone}
	r := w.do("POST", "/v1/jobs/redrive", `{"status":"failed"}`)
	require.Contains(t, r.text, `"redriven":2,"refused":1`)
	require.Contains(t, r.text, `{"id":"order-4","error":{"code":"conflict"`)
}

func TestManyAreRedrivenInPages(t *testing.T) {
	t.Parallel()
	w := withFailures(t)
	r := w.do("POST", "/v1/jobs/redrive", `{"status":"failed","limit":2}`)
	require.Contains(t, r.text, `"redriven":2`)
	require.Contains(t, r.text, `"next_cursor":"after+2"`)
}

func TestAFilterThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	w := withFailures(t)
	for body, field := range map[string]string{
		"": "status", `{}`: "status", `{"limit":5}`: "status", `{"status":"delivered"}`: "status", `{"status":"lost"}`: "status",
		`{"code":"x"}`: "code", `{"code":{}}`: "code", `{"colour":"red"}`: "colour", `{"since":"today"}`: "since", `{"status":"failed","limit":0}`: "limit",
	} {
		w.refused(w.do("POST", "/v1/jobs/redrive", body), 400, "invalid_field", field)
	}
	w.refused(w.do("POST", "/v1/jobs/redrive", `[]`), 400, "invalid_body", "")
	require.Empty(t, w.redrives.asked)
}

func TestAJobMayBeCalledRedrive(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.refused(w.do("GET", "/v1/jobs/redrive", ""), 404, "not_found", "")
}
