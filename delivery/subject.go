package delivery

import (
	"fmt"
	"strings"
)

// The subjects that users see. Subjects of the waiting room are the queue's
// own business.
const (
	jobsPrefix   = "sluice.jobs."
	eventsPrefix = "sluice.events."
)

// JobSubject is where a job is published: sluice.jobs.<priority>.<sender>.
func JobSubject(p Priority, sender string) string {
	return jobsPrefix + string(p) + "." + sender
}

// ParseJobSubject is the inverse of [JobSubject].
func ParseJobSubject(subject string) (Priority, string, error) {
	rest, ok := strings.CutPrefix(subject, jobsPrefix)
	lane, sender, two := strings.Cut(rest, ".")
	if !ok || !two {
		return "", "", fmt.Errorf("subject %q is not sluice.jobs.<priority>.<sender>", subject)
	}
	switch p := Priority(lane); p {
	case High, Normal, Low:
		if ValidSenderToken(sender) {
			return p, sender, nil
		}
		return "", "", fmt.Errorf("subject %q: %q is neither the digits of a number nor a messaging service sid", subject, sender)
	default:
		return "", "", fmt.Errorf("subject %q: priority must be high, normal or low", subject)
	}
}

// EventSubject is where an event is published: sluice.events.<sender>.<type>.
// Events that belong to no sender stand under "-".
func EventSubject(sender string, t EventType) string {
	if sender == "" {
		sender = "-"
	}
	return eventsPrefix + sender + "." + string(t)
}

// HeaderAnnounced is a header that, set on a published job, says that its publisher puts
// the accepted event into the log itself.
const HeaderAnnounced = "Sluice-Announced"
