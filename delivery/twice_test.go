package delivery_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
)

// told is a record of events given as type, attempt and SID.
func told(events ...delivery.Event) (r delivery.Record) {
	for i, e := range events {
		change := valid().Happened(e.Type, e.Attempt, dawn, string(rune('a'+i)))
		change.SID = e.SID
		r = r.Apply(change)
	}
	return r
}

func TestTwiceConvictsAMessageTooMany(t *testing.T) {
	t.Parallel()
	type e = delivery.Event
	for _, c := range []struct {
		name   string
		events []e
		twice  []string
	}{
		{"one message", []e{{Type: delivery.EventQueued, Attempt: 1, SID: "SM1"}, {Type: delivery.EventDelivered, Attempt: 1, SID: "SM1"}}, nil},
		{"two of one attempt", []e{{Type: delivery.EventQueued, Attempt: 1, SID: "SM1"}, {Type: delivery.EventSent, Attempt: 1, SID: "SM2"}}, []string{"SM2"}},
		{"a second after an unclear one", []e{
			{Type: delivery.EventUnknown, Attempt: 1}, {Type: delivery.EventQueued, Attempt: 2, SID: "SM2"}, {Type: delivery.EventSent, Attempt: 1, SID: "SM1"},
		}, []string{"SM2"}},
		{"a second after one that failed", []e{
			{Type: delivery.EventUndelivered, Attempt: 1, SID: "SM1"}, {Type: delivery.EventQueued, Attempt: 2, SID: "SM2"},
		}, nil},
		{"which arrived after all", []e{
			{Type: delivery.EventUndelivered, Attempt: 1, SID: "SM1"}, {Type: delivery.EventQueued, Attempt: 2, SID: "SM2"},
			{Type: delivery.EventDelivered, Attempt: 1, SID: "SM1"},
		}, []string{"SM2"}},
		{"told already", []e{
			{Type: delivery.EventQueued, Attempt: 1, SID: "SM1"}, {Type: delivery.EventSent, Attempt: 1, SID: "SM2"},
			{Type: delivery.EventDuplicate, Attempt: 1, SID: "SM2"},
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.twice, append([]string(nil), told(c.events...).Twice()...))
		})
	}
}

func TestUnclearCountsAttemptsOfThisLife(t *testing.T) {
	t.Parallel()
	r := told(delivery.Event{Type: delivery.EventSending, Attempt: 1}, delivery.Event{Type: delivery.EventUnknown, Attempt: 1},
		delivery.Event{Type: delivery.EventUnknown, Attempt: 1}, delivery.Event{Type: delivery.EventUnknown, Attempt: 3})
	require.Equal(t, 2, r.Unclear(0))
	require.Equal(t, 1, r.Unclear(2))
	require.True(t, r.Begins(1))
	require.False(t, r.Begins(3))
	require.True(t, r.Unknown(3))
	require.False(t, r.Unknown(2))
}

func TestTriesCountFromTheRedrive(t *testing.T) {
	t.Parallel()
	require.Equal(t, 3, delivery.Task{Attempt: 3}.Tries())
	require.Equal(t, 1, delivery.Task{Attempt: 9, Redriven: 9}.Tries())
}
