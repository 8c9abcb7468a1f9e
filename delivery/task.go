package delivery

import (
	"cmp"
	"time"
)

// Task is one delivery of a job to a dispatcher. The queue may deliver the
// same job any number of times; Token tells the deliveries apart.
type Task struct {
	Job Job
	// Category is the one that Meta put the job's template into, where the job
	// names none; empty where it names one or nobody knows.
	Category Category
	// Attempt is the POST this delivery is for, from 1.
	Attempt int
	// Token is random and made per delivery, so that two handlers of one job
	// can never both hold its grant.
	Token string
	// Ref names the stored message, stream and sequence: two deliveries of
	// one message have the same Ref.
	Ref string
	// Published is when the job was published.
	Published time.Time
	// Announced says that the log already has the job's accepted event.
	Announced bool
	// Moved says that this delivery comes out of the waiting room: something was
	// told of the job before it went there.
	Moved bool
	// Redriven is the attempt that a person's last redrive began with, 0 if
	// there was none: tries are counted from there.
	Redriven int
	// Trace is the traceparent (W3C Trace Context) of the publish, empty where
	// nothing is traced.
	Trace string
	// Panics is how often handling this job has panicked.
	Panics int
	// Ended, when set, is the time at which an earlier handler's attempt with
	// this number ended without a known outcome.
	Ended time.Time
}

// Tries is how many POSTs the job had since it was accepted or last redriven,
// this one included.
func (t Task) Tries() int { return t.Attempt - max(t.Redriven, 1) + 1 }

// Intent is written to the log before a POST. It carries the job, so that the
// payload outlives the queue, and the gate's verdict, so that the gate can be
// rebuilt from the log.
type Intent struct {
	Job       Job       `json:"job"`
	Attempt   int       `json:"attempt"`
	Token     string    `json:"token"`
	At        time.Time `json:"at"` // the gate's clock when it granted
	Pool      string    `json:"pool"`
	Counted   bool      `json:"counted"`            // takes a place in the messaging limit
	Category  Category  `json:"category,omitempty"` // as in [Task]
	FreeForm  bool      `json:"free_form,omitempty"`
	Published time.Time `json:"published"`
	Redriven  int       `json:"redriven,omitempty"` // as in [Task]
	// Trace is the traceparent under which the message is sent, if any.
	Trace string `json:"traceparent,omitempty"`
}

// Event is the intent without its payload: the job's sending event.
func (i Intent) Event() Event {
	e := i.Job.Happened(EventSending, i.Attempt, i.At, "sending:"+i.Token)
	e.Category, e.Trace = cmp.Or(e.Category, i.Category), i.Trace
	return e
}

// Task is the job as it was about to be sent, for the given attempt: as it is
// handed to a queue that does not have it.
func (i Intent) Task(attempt int) Task {
	return Task{
		Job: i.Job, Attempt: attempt, Published: i.Published, Announced: true, Redriven: i.Redriven, Trace: i.Trace,
	}
}

// Action is what becomes of a queued message once it was handled.
type Action int

// The four ends of a delivery.
const (
	// Ack removes the message: the job needs no queue any more.
	Ack Action = iota
	// Park moves the job to the waiting room until the releaser lets it out.
	Park
	// Schedule moves the job to the waiting room until a given time.
	Schedule
	// HandBack leaves the message in the queue, to be delivered again.
	HandBack
)

func (a Action) String() string {
	return [...]string{"ack", "park", "schedule", "hand back"}[a]
}

// Settlement is what the queue does with a handled message. The queue moves
// first and acknowledges last: a crash in between leaves a copy, never a gap.
type Settlement struct {
	Action Action
	// At is when a scheduled job comes back, and before when a handed-back one
	// should not be tried again.
	At time.Time
	// Attempt and Ended are handed to the next delivery's [Task].
	Attempt int
	Ended   time.Time
}

// Parked is a job in the waiting room.
type Parked struct {
	Seq   uint64    // its place in the room: lower is older
	Since time.Time // when it was parked
	Task  Task      // as the next delivery will have it, without a token
}

// Entry is one line of the log: an intent, an event, or, both nil, something
// this version cannot read.
type Entry struct {
	Seq    uint64
	Time   time.Time // when the log stored it
	Intent *Intent
	Event  *Event
}

// AsEvent is the entry as a change of state, which an intent is too.
func (e Entry) AsEvent() (Event, bool) {
	switch {
	case e.Event != nil:
		return *e.Event, true
	case e.Intent != nil:
		return e.Intent.Event(), true
	}
	return Event{}, false
}
