package delivery

import "fmt"

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
	return fmt.Sprintf("cb:%s:%s:%d", sid, status, code)
}
