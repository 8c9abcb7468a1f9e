package callbacks_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/callbacks"
	"github.com/sluicehq/sluice/delivery"
)

// sentFreely is the intent of a job with both forms that went without its
// template, by attempt.
func sentFreely(attempt int) delivery.Intent {
	job := delivery.Job{ID: "order-1", From: sender, To: customer, Body: "hello", ContentSID: "HX1"}
	return delivery.Intent{Job: job, Attempt: attempt, FreeForm: true}
}

// TestFreeFormOutsideTheWindow waits again where the job has a template that was
// not sent, and ends everywhere else.
func TestFreeFormOutsideTheWindow(t *testing.T) {
	t.Parallel()
	asTemplate, alone, other := sentFreely(2), sentFreely(2), sentFreely(2)
	asTemplate.FreeForm = false
	alone.Job.ContentSID = ""
	other.Job.ID = "order-2"
	for name, tc := range map[string]struct {
		intent delivery.Intent
		origin string
		fields []string
		waits  bool
	}{
		"both forms":               {intent: sentFreely(2), waits: true},
		"both, but by a service":   {intent: sentFreely(2), origin: service, fields: []string{"MessagingServiceSid", service}, waits: true},
		"the template went":        {intent: asTemplate},
		"free form alone":          {intent: alone},
		"a later attempt is begun": {intent: sentFreely(3)},
		"another job's":            {intent: other},
		"no intent":                {origin: service},
		"another error":            {intent: sentFreely(2), fields: []string{"ErrorCode", "63024"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			origin := tc.origin
			if origin == "" {
				origin = sender
			}
			s := newSite(t, func(cfg *callbacks.Config) {
				cfg.Intents = intents(func(from, job string) (delivery.Intent, bool, error) {
					return tc.intent, from == delivery.SenderToken(origin) && job == "order-1", nil
				})
			})
			form := with(statusForm("undelivered", "ErrorCode", "63016"), tc.fields...)
			for range 2 {
				code, _ := s.call(t, path, form)
				require.Equal(t, http.StatusNoContent, code)
			}
			require.Len(t, s.journal.all(), 1)
			e := s.journal.all()[0]
			require.Equal(t, tc.waits, e.CameBack())
			if !tc.waits {
				require.Equal(t, delivery.EventUndelivered, e.Type)
				require.Equal(t, 2, e.Attempt)
				return
			}
			require.Equal(t, delivery.Event{
				ID: "cb:" + sid + ":undelivered:63016", Type: delivery.EventParked, At: received, Job: "order-1", Attempt: 3,
				From: sender, To: customer, Status: delivery.StatusParked, Reason: delivery.ReasonWindow, Error: &delivery.Error{Code: 63016},
			}, e)
		})
	}
}

// TestNoEndIsToldOnASuspicion: while it cannot be read what was sent, the
// provider has to say it again.
func TestNoEndIsToldOnASuspicion(t *testing.T) {
	t.Parallel()
	down := errDown
	s := newSite(t, func(cfg *callbacks.Config) {
		cfg.Intents = intents(func(string, string) (delivery.Intent, bool, error) { return sentFreely(2), down == nil, down })
	})
	form := statusForm("undelivered", "ErrorCode", "63016")
	code, _ := s.call(t, path, form)
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Empty(t, s.journal.all())
	require.Equal(t, []string{"status failed"}, s.observed())
	down = nil
	code, _ = s.call(t, path, form)
	require.Equal(t, http.StatusNoContent, code)
	require.Equal(t, delivery.EventParked, s.journal.all()[0].Type)
}
