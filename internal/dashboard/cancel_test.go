package dashboard_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
)

// withJob is a world with one job, on which the events happened in order.
func withJob(t *testing.T, attempt int, happened ...delivery.EventType) *world {
	t.Helper()
	w := newWorld(t, "")
	job := delivery.Job{ID: "order-1", From: "whatsapp:+" + sender, To: customer, Metadata: map[string]string{"order": "1"}}
	var record delivery.Record
	for _, kind := range happened {
		record = record.Apply(job.Happened(kind, attempt, noon, string(kind)))
	}
	w.jobs.records = []delivery.Record{record}
	return w
}

func (w *world) cancel() reply { return w.do("POST", "/v1/jobs/order-1/cancel", "") }

func TestAJobThatWaitsIsCanceled(t *testing.T) {
	t.Parallel()
	for _, kind := range []delivery.EventType{
		delivery.EventAccepted, delivery.EventScheduled, delivery.EventParked, delivery.EventSending, delivery.EventUnknown,
	} {
		w := withJob(t, 2, kind)
		r := w.cancel()
		require.Equal(t, http.StatusOK, r.status, r.text)
		var record delivery.Record
		require.NoError(t, json.Unmarshal([]byte(r.text), &record))
		require.Equal(t, w.jobs.records[0], record)
		require.Equal(t, delivery.StatusCanceled, record.Status)
		require.Equal(t, []string{"order-1", "order-1"}, w.gate.asked, "before and after all that is known is shown")
		require.Equal(t, []string{"order-1"}, w.gate.unscheduled, "nothing comes for it any more")
		require.Equal(t, []delivery.Event{{
			ID: "canceled:order-1:2", Type: delivery.EventCanceled, At: noon, Job: "order-1", Attempt: 2,
			From: "whatsapp:+" + sender, To: customer, Status: delivery.StatusCanceled, Reason: "canceled by hand",
			Metadata: map[string]string{"order": "1"},
		}}, w.jobs.told)

		require.Equal(t, http.StatusOK, w.cancel().status, "again")
		require.Len(t, w.jobs.told, 1)
	}
}

func TestAHeldJobIsCanceledWithoutTheGate(t *testing.T) {
	t.Parallel()
	w := withJob(t, 1, delivery.EventSending, delivery.EventHeld)
	w.gate.canceled["order-1"] = "granted"
	require.Contains(t, w.cancel().text, `"status":"canceled"`)
	require.Empty(t, w.gate.asked)
	require.Equal(t, "canceled:order-1:1", w.jobs.told[0].ID)
}

func TestAJobIsCanceledAsItsFirstAttemptAtLeast(t *testing.T) {
	t.Parallel()
	w := withJob(t, 0, delivery.EventParked)
	require.Equal(t, http.StatusOK, w.cancel().status)
	require.Equal(t, "canceled:order-1:1", w.jobs.told[0].ID)
	require.Equal(t, 1, w.jobs.told[0].Attempt)
}

func TestWhatIsSentOrEndedCannotBeCanceled(t *testing.T) {
	t.Parallel()
	for _, kind := range []delivery.EventType{
		delivery.EventQueued, delivery.EventSent, delivery.EventDelivered, delivery.EventRead, delivery.EventUndelivered,
		delivery.EventFailed, delivery.EventExpired, delivery.EventSuppressed, delivery.EventRejected,
	} {
		w := withJob(t, 1, kind)
		w.refused(w.cancel(), 409, "conflict", "")
		require.Empty(t, w.gate.asked, kind)
		require.Empty(t, w.jobs.told, kind)
	}
	for _, answer := range []string{"granted", "failed"} { // the gate is ahead of the delivery state
		w := withJob(t, 1, delivery.EventAccepted)
		w.gate.canceled["order-1"] = answer
		w.refused(w.cancel(), 409, "conflict", "")
		require.Empty(t, w.jobs.told)
	}
	w := withJob(t, 1, delivery.EventAccepted)
	w.gate.canceled["order-1"] = "canceled"
	require.Equal(t, http.StatusOK, w.cancel().status)
	require.Empty(t, w.jobs.told, "whoever ended it tells")
}

// TestAGateThatIsBeingRefilledIsAskedAgain: it may know of the job's grant only
// once it has all that was logged, and the state that the provider has it.
func TestAGateThatIsBeingRefilledIsAskedAgain(t *testing.T) {
	t.Parallel()
	w := withJob(t, 1, delivery.EventSending)
	w.redrives.caughtUp = func() { w.gate.canceled["order-1"] = "granted" }
	w.refused(w.cancel(), 409, "conflict", "")
	require.Empty(t, w.jobs.told)

	w = withJob(t, 1, delivery.EventSending)
	w.redrives.caughtUp = func() {
		job := delivery.Job{ID: "order-1", From: "whatsapp:+" + sender, To: customer}
		w.jobs.records[0] = w.jobs.records[0].Apply(job.Happened(delivery.EventQueued, 1, noon, "queued"))
	}
	w.refused(w.cancel(), 409, "conflict", "")
	require.Empty(t, w.jobs.told)
}

func TestOnlyJobsThatAreKnownCanBeCanceled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.refused(w.cancel(), 404, "not_found", "")
	w.refused(w.do("POST", "/v1/jobs/bad%20id/cancel", ""), 400, "invalid_field", "id")
	w.refused(w.do("GET", "/v1/jobs/order-1/cancel", ""), 405, "method_not_allowed", "")
	require.Empty(t, w.gate.asked)
}

func TestACancellationThatWasNotToldCanBeRepeated(t *testing.T) {
	t.Parallel()
	w := withJob(t, 1, delivery.EventParked)
	w.gate.down = true
	w.refused(w.cancel(), 500, "internal", "")
	require.Empty(t, w.jobs.told, "nothing is told of a job that was not stopped")

	w.gate.down, w.jobs.mute = false, true
	w.refused(w.cancel(), 503, "unavailable", "")
	w.jobs.mute = false
	require.Contains(t, w.cancel().text, `"status":"canceled"`)
}

// TestACanceledJobIsToldOfItsPresentAttempt: the state may lag behind the log
// when the job is canceled, and an end of an earlier attempt stops no later one.
func TestACanceledJobIsToldOfItsPresentAttempt(t *testing.T) {
	t.Parallel()
	w := withJob(t, 1, delivery.EventSending)
	w.redrives.behind = errors.New("behind")
	require.Equal(t, http.StatusServiceUnavailable, w.cancel().status)
	require.Equal(t, []string{"order-1"}, w.gate.asked, "it is stopped all the same")
	require.Empty(t, w.jobs.told)

	w.redrives.behind = nil
	w.redrives.caughtUp = func() {
		next := delivery.Job{ID: "order-1", From: "whatsapp:+" + sender, To: customer}.Happened(delivery.EventParked, 2, noon, "parked")
		w.jobs.records[0] = w.jobs.records[0].Apply(next)
	}
	require.Contains(t, w.cancel().text, `"status":"canceled"`)
	require.Equal(t, "canceled:order-1:2", w.jobs.told[0].ID)
}
