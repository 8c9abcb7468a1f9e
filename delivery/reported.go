package delivery

import (
	"fmt"
	"strings"
)

// reported maps the provider's message statuses to events. The set is open:
// Twilio adds to it without notice.
var reported = map[string]EventType{
	// All four say that the provider has the message and no more.
	"accepted":  EventQueued,
	"scheduled": EventQueued,
	"queued":    EventQueued,
	"sending":   EventQueued,

	"sent": EventSent,
	// Some part arrived. It is not the last word: delivered or undelivered may
	// follow, and delivered would end the job too early.
	"partially_delivered": EventSent,

	"delivered":   EventDelivered,
	"read":        EventRead,
	"undelivered": EventUndelivered,
	"failed":      EventFailed,
	"canceled":    EventCanceled,
}

// Reported is the event that the provider's word for a message's status, in
// lower case, stands for; false for a word that this version does not know.
func Reported(status string) (EventType, bool) {
	t, known := reported[status]
	return t, known
}

// ReportID is the id of the event that tells of a message's status. It is made
// of all that tells one change from another, so that a change has one id,
// whether the provider called back, did so twice, or was asked.
func ReportID(sid, status string, code int) string {
	return fmt.Sprintf("%s%s:%s:%d", reportPrefix, sid, status, code)
}

const reportPrefix = "cb:"

// IsReport says whether the event has the id of a [ReportID]. It then comes after
// the intent of its attempt, in the log too.
func (e Event) IsReport() bool { return strings.HasPrefix(e.ID, reportPrefix) }

// CodeLimit is the provider's error for a message beyond the messaging limit,
// or faster than its sender's rate.
const CodeLimit = 63018

// ReasonLimit is why a job waits again after the provider had taken it.
const ReasonLimit = "the provider says that the messaging limit or the rate is used up"

// WaitsAgain reads a report that a message was not delivered for want of a
// limit as what follows from it: the job is parked, as its next attempt. That
// nobody gets to see an end which is none, it has to be asked before the event
// is stored. The event keeps its id, so that a repeated report is one, and
// names no SID, which belongs to the attempt before. Every other event is
// returned as it is.
func (e Event) WaitsAgain() Event {
	failed := e.Type == EventUndelivered || e.Type == EventFailed
	if !failed || e.Job == "" || e.Attempt < 1 || e.Error == nil || e.Error.Code != CodeLimit {
		return e
	}
	e.Type, e.Status, e.Reason = EventParked, StatusParked, ReasonLimit
	e.Attempt++
	e.SID = ""
	return e
}

// Refusals counts the attempts of a job up to the given one that began because
// the provider's limit was used up.
func (r Record) Refusals(upTo int) int {
	attempts := map[int]bool{}
	for _, e := range r.Timeline {
		if e.Type == EventParked && e.Reason == ReasonLimit && e.Attempt <= upTo {
			attempts[e.Attempt] = true
		}
	}
	return len(attempts)
}
