package messaging

// Class is what an error means for the message it met: whether, when and under
// what condition to try again.
type Class string

const (
	// Permanent: this message will never be accepted as it is.
	Permanent Class = "permanent"

	// Retry: not sent, or not by any fault of the message; again in seconds to
	// minutes.
	Retry Class = "retry"

	// Later: again in minutes to hours, a bounded number of times. Unknown
	// error codes are of this class.
	Later Class = "later"

	// Throttled: HTTP 429, surely not processed (Twilio error 20429); again
	// after a pause, with fewer calls at once.
	Throttled Class = "throttled"

	// Limit: a limit of the platform is reached, per sender and second, per
	// portfolio and 24 h (63018), or of the account (63038). The message waits
	// until the limit has room.
	Limit Class = "limit"

	// SenderBroken: the sender, not the message, is at fault. Its messages wait.
	SenderBroken Class = "sender"

	// AccountBroken: the account or its credentials are at fault. Everything
	// of the account waits.
	AccountBroken Class = "account"

	// Window: free form outside the 24 h customer service window (63016); only
	// a template may go.
	Window Class = "window"

	// OptedOut: the recipient does not want messages. None may follow.
	OptedOut Class = "opted_out"

	// Template: the template is missing, paused, disabled or rejected. Messages
	// that use it wait or end; others are not concerned.
	Template Class = "template"

	// Unknown: the message may exist. It must be looked for before it may be
	// sent again.
	Unknown Class = "unknown"
)

// advice is what to do next about a class as a whole; empty for a class that
// nothing uses.
func (c Class) advice() string {
	switch c {
	case Permanent:
		return "correct the message or the settings, repeating it will not help"
	case Retry:
		return "safe to repeat in a moment"
	case Later:
		return "try again in some minutes to hours, a few times"
	case Throttled:
		return "nothing was processed: repeat after a pause with fewer calls at once"
	case Limit:
		return "wait until the limit has room"
	case SenderBroken:
		return "pause the sender and check it"
	case AccountBroken:
		return "pause the account, check its credentials and state"
	case Window:
		return "send a template, or wait until the customer writes"
	case OptedOut:
		return "send nothing more to this recipient"
	case Template:
		return "check the template and its approval"
	case Unknown:
		return "the message may exist: look for it before sending it again"
	}
	return ""
}

func (c Class) valid() bool { return c.advice() != "" }
