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

// reportsOn says whether the event is a report on a message, which it may no longer
// name.
func (e Event) reportsOn(sid string) bool {
	return sid != "" && strings.HasPrefix(e.ID, reportPrefix+sid+":")
}

// Errors of the provider after which a message that it had taken is sent anew.
const (
	// CodeLimit is a message beyond the messaging limit, or faster than its
	// sender's rate.
	CodeLimit = 63018
	// CodeWindow is free form outside the customer service window.
	CodeWindow = 63016
)

// Why a job waits again after the provider had taken its message.
const (
	ReasonLimit  = "the provider says that the messaging limit or the rate is used up"
	ReasonWindow = "the provider says that the customer service window is shut: the template goes instead"
)

// OutsideWindow reports whether the event tells that a message was not
// delivered for being free form: what follows depends on what else its job has.
func (e Event) OutsideWindow() bool { return e.undelivered(CodeWindow) }

func (e Event) undelivered(code int) bool {
	failed := e.Type == EventUndelivered || e.Type == EventFailed
	return failed && e.Job != "" && e.Attempt >= 1 && e.Error != nil && e.Error.Code == code
}

// WaitsAgain reads a report that a message was not delivered as what follows
// from it: its job is parked, as its next attempt, if a limit stopped the
// message, or if it was free form outside the customer service window and the
// job has a template too. Which form was sent the intent of the attempt says;
// the zero one, where it is not known, lets the job end.
//
// That nobody gets to see an end which is none, it has to be asked before the
// event is stored. The event keeps its id, so that a repeated report is one, and
// names no SID, which belongs to the attempt before. Every other event is
// returned as it is.
func (e Event) WaitsAgain(sent Intent) Event {
	reason := ""
	switch {
	case e.undelivered(CodeLimit):
		reason = ReasonLimit
	case e.OutsideWindow() && sent.leavesTemplate(e):
		reason = ReasonWindow
	default:
		return e
	}
	e.Type, e.Status, e.Reason = EventParked, StatusParked, reason
	e.Attempt++
	e.SID = ""
	return e
}

// leavesTemplate reports whether the intent is of the event's attempt, which
// went free form though its job has a template.
func (i Intent) leavesTemplate(e Event) bool {
	return i.Job.ID == e.Job && i.Attempt == e.Attempt && i.FreeForm && i.Job.Template()
}

// CameBack reports whether the event is one that [Event.WaitsAgain] has made:
// its job is in no queue, and has to be brought back.
func (e Event) CameBack() bool {
	return e.Type == EventParked && (e.Reason == ReasonLimit || e.Reason == ReasonWindow)
}

// Comebacks counts the attempts of a job after one and up to another that began
// because the provider had refused the message before.
func (r Record) Comebacks(after, upTo int) int {
	attempts := map[int]bool{}
	for _, e := range r.Timeline {
		if e.CameBack() && e.Attempt > after && e.Attempt <= upTo {
			attempts[e.Attempt] = true
		}
	}
	return len(attempts)
}
