package jobstream

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/sluicehq/sluice/delivery"
)

// The streams. Their names are part of the product's contract.
const (
	StreamJobs  = "SLUICE_JOBS"
	StreamWait  = "SLUICE_WAIT"
	StreamLog   = "SLUICE_LOG"
	StreamFacts = "SLUICE_FACTS"
)

const (
	parkedPrefix    = "sluice.parked."    // <sender>.<priority>
	schedulesPrefix = "sluice.schedules." // <job>.<message moved>
	expiriesPrefix  = "sluice.expiries."  // <job>, of a parked one that expires
	duePrefix       = "sluice.due."       // <priority>.<sender>
	intentsPrefix   = "sluice.intents."   // <sender>.<job>
	keptPrefix      = "sluice.kept."      // <sender>.<job>
	eventsPrefix    = "sluice.events."    // <sender>.<type>
	factsPrefix     = "sluice.facts."     // <key>
)

func parkedSubject(sender string, p delivery.Priority) string {
	return parkedPrefix + sender + "." + string(p)
}

func dueSubject(p delivery.Priority, sender string) string {
	return duePrefix + string(p) + "." + sender
}

// jobToken stands for a job's id, which may hold what subjects may not.
func jobToken(job string) string {
	sum := sha256.Sum256([]byte(job))
	return hex.EncodeToString(sum[:16])
}

// scheduleSubject names the message moved, so that moving it once more after a
// crash replaces the schedule instead of adding one, and before it the job, so
// that its schedules are found. The time it was published tells streams apart
// that were deleted and made anew, and count from 1 again.
func scheduleSubject(task delivery.Task) string {
	return schedulesPrefix + jobToken(task.Job.ID) + "." +
		strings.ReplaceAll(task.Ref, ":", "-") + "-" + strconv.FormatInt(task.Published.UnixNano(), 36)
}

// expirySubject names the schedule that looks at a parked job when it expires.
func expirySubject(job string) string { return expiriesPrefix + jobToken(job) }

// intentSubject names the job, so that its payload is found again without an
// index that would have to be kept.
func intentSubject(sender, job string) string {
	return intentsPrefix + sender + "." + jobToken(job)
}

// keptSubject is where the payload of a job stands that has no intent.
func keptSubject(sender, job string) string { return keptPrefix + sender + "." + jobToken(job) }

// parseParked is the inverse of parkedSubject.
func parseParked(subject string) (sender string, p delivery.Priority, ok bool) {
	rest, ok := strings.CutPrefix(subject, parkedPrefix)
	if !ok {
		return "", "", false
	}
	sender, priority, ok := strings.Cut(rest, ".")
	return sender, delivery.Priority(priority), ok
}

// senderOf is the sender named by a job's subject, on either queue.
func senderOf(subject string) string {
	sender := subject[strings.LastIndexByte(subject, '.')+1:]
	if !delivery.ValidSenderToken(sender) {
		return ""
	}
	return sender
}

// scheduledConsumer counts schedules and delivers none.
const scheduledConsumer = "scheduled"

// jobsConsumer and dueConsumer name the durable consumers, one per priority.
func jobsConsumer(p delivery.Priority) string { return "jobs-" + string(p) }
func dueConsumer(p delivery.Priority) string  { return "due-" + string(p) }

// parkedConsumer remembers up to where the log's parked events have been looked
// at by [Again].
const parkedConsumer = "parked"
