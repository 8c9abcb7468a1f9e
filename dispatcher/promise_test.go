package dispatcher_test

import (
	"fmt"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
)

// story tells what happened, for a test that fails.
func (w *world) story() string {
	text := ""
	for _, entry := range w.log.entries {
		e, _ := entry.AsEvent()
		text += fmt.Sprintf("%s %s attempt %d of %s %s %s\n", e.At.Sub(start), e.Type, e.Attempt, e.Job, e.SID, e.Reason)
	}
	for _, m := range w.phone.messages {
		text += fmt.Sprintf("message %s at %s\n", m.SID, m.DateCreated.Sub(start))
	}
	for _, m := range w.queue {
		text += fmt.Sprintf("left: %s attempt %d\n", m.task.Ref, m.task.Attempt)
	}
	return text
}

// holds checks the promise: one end, one message at most, and nothing that
// nobody looks after.
func (w *world) holds(job string) {
	w.t.Helper()
	record := w.log.record(job)
	taken := record.Status == delivery.StatusQueued || record.Status == delivery.StatusSent
	held := w.gate.job(job).grants[record.Attempt]
	switch {
	case len(w.phone.messages) > 1:
		w.broken("sent twice")
	case len(w.queue) > 0:
		w.broken("left in the queue")
	case !taken && !record.Status.Ended() && record.Status != delivery.StatusHeld:
		w.broken("nobody looks after the job any more")
	case taken != (len(w.phone.messages) == 1):
		w.broken("what is told is not what happened")
	case taken && (held == nil || held.back):
		w.broken("the place of a sent message was given back")
	}
}

func (w *world) broken(why string) {
	w.t.Helper()
	require.FailNow(w.t, why, "%s", w.story())
}
