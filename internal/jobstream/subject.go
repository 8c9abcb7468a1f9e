package jobstream

import (
	"crypto/sha256"
	"encoding/hex"
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
	schedulesPrefix = "sluice.schedules." // one token per message moved
	expiriesPrefix  = "sluice.expiries."  // one token per parked job that expires
	duePrefix       = "sluice.due."       // <priority>.<sender>
	heldPrefix      = "sluice.held."      // <sender>
	intentsPrefix   = "sluice.intents."   // <sender>
	eventsPrefix    = "sluice.events."    // <sender>.<type>
	factsPrefix     = "sluice.facts."     // <key>
)

func parkedSubject(sender string, p delivery.Priority) string {
	return parkedPrefix + sender + "." + string(p)
}

func dueSubject(p delivery.Priority, sender string) string {
	return duePrefix + string(p) + "." + sender
}

// expirySubject names the schedule that looks at a parked job when it expires.
// Ids may hold what subjects may not.
func expirySubject(job string) string {
	sum := sha256.Sum256([]byte(job))
	return expiriesPrefix + hex.EncodeToString(sum[:16])
}

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
