package delivery_test

import (
	"encoding/json"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluicehq/sluice/delivery"
)

var dawn = time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC)

// step is an event of the job "a", so many seconds after dawn.
func step(t delivery.EventType, attempt, second int) delivery.Event {
	return delivery.Event{
		ID: string(t) + ":" + strconv.Itoa(attempt), Type: t, At: dawn.Add(time.Duration(second) * time.Second),
		Job: "a", Attempt: attempt, From: "whatsapp:+15550001000", To: "whatsapp:+491700000001", Status: t.Status(),
	}
}

func fold(events ...delivery.Event) (r delivery.Record) {
	for _, e := range events {
		r = r.Apply(e)
	}
	return r
}

func TestApplyInTheOrdersOfPractice(t *testing.T) {
	t.Parallel()
	type events = []delivery.Event
	before := events{step(delivery.EventAccepted, 1, 0), step(delivery.EventSending, 1, 1), step(delivery.EventQueued, 1, 2)}
	limit := step(delivery.EventUndelivered, 1, 5)
	limit.Error = &delivery.Error{Code: 63018, Message: "rate limit exceeded"}
	conflict := step(delivery.EventRejected, 0, 9)
	conflict.Reason = delivery.ReasonConflict
	// A message given up, whose SID is named after the next attempt was planned.
	of := func(sid string, e delivery.Event) delivery.Event {
		e.SID = sid
		return e
	}
	arrived := events{step(delivery.EventUnknown, 1, 3), step(delivery.EventScheduled, 2, 4), of("SM1", step(delivery.EventQueued, 2, 6))}
	cases := []struct {
		name    string
		events  events
		status  delivery.Status
		attempt int
	}{
		{"as it should be", append(before, step(delivery.EventSent, 1, 3), step(delivery.EventDelivered, 1, 4), step(delivery.EventRead, 1, 5)), delivery.StatusRead, 1},
		{"delivered, then sent", append(before, step(delivery.EventDelivered, 1, 4), step(delivery.EventSent, 1, 3)), delivery.StatusDelivered, 1},
		{"delivered, then sent by a later clock", append(before, step(delivery.EventDelivered, 1, 4), step(delivery.EventSent, 1, 9)), delivery.StatusDelivered, 1},
		{"undelivered, then delivered", append(before, step(delivery.EventUndelivered, 1, 4), step(delivery.EventDelivered, 1, 5)), delivery.StatusDelivered, 1},
		{"delivered, then undelivered", append(before, step(delivery.EventDelivered, 1, 4), step(delivery.EventUndelivered, 1, 5)), delivery.StatusDelivered, 1},
		{"read only", append(before, step(delivery.EventRead, 1, 9)), delivery.StatusRead, 1},
		{"read before the answer to the POST", events{step(delivery.EventRead, 1, 9), step(delivery.EventQueued, 1, 10)}, delivery.StatusRead, 1},
		{"sent before accepted is told", events{step(delivery.EventSent, 1, 3), step(delivery.EventAccepted, 1, 0)}, delivery.StatusSent, 1},
		{"sent, then the queued of a lost answer", append(before, step(delivery.EventUnknown, 1, 3), step(delivery.EventSent, 1, 4)), delivery.StatusSent, 1},
		{"unknown, then the answer", append(before[:2:2], step(delivery.EventUnknown, 1, 3), step(delivery.EventQueued, 1, 4)), delivery.StatusQueued, 1},
		{"unknown, held", append(before[:2:2], step(delivery.EventHeld, 1, 4), step(delivery.EventUnknown, 1, 3)), delivery.StatusHeld, 1},
		{"parked and released", events{step(delivery.EventAccepted, 1, 0), step(delivery.EventParked, 1, 1), step(delivery.EventReleased, 1, 2)}, delivery.StatusParked, 1},
		{"released, then parked again", events{step(delivery.EventReleased, 1, 2), step(delivery.EventParked, 1, 3)}, delivery.StatusParked, 1},
		{"63018, then parked", append(before, limit, step(delivery.EventParked, 2, 6)), delivery.StatusParked, 2},
		{"63018 told after parked", append(before, step(delivery.EventParked, 2, 6), limit), delivery.StatusParked, 2},
		{"late sent of the first attempt", append(before, limit, step(delivery.EventSending, 2, 7), step(delivery.EventSent, 1, 8)), delivery.StatusSending, 2},
		{"arrived after all, and delivered", append(arrived, of("SM1", step(delivery.EventDelivered, 1, 9))), delivery.StatusDelivered, 2},
		{"sent, and then found to have arrived", append(events{of("SM1", step(delivery.EventSent, 1, 5))}, arrived...), delivery.StatusSent, 2},
		{"redriven", append(before, step(delivery.EventFailed, 1, 4), step(delivery.EventRedriven, 2, 5)), delivery.StatusAccepted, 2},
		{"cancelled while parked", events{step(delivery.EventParked, 1, 1), step(delivery.EventCanceled, 1, 2)}, delivery.StatusCanceled, 1},
		{"refused, and later accepted under this id", events{step(delivery.EventRejected, 0, 0), step(delivery.EventAccepted, 1, 5)}, delivery.StatusAccepted, 1},
		{"accepted, and a bad copy refused", events{step(delivery.EventAccepted, 1, 0), step(delivery.EventRejected, 0, 5)}, delivery.StatusAccepted, 1},
		{"accepted, and other content refused", events{conflict, step(delivery.EventAccepted, 1, 0), conflict}, delivery.StatusAccepted, 1},
		{"other content refused", events{conflict}, "", 0},
		{"a copy found", append(before, step(delivery.EventDuplicate, 2, 8)), delivery.StatusQueued, 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := fold(c.events...)
			require.Equal(t, c.status, r.Status)
			require.Equal(t, c.attempt, r.Attempt)
			slices.Reverse(c.events)
			require.Equal(t, r, fold(c.events...))
		})
	}
}

func TestApplyFillsTheRecord(t *testing.T) {
	t.Parallel()
	accepted := step(delivery.EventAccepted, 1, 10)
	accepted.Metadata = map[string]string{"order": "42"}
	failed := step(delivery.EventFailed, 1, 12)
	failed.SID, failed.Reason, failed.Error = "SM1", "given up", &delivery.Error{Code: 63024}
	parked := step(delivery.EventParked, 2, 11)
	bare := delivery.Event{ID: "bare", Type: delivery.EventReleased, At: dawn, Job: "a", Attempt: 2}

	r := fold(failed, accepted)
	require.Equal(t, delivery.Record{
		ID: "a", Status: delivery.StatusFailed, Attempt: 1, From: accepted.From, To: accepted.To, SID: "SM1",
		Reason: "given up", Error: failed.Error, CreatedAt: accepted.At, UpdatedAt: failed.At,
		Metadata: accepted.Metadata, Timeline: []delivery.Event{accepted, failed},
	}, r)

	r = r.Apply(parked).Apply(bare)
	require.Equal(t, delivery.Record{
		ID: "a", Status: delivery.StatusParked, Attempt: 2, From: accepted.From, To: accepted.To, SID: "SM1",
		CreatedAt: bare.At, UpdatedAt: failed.At,
		Metadata: accepted.Metadata, Timeline: []delivery.Event{accepted, failed, bare, parked},
	}, r)
}

func TestApplyIgnoresOtherJobs(t *testing.T) {
	t.Parallel()
	r := fold(step(delivery.EventAccepted, 1, 0))
	other := step(delivery.EventSent, 1, 1)
	other.Job = "b"
	require.Equal(t, r, r.Apply(other))
	other.Job = ""
	require.Equal(t, r, r.Apply(other))
	require.Zero(t, fold(other))
}

func TestApplyLeavesItsReceiverAlone(t *testing.T) {
	t.Parallel()
	r := fold(step(delivery.EventAccepted, 1, 0), step(delivery.EventSent, 1, 3))
	r.Timeline = slices.Grow(r.Timeline, 8)
	before := slices.Clone(r.Timeline)
	_ = r.Apply(step(delivery.EventParked, 1, 1))
	_ = r.Apply(step(delivery.EventSent, 1, 2))
	require.Equal(t, before, r.Timeline)
}

func TestSent(t *testing.T) {
	t.Parallel()
	queued := step(delivery.EventQueued, 1, 2)
	queued.SID = "SM1"
	r := fold(queued, step(delivery.EventSending, 2, 5))
	sid, ok := r.Sent(1)
	require.True(t, ok)
	require.Equal(t, "SM1", sid)
	_, ok = r.Sent(2)
	require.False(t, ok)
}

func TestCanceledSince(t *testing.T) {
	t.Parallel()
	canceled, byProvider := step(delivery.EventCanceled, 2, 2), step(delivery.EventCanceled, 2, 2)
	byProvider.SID = "SM1"
	require.True(t, fold(canceled).CanceledSince(1))
	require.True(t, fold(canceled).CanceledSince(2))
	require.False(t, fold(canceled).CanceledSince(3))
	require.False(t, fold(byProvider).CanceledSince(1), "of a message, not of the job")
	require.False(t, fold(canceled, step(delivery.EventRedriven, 3, 3)).CanceledSince(1))
	require.False(t, fold().CanceledSince(0))
}

// life ranks statuses within an attempt, as in the contract's order of states.
var life = map[delivery.Status]int{
	delivery.StatusRejected: 0, delivery.StatusAccepted: 1, delivery.StatusScheduled: 2, delivery.StatusParked: 2,
	delivery.StatusSending: 3, delivery.StatusUnknown: 4, delivery.StatusHeld: 5, delivery.StatusQueued: 6, delivery.StatusSent: 7,
	delivery.StatusUndelivered: 8, delivery.StatusFailed: 8, delivery.StatusExpired: 8, delivery.StatusSuppressed: 8,
	delivery.StatusCanceled: 8, delivery.StatusDelivered: 9, delivery.StatusRead: 10,
}

var everyType = []delivery.EventType{
	delivery.EventAccepted, delivery.EventScheduled, delivery.EventParked, delivery.EventReleased, delivery.EventSending,
	delivery.EventUnknown, delivery.EventHeld, delivery.EventQueued, delivery.EventSent, delivery.EventDelivered,
	delivery.EventRead, delivery.EventUndelivered, delivery.EventFailed, delivery.EventExpired, delivery.EventSuppressed,
	delivery.EventRejected, delivery.EventCanceled, delivery.EventRedriven, delivery.EventDuplicate, delivery.EventInbound,
	delivery.EventConsent, delivery.EventSender, delivery.EventPool, "of another version",
}

// drawStep makes an event of the job "a" whose id fixes all but its time, so
// that events drawn twice are one change told twice.
func drawStep(t *rapid.T) delivery.Event {
	e := step(rapid.SampledFrom(everyType).Draw(t, "type"), rapid.IntRange(0, 3).Draw(t, "attempt"), rapid.IntRange(0, 9).Draw(t, "second"))
	switch variant := rapid.IntRange(0, 3).Draw(t, "variant"); variant {
	case 1:
		e.SID = "SM" + strconv.Itoa(e.Attempt)
		e.Category = delivery.Categories()[e.Attempt]
	case 2:
		e.From, e.Reason, e.Error = "", "because", &delivery.Error{Code: 1}
	case 3:
		e.To, e.Metadata = "whatsapp:US.1", map[string]string{"k": e.ID}
	default:
		return e
	}
	e.ID += ":" + strconv.Itoa(len(e.SID)+10*len(e.Reason)+100*len(e.Metadata))
	return e
}

func TestApplyDependsOnlyOnTheSet(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		events := rapid.SliceOfN(rapid.Custom(drawStep), 0, 30).Draw(t, "events")
		want := fold(events...)
		require.Equal(t, want, fold(rapid.Permutation(events).Draw(t, "order")...))
		require.Equal(t, want, fold(append(slices.Clone(events), rapid.Permutation(events).Draw(t, "again")...)...))

		text, err := json.Marshal(want)
		require.NoError(t, err)
		var stored delivery.Record
		require.NoError(t, json.Unmarshal(text, &stored))
		require.Equal(t, want, stored)
		for _, e := range events {
			require.Equal(t, want, stored.Apply(e), "told again after a restart")
		}
	})
}

func TestApplyNeverMovesBack(t *testing.T) {
	t.Parallel()
	require.Len(t, life, len(delivery.Statuses()))
	rapid.Check(t, func(t *rapid.T) {
		var r delivery.Record
		for _, e := range rapid.SliceOfN(rapid.Custom(drawStep), 1, 30).Draw(t, "events") {
			next := r.Apply(e)
			if e.Type == delivery.EventRejected && r.Status != "" && r.Status != delivery.StatusRejected {
				require.Equal(t, r, next, "a refusal never touches a job that exists")
			}
			if e.Type == delivery.EventRejected || r.Status == delivery.StatusRejected {
				r = next // what was refused gives way to any job of its id
				continue
			}
			require.GreaterOrEqual(t, next.Attempt, r.Attempt)
			if next.Attempt == r.Attempt && r.Status != "" {
				require.GreaterOrEqual(t, life[next.Status], life[r.Status], "%s after %s", next.Status, r.Status)
			}
			if status := e.Type.Status(); status != "" {
				require.GreaterOrEqual(t, next.Attempt, e.Attempt, "the higher attempt wins")
			}
			require.False(t, next.CreatedAt.After(next.UpdatedAt))
			require.LessOrEqual(t, len(r.Timeline), len(next.Timeline))
			r = next
		}
	})
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	for _, s := range delivery.Statuses() {
		require.True(t, s.Valid())
		ended := life[s] >= 8 || s == delivery.StatusRejected
		require.Equal(t, ended, s.Ended(), s)
	}
	require.False(t, delivery.Status("").Valid())
	require.False(t, delivery.Status("Sent").Valid())
	for _, e := range everyType[:len(everyType)-1] {
		require.True(t, e.Known(), e)
		require.True(t, e.Status() == "" || e.Status().Valid(), e)
	}
	require.False(t, everyType[len(everyType)-1].Known())
}

func TestEventParties(t *testing.T) {
	t.Parallel()
	out := step(delivery.EventSent, 1, 0)
	require.Equal(t, "15550001000", out.Sender())
	require.Equal(t, out.To, out.Customer())
	in := delivery.Event{Type: delivery.EventInbound, From: out.To, To: out.From}
	require.Equal(t, "15550001000", in.Sender())
	require.Equal(t, out.To, in.Customer())
}

// FuzzApply: no event panics, and telling events twice or backwards changes
// nothing.
func FuzzApply(f *testing.F) {
	f.Add([]byte(`[{"id":"1","type":"sent","at":"2026-03-01T06:00:00Z","job":"a","attempt":1},{"id":"2","type":"accepted","job":"a"}]`))
	f.Add([]byte(`[{"id":"1","type":"sent","job":"a","attempt":-1},{"id":"1","type":"nonsense","job":"b"}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var events []delivery.Event
		if json.Unmarshal(data, &events) != nil {
			return
		}
		r := fold(events...)
		_, _ = r.Sent(1)
		// One id stands for one change of one job; only its time may differ.
		seen := make(map[string]delivery.Event)
		for _, e := range events {
			told := e
			told.At = time.Time{}
			if first, ok := seen[e.ID]; ok && !sameEvent(first, told) || e.Job != events[0].Job {
				return
			}
			seen[e.ID] = told
		}
		again := fold(append(slices.Clone(events), events...)...)
		require.True(t, sameRecord(r, again))
		slices.Reverse(events)
		require.True(t, sameRecord(r, fold(events...)))
	})
}

func sameEvent(a, b delivery.Event) bool { return sameText(a, b) }

// sameRecord compares instants, not their zones.
func sameRecord(a, b delivery.Record) bool { return sameText(inUTC(a), inUTC(b)) }

func inUTC(r delivery.Record) delivery.Record {
	r.CreatedAt, r.UpdatedAt = r.CreatedAt.UTC(), r.UpdatedAt.UTC()
	r.Timeline = slices.Clone(r.Timeline)
	for i := range r.Timeline {
		r.Timeline[i].At = r.Timeline[i].At.UTC()
	}
	return r
}

// sameText compares as JSON, or both as not writable: a zone may take a time
// to a year without a text.
func sameText(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return (errX == nil) == (errY == nil) && string(x) == string(y)
}
