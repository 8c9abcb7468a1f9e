package dispatcher_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/messaging"
	"github.com/sluicehq/sluice/ratelimit"
)

func TestWhatIsSent(t *testing.T) {
	t.Parallel()
	filled := template("a")
	filled.ContentVariables = delivery.Variables{"2": "b", "1": "a"}
	soon := filled
	soon.ExpiresAt = start.Add(time.Hour)
	service := freeForm("a", "hello")
	service.From, service.MessagingServiceSID = "", "MG"+strings.Repeat("a", 32)
	service.MediaURL = []string{"https://example.test/a.png"}
	callback := "https://example.test/twilio/status/a/1#rc=5&rp=all"
	for name, c := range map[string]struct {
		job  delivery.Job
		want messaging.Message
	}{
		"template": {filled, messaging.Message{
			From: from, To: customer, ContentSID: filled.ContentSID, ContentVariables: `{"1":"a","2":"b"}`,
			StatusCallback: callback, Validity: 10 * time.Hour,
		}},
		"expiring": {soon, messaging.Message{
			From: from, To: customer, ContentSID: filled.ContentSID, ContentVariables: `{"1":"a","2":"b"}`,
			StatusCallback: callback, Validity: time.Hour,
		}},
		"free form of a service": {service, messaging.Message{
			MessagingServiceSID: service.MessagingServiceSID, To: customer, Body: "hello", MediaURL: service.MediaURL,
			StatusCallback: callback, Validity: 10 * time.Hour,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			require.Equal(t, delivery.Ack, w.handler.Handle(t.Context(), taskOf(c.job)).Action)
			require.Equal(t, []messaging.Message{c.want}, w.phone.sent)
		})
	}
}

func TestTheIntentCarriesJobAndVerdict(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.handler.Handle(t.Context(), taskOf(template("a")))
	require.Equal(t, &delivery.Intent{
		Job: template("a"), Attempt: 1, Token: "token", At: start, Pool: account, Counted: true, Published: start,
	}, w.log.entries[1].Intent)
}

func TestAnAnnouncedJobIsNotAnnouncedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	task := taskOf(template("a"))
	task.Announced = true
	w.handler.Handle(t.Context(), task)
	require.Equal(t, delivery.StatusQueued, w.log.record("a").Status)
	require.Equal(t, delivery.EventSending, w.log.record("a").Timeline[0].Type)
}

func TestAnotherJobsIDIsRefusedWithoutTouchingIt(t *testing.T) {
	t.Parallel()
	scheduled := template("a")
	scheduled.SendAt = start.Add(time.Hour)
	for name, thief := range map[string]delivery.Job{"now": freeForm("a", "other content"), "at a time": scheduled} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.handler.Handle(t.Context(), taskOf(template("a")))
			before := w.log.record("a")
			task := taskOf(thief)
			task.Token, task.Ref = "other", "JOBS:2"
			s := w.handler.Handle(t.Context(), task)
			require.Equal(t, delivery.Ack, s.Action)
			require.Equal(t, before, w.log.record("a"))
			refusal := w.log.entries[len(w.log.entries)-1].Event
			require.Equal(t, delivery.EventRejected, refusal.Type)
			require.Equal(t, delivery.ReasonConflict, refusal.Reason)
			require.Len(t, w.phone.messages, 1)
		})
	}
}

func TestAClosedGateChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.gate.closed = true
	s := w.handler.Handle(t.Context(), taskOf(template("a")))
	require.Equal(t, delivery.HandBack, s.Action)
	require.Empty(t, w.log.entries)
}

func TestAnOutcomeOfALaterVersionIsHandedBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	refuses(ratelimit.Outcome("invented later"))(w)
	s := w.handler.Handle(t.Context(), taskOf(template("a")))
	require.Equal(t, delivery.HandBack, s.Action)
	require.Empty(t, w.log.entries)
}
