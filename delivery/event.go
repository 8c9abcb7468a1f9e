package delivery

import (
	"time"
)

// EventType is the kind of a change.
type EventType string

// Every type of event. Those up to redriven change a job's state; the others
// tell of something beside it.
const (
	EventAccepted    EventType = "accepted"
	EventScheduled   EventType = "scheduled"
	EventParked      EventType = "parked"
	EventReleased    EventType = "released"
	EventSending     EventType = "sending"
	EventUnknown     EventType = "unknown"
	EventHeld        EventType = "held"
	EventQueued      EventType = "queued"
	EventSent        EventType = "sent"
	EventDelivered   EventType = "delivered"
	EventRead        EventType = "read"
	EventUndelivered EventType = "undelivered"
	EventFailed      EventType = "failed"
	EventExpired     EventType = "expired"
	EventSuppressed  EventType = "suppressed"
	EventRejected    EventType = "rejected"
	EventCanceled    EventType = "canceled"
	EventRedriven    EventType = "redriven"

	EventDuplicate EventType = "duplicate"
	EventInbound   EventType = "inbound"
	EventConsent   EventType = "consent"
	EventSender    EventType = "sender"
	EventPool      EventType = "pool"
)

// beside is the rank of events that change no state.
const beside = -1

// standing is what an event type means for a job: the status it brings and its
// rank within an attempt. Equal ranks may follow each other any number of
// times; a lower one never overrides a higher one.
var standing = map[EventType]struct {
	status Status
	rank   int
}{
	EventRejected: {StatusRejected, 0}, // stands alone: a refused message never becomes a job
	EventAccepted: {StatusAccepted, 1},
	EventRedriven: {StatusAccepted, 1},

	EventScheduled: {StatusScheduled, 2},
	EventParked:    {StatusParked, 2},
	EventReleased:  {StatusParked, 2}, // until it is sent: a state never moves backwards

	EventSending: {StatusSending, 3},
	EventUnknown: {StatusUnknown, 4},
	EventHeld:    {StatusHeld, 5},
	EventQueued:  {StatusQueued, 6},
	EventSent:    {StatusSent, 7},

	// The provider may deliver after it reported a failure, never the reverse.
	EventUndelivered: {StatusUndelivered, 8},
	EventFailed:      {StatusFailed, 8},
	EventExpired:     {StatusExpired, 8},
	EventSuppressed:  {StatusSuppressed, 8},
	EventCanceled:    {StatusCanceled, 8},

	EventDelivered: {StatusDelivered, 9},
	EventRead:      {StatusRead, 10},
}

// Status is the status the event brings a job to, empty if it changes none.
func (t EventType) Status() Status { return standing[t].status }

// Known reports whether t is a type this version knows.
func (t EventType) Known() bool {
	if _, ok := standing[t]; ok {
		return true
	}
	switch t {
	case EventDuplicate, EventInbound, EventConsent, EventSender, EventPool:
		return true
	}
	return false
}

func (t EventType) rank() int {
	if s, ok := standing[t]; ok {
		return s.rank
	}
	return beside
}

// Error is what the provider, or Sluice itself (code 0), says is wrong.
type Error struct {
	Code    int    `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
}

// Event is one change, as published on sluice.events.<sender>.<type>. It never
// carries the text or the variables of a message.
type Event struct {
	// ID is unique per change: the same change told twice has the same id.
	ID   string    `json:"id"`
	Type EventType `json:"type"`
	At   time.Time `json:"at"`
	// Job and Attempt say which POST of which job; attempts count from 1. A
	// rejected message has attempt 0.
	Job     string `json:"job,omitempty"`
	Attempt int    `json:"attempt,omitempty"`
	// From and To are the sender's and the customer's address; in an inbound
	// event the customer is From.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	// SID is the provider's name for the message.
	SID    string `json:"sid,omitempty"`
	Status Status `json:"status,omitempty"`
	// Category is the job's own or, where it names none, the one that Meta had
	// put its template into by then; empty where nobody knew.
	Category Category          `json:"category,omitempty"`
	Reason   string            `json:"reason,omitempty"`
	Error    *Error            `json:"error,omitempty"`
	Metadata map[string]string `json:"metadata,omitempty"`
	// Trace is the traceparent of a sending event, where jobs are traced.
	Trace string `json:"traceparent,omitempty"`
}

// Sender is the token of the sender the event belongs to.
func (e Event) Sender() string {
	if e.Type == EventInbound {
		return SenderToken(e.To)
	}
	return SenderToken(e.From)
}

// Customer is the address of the customer the event belongs to.
func (e Event) Customer() string {
	if e.Type == EventInbound {
		return e.From
	}
	return e.To
}

// Happened starts an event of a job. The id is left to the caller: a change
// that can be told twice needs one that both tellings share.
func (j Job) Happened(t EventType, attempt int, at time.Time, id string) Event {
	return Event{
		ID: id, Type: t, At: at.UTC(), Job: j.ID, Attempt: attempt,
		From: j.Origin(), To: j.To, Status: t.Status(), Category: j.Category, Metadata: j.Metadata,
	}
}
