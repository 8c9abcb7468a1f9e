package delivery_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
)

// report is the provider's word that an attempt was not delivered.
func report(t delivery.EventType, attempt, code int) delivery.Event {
	e := valid().Happened(t, attempt, dawn, delivery.ReportID("SM1", string(t), code))
	e.SID, e.Error = "SM1", &delivery.Error{Code: code}
	return e
}

// TestWhatWaitsAgain: what a limit stopped, and free form whose job has a
// template too. It keeps its id and becomes the next attempt.
func TestWhatWaitsAgain(t *testing.T) {
	t.Parallel()
	both := valid()
	both.Body = "hello"
	sent := delivery.Intent{Job: both, Attempt: 2, FreeForm: true}
	for _, failed := range []delivery.EventType{delivery.EventUndelivered, delivery.EventFailed} {
		for code, reason := range map[int]string{delivery.CodeLimit: delivery.ReasonLimit, delivery.CodeWindow: delivery.ReasonWindow} {
			want := report(failed, 2, code)
			want.Type, want.Status, want.Attempt, want.SID, want.Reason = delivery.EventParked, delivery.StatusParked, 3, "", reason
			got := report(failed, 2, code).WaitsAgain(sent)
			require.Equal(t, want, got)
			require.True(t, got.CameBack())
			require.Equal(t, got, got.WaitsAgain(sent), "asked again")
		}
	}
	asTemplate, later := sent, sent
	asTemplate.FreeForm, later.Attempt = false, 3
	for name, e := range map[string]delivery.Event{
		"not known what was sent":  report(delivery.EventUndelivered, 2, delivery.CodeWindow).WaitsAgain(delivery.Intent{}),
		"the template was sent":    report(delivery.EventUndelivered, 2, delivery.CodeWindow).WaitsAgain(asTemplate),
		"a later attempt is begun": report(delivery.EventUndelivered, 2, delivery.CodeWindow).WaitsAgain(later),
		"another error":            report(delivery.EventUndelivered, 2, 63024).WaitsAgain(sent),
		"no failure":               report(delivery.EventSent, 2, delivery.CodeLimit).WaitsAgain(sent),
		"no job":                   delivery.Event{Type: delivery.EventFailed, Attempt: 2, Error: &delivery.Error{Code: delivery.CodeLimit}}.WaitsAgain(sent),
	} {
		require.False(t, e.CameBack(), name)
		require.NotEqual(t, delivery.EventParked, e.Type, name)
	}
}

func TestComebacksCountAttemptsOfThisLife(t *testing.T) {
	t.Parallel()
	var r delivery.Record
	for attempt := 1; attempt <= 6; attempt++ {
		e := report(delivery.EventUndelivered, attempt, delivery.CodeLimit)
		e.ID += string(rune('0' + attempt))
		r = r.Apply(e.WaitsAgain(delivery.Intent{}))
	}
	r = r.Apply(valid().Happened(delivery.EventParked, 9, dawn, "for another reason"))
	require.Equal(t, 6, r.Comebacks(0, 10))
	require.Equal(t, 5, r.Comebacks(0, 6))
	require.Equal(t, 2, r.Comebacks(4, 6))
}

// TestARecordNamesTheSenderAsTheJobDoes: the reports on a messaging service's
// message name the number it chose, whatever comes first.
func TestARecordNamesTheSenderAsTheJobDoes(t *testing.T) {
	t.Parallel()
	job := valid()
	job.From, job.MessagingServiceSID = "", service
	accepted, told := job.Happened(delivery.EventAccepted, 1, dawn, "accepted"), report(delivery.EventSent, 1, 0)
	require.NotEqual(t, service, told.From)
	require.Equal(t, service, fold(told, accepted).From)
	require.Equal(t, service, fold(accepted, told).From)
}
