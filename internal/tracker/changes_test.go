package tracker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/tracker"
	"github.com/sluicehq/sluice/ratelimit"
)

const (
	from     = "whatsapp:+15550001111"
	customer = "whatsapp:+491701234567"
)

var at = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func event(t delivery.EventType) delivery.Event {
	return delivery.Event{
		ID: "e", Type: t, At: at, Job: "a", Attempt: 2, From: from, To: customer, SID: "SM1", Status: t.Status(),
	}
}

func kinds(changes []ratelimit.Change) []ratelimit.ChangeKind {
	var k []ratelimit.ChangeKind
	for _, c := range changes {
		k = append(k, c.Kind)
	}
	return k
}

// everyType lists the types of events, and says what each means for the gate.
var everyType = map[delivery.EventType][]ratelimit.ChangeKind{
	delivery.EventAccepted: nil, delivery.EventScheduled: nil, delivery.EventParked: nil, delivery.EventReleased: nil,
	delivery.EventSending: nil, delivery.EventHeld: nil, delivery.EventRejected: nil, delivery.EventRedriven: nil,
	delivery.EventDuplicate: nil, delivery.EventConsent: nil, delivery.EventSender: nil, delivery.EventPool: nil,
	delivery.EventUnknown:     {ratelimit.Progress},
	delivery.EventQueued:      {ratelimit.Progress},
	delivery.EventSent:        {ratelimit.Progress},
	delivery.EventDelivered:   {ratelimit.Progress, ratelimit.Ended},
	delivery.EventRead:        {ratelimit.Progress, ratelimit.Ended},
	delivery.EventUndelivered: {ratelimit.Failed, ratelimit.Ended},
	delivery.EventFailed:      {ratelimit.Failed, ratelimit.Ended},
	delivery.EventSuppressed:  {ratelimit.Failed, ratelimit.Ended},
	delivery.EventExpired:     {ratelimit.Ended},
	delivery.EventCanceled:    {ratelimit.Ended},
	delivery.EventInbound:     {ratelimit.Inbound},
}

func TestChangesOfEvents(t *testing.T) {
	t.Parallel()
	for eventType, want := range everyType {
		e := event(eventType)
		if eventType == delivery.EventInbound {
			e.From, e.To, e.Job, e.Attempt = customer, from, "", 0
		}
		changes := tracker.Changes(delivery.Entry{Event: &e})
		require.Equal(t, want, kinds(changes), eventType)
		for _, c := range changes {
			require.Equal(t, e.Job, c.Job)
			require.Equal(t, e.Attempt, c.Attempt)
			require.Equal(t, at, c.At)
			require.Equal(t, "15550001111", c.Sender)
			require.Equal(t, "491701234567", c.Customer)
			require.Equal(t, "SM1", c.SID)
			require.Equal(t, string(eventType.Status()), c.Status)
		}
	}
	for _, status := range delivery.Statuses() {
		_, listed := everyType[delivery.EventType(status)]
		require.True(t, listed, "an event for each status: %s", status)
	}
}

// TestARefusalFreesTheAttemptBefore: an event that brings a next attempt and an
// error says that the one before was refused; without an error nobody knows.
func TestARefusalFreesTheAttemptBefore(t *testing.T) {
	t.Parallel()
	for _, eventType := range []delivery.EventType{delivery.EventScheduled, delivery.EventParked} {
		e := event(eventType)
		require.Empty(t, tracker.Changes(delivery.Entry{Event: &e}), "not found is not refused")

		e.Error = &delivery.Error{Code: 20429}
		changes := tracker.Changes(delivery.Entry{Event: &e})
		require.Equal(t, []ratelimit.ChangeKind{ratelimit.Failed}, kinds(changes))
		require.Equal(t, 1, changes[0].Attempt)

		e.Attempt = 1
		require.Empty(t, tracker.Changes(delivery.Entry{Event: &e}))
	}
}

func intent() delivery.Intent {
	job := delivery.Job{ID: "a", From: from, To: customer, Body: "hello"}.WithDefaults("")
	return delivery.Intent{Job: job, Attempt: 2, Token: "token", At: at, Pool: "pool", Counted: true}
}

func TestChangesOfIntents(t *testing.T) {
	t.Parallel()
	i := intent()
	require.Equal(t, []ratelimit.Change{{
		Kind: ratelimit.Intent, Job: "a", Attempt: 2, At: at, Token: "token", Digest: i.Job.Digest(),
		Sender: "15550001111", Pool: "pool", Customer: "491701234567", Counted: true,
	}}, tracker.Changes(delivery.Entry{Intent: &i}))
	require.Empty(t, tracker.Changes(delivery.Entry{Seq: 1}), "an entry that cannot be read")
}

// TestNoEntryStopsTheGate: whatever stands in the log, the gate takes the
// changes made of it. One that it refused would stop all that follow.
func TestNoEntryStopsTheGate(t *testing.T) {
	t.Parallel()
	rdb := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr(), MaxRetries: -1})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	gate := ratelimit.New(rdb, ratelimit.Options{Epoch: "life", Now: func() time.Time { return at }})
	position := uint64(0)
	apply := func(name string, e delivery.Entry) {
		require.NoError(t, gate.Apply(t.Context(), position, position+1, tracker.Changes(e)), name)
		position++
	}
	spoil := map[string]func(*delivery.Event){
		"whole":       func(*delivery.Event) {},
		"no job":      func(e *delivery.Event) { e.Job = "" },
		"no attempt":  func(e *delivery.Event) { e.Attempt = 0 },
		"below":       func(e *delivery.Event) { e.Attempt = -1 },
		"no time":     func(e *delivery.Event) { e.At = time.Time{} },
		"no sender":   func(e *delivery.Event) { e.From, e.To = customer, "" },
		"no customer": func(e *delivery.Event) { e.From, e.To = "", from },
		"nobody":      func(e *delivery.Event) { e.From, e.To = "", "" },
		"refused":     func(e *delivery.Event) { e.Error = &delivery.Error{} },
		"no sid":      func(e *delivery.Event) { e.SID = "" },
	}
	for eventType := range everyType {
		for name, change := range spoil {
			e := event(eventType)
			change(&e)
			apply(fmt.Sprintf("%s, %s", eventType, name), delivery.Entry{Event: &e})
		}
	}
	for name, change := range map[string]func(*delivery.Intent){
		"whole":       func(*delivery.Intent) {},
		"no job":      func(i *delivery.Intent) { i.Job.ID = "" },
		"no attempt":  func(i *delivery.Intent) { i.Attempt = 0 },
		"no time":     func(i *delivery.Intent) { i.At = time.Time{} },
		"no token":    func(i *delivery.Intent) { i.Token = "" },
		"no pool":     func(i *delivery.Intent) { i.Pool = "" },
		"no sender":   func(i *delivery.Intent) { i.Job.From = "" },
		"no customer": func(i *delivery.Intent) { i.Job.To = "" },
	} {
		i := intent()
		change(&i)
		apply(name, delivery.Entry{Intent: &i})
	}
}
