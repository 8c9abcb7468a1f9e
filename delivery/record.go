package delivery

import (
	"cmp"
	"slices"
	"time"
)

// Record is the state of one job: the set of events seen of it, and what
// follows from them. The zero value is a job nothing is known of.
type Record struct {
	ID        string            `json:"id"`
	Status    Status            `json:"status"`
	Attempt   int               `json:"attempt"`
	From      string            `json:"from,omitempty"`
	To        string            `json:"to,omitempty"`
	Category  Category          `json:"category,omitempty"`
	SID       string            `json:"sid,omitempty"`
	Reason    string            `json:"reason,omitempty"`
	Error     *Error            `json:"error,omitempty"`
	CreatedAt time.Time         `json:"created_at"`
	UpdatedAt time.Time         `json:"updated_at"`
	Metadata  map[string]string `json:"metadata,omitempty"`
	Timeline  []Event           `json:"timeline,omitempty"`
}

// Apply adds an event and returns the record that follows. It takes every
// event, in any order and any number of times: the result depends only on the
// set of events applied. Events of other jobs, and refusals of messages that
// only bore this job's id, change nothing.
func (r Record) Apply(e Event) Record {
	if e.Job == "" || (r.ID != "" && e.Job != r.ID) || e.Reason == ReasonConflict {
		return r
	}
	timeline := slices.Clone(r.Timeline)
	if i := slices.IndexFunc(timeline, func(seen Event) bool { return seen.ID == e.ID }); i >= 0 {
		if compareEvents(timeline[i], e) <= 0 {
			return r // told before; of two tellings the first in order stands
		}
		timeline = slices.Delete(timeline, i, i+1)
	}
	r.Timeline = withoutRefusals(append(timeline, e))
	return r.read()
}

// withoutRefusals drops refusals from the story of a job that exists: they
// tell of messages that only bore its id.
func withoutRefusals(timeline []Event) []Event {
	exists := slices.ContainsFunc(timeline, func(e Event) bool { return e.Type.rank() > EventRejected.rank() })
	if !exists {
		return timeline
	}
	return slices.DeleteFunc(timeline, func(e Event) bool { return e.Type == EventRejected })
}

// ReasonConflict marks the refusal of a message whose id belongs to a job with
// other content.
const ReasonConflict = "conflict"

// compareEvents is the canonical order: attempt, rank, time, and at last the
// id, so that no two different events are equal.
func compareEvents(a, b Event) int {
	return cmp.Or(
		cmp.Compare(a.Attempt, b.Attempt),
		cmp.Compare(a.Type.rank(), b.Type.rank()),
		a.At.Compare(b.At),
		cmp.Compare(a.ID, b.ID),
	)
}

// read derives every field from the timeline, first event to last, so that the
// highest in the canonical order has the last word.
func (r Record) read() Record {
	last := lastAttempts(r.Timeline)
	slices.SortFunc(r.Timeline, func(a, b Event) int { return compareEvents(last.of(a), last.of(b)) })
	next := Record{Timeline: r.Timeline}
	for _, told := range r.Timeline {
		e := last.of(told)
		next.ID = e.Job
		// The first names the parties as the job does; the provider's reports
		// name the number that a messaging service chose.
		next.From = cmp.Or(next.From, e.From)
		next.To = cmp.Or(next.To, e.To)
		next.Category = cmp.Or(e.Category, next.Category)
		next.SID = cmp.Or(e.SID, next.SID)
		if len(e.Metadata) > 0 {
			next.Metadata = e.Metadata
		}
		if next.CreatedAt.IsZero() || e.At.Before(next.CreatedAt) {
			next.CreatedAt = e.At
		}
		if e.At.After(next.UpdatedAt) {
			next.UpdatedAt = e.At
		}
		if status := e.Type.Status(); status != "" {
			next.Status, next.Attempt, next.Reason, next.Error = status, e.Attempt, e.Reason, e.Error
		}
	}
	return next
}

// attempts maps the SID of a message to the last attempt that names it.
type attempts map[string]int

func lastAttempts(timeline []Event) attempts {
	last := attempts{}
	for _, e := range timeline {
		if e.SID != "" {
			last[e.SID] = max(last[e.SID], e.Attempt)
		}
	}
	return last
}

// of is the event as one of the attempt that its message belongs to. The two
// differ where a message that had been given up is found to have arrived after
// the next attempt was decided on: what is told of it then counts for both.
func (a attempts) of(e Event) Event {
	e.Attempt = max(e.Attempt, a[e.SID])
	return e
}

// Begun reports whether an attempt after the given one has come out of the
// queue, and planned whether one was decided on. In between, the message that
// carries it may or may not have been stored.
func (r Record) Begun(after int) (begun, planned bool) {
	for _, e := range r.Timeline {
		if e.Attempt > after {
			planned = true
			begun = begun || e.Type == EventReleased || e.Type.rank() >= EventSending.rank()
		}
	}
	return begun, planned
}

// Returns reports whether the provider took the message of an attempt and refused
// it, so that the log brings the job back for the next one.
func (r Record) Returns(attempt int) bool {
	return slices.ContainsFunc(r.Timeline, func(e Event) bool { return e.CameBack() && e.Attempt == attempt+1 })
}

// CanceledSince reports whether the job was canceled here, at the given attempt or
// later, and not redriven since.
func (r Record) CanceledSince(attempt int) bool {
	canceled := 0
	for _, e := range r.Timeline {
		switch {
		case e.Type == EventCanceled && e.SID == "":
			canceled = max(canceled, e.Attempt)
		case e.Type == EventRedriven && e.Attempt > canceled:
			canceled = 0
		}
	}
	return canceled > 0 && canceled >= attempt
}

// Sent reports whether the provider is known to have taken the given attempt,
// and under which SID.
func (r Record) Sent(attempt int) (sid string, ok bool) {
	for _, e := range r.Timeline {
		if e.Attempt == attempt && e.SID != "" {
			return e.SID, true
		}
	}
	return "", false
}

// Begins reports whether an intent of the given attempt is known.
func (r Record) Begins(attempt int) bool { return r.has(EventSending, attempt) }

// Unknown reports whether the outcome of the given attempt was unknown once.
func (r Record) Unknown(attempt int) bool { return r.has(EventUnknown, attempt) }

func (r Record) has(t EventType, attempt int) bool {
	return slices.ContainsFunc(r.Timeline, func(e Event) bool { return e.Type == t && e.Attempt == attempt })
}

// Unclear counts the attempts, from the given one on, whose outcome was unknown.
func (r Record) Unclear(from int) int {
	attempts := map[int]bool{}
	for _, e := range r.Timeline {
		if e.Type == EventUnknown && e.Attempt >= from {
			attempts[e.Attempt] = true
		}
	}
	return len(attempts)
}

// Refused reports whether a message of the job is known not to have been
// delivered: it has failed, or the provider refused it and the job waits again.
func (r Record) Refused(sid string) bool {
	refused := slices.ContainsFunc(r.Timeline, func(e Event) bool {
		switch e.Type {
		case EventFailed, EventUndelivered, EventCanceled, EventExpired:
			return e.SID == sid
		case EventParked:
			return e.CameBack() && e.reportsOn(sid)
		}
		return false
	})
	return refused && !r.arrived(sid)
}

// Twice returns the SIDs, beyond the first one, of messages that the provider
// took for the job and has not refused or failed to deliver: each of them is a
// message too many. Those that a duplicate event tells of are left out.
func (r Record) Twice() []string {
	var live []string
	for _, e := range r.Timeline {
		if e.SID != "" && e.Type != EventDuplicate && !slices.Contains(live, e.SID) {
			live = append(live, e.SID)
		}
	}
	live = slices.DeleteFunc(live, r.Refused)
	if len(live) < 2 {
		return nil
	}
	return slices.DeleteFunc(live[1:], func(sid string) bool {
		return slices.ContainsFunc(r.Timeline, func(e Event) bool { return e.Type == EventDuplicate && e.SID == sid })
	})
}

func (r Record) arrived(sid string) bool {
	return slices.ContainsFunc(r.Timeline, func(e Event) bool {
		return e.SID == sid && (e.Type == EventDelivered || e.Type == EventRead)
	})
}
