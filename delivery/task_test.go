package delivery_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
)

func TestIntentIsASendingEventWithoutPayload(t *testing.T) {
	t.Parallel()
	intent := delivery.Intent{Job: valid(), Category: delivery.Marketing, Attempt: 2, Token: "t0", At: dawn}
	intent.Job.Category = ""
	event, ok := delivery.Entry{Intent: &intent}.AsEvent()
	require.True(t, ok)
	require.Equal(t, delivery.Event{
		ID: "sending:t0", Type: delivery.EventSending, At: dawn, Job: "order-42", Attempt: 2,
		From: valid().From, To: valid().To, Status: delivery.StatusSending, Category: delivery.Marketing,
	}, event)

	got, ok := delivery.Entry{Event: &event}.AsEvent()
	require.True(t, ok)
	require.Equal(t, event, got)
	_, ok = delivery.Entry{Seq: 7}.AsEvent()
	require.False(t, ok, "a line of another version")
}

func TestFaultTellsItsKindAndCode(t *testing.T) {
	t.Parallel()
	require.EqualError(t, &delivery.Fault{Kind: delivery.FaultUnknown, Message: "time-out"}, "unknown: time-out")
	fault := &delivery.Fault{Kind: delivery.FaultLimit, Code: 63018, Message: "rate limit exceeded"}
	require.EqualError(t, fault, "limit: 63018 rate limit exceeded")
	require.Equal(t, &delivery.Error{Code: 63018, Message: "rate limit exceeded"}, fault.Described())
}

func TestActionsHaveNames(t *testing.T) {
	t.Parallel()
	for action, name := range map[delivery.Action]string{
		delivery.Ack: "ack", delivery.Park: "park", delivery.Schedule: "schedule", delivery.HandBack: "hand back",
	} {
		require.Equal(t, name, action.String())
	}
}
