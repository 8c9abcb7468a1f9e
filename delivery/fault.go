package delivery

import (
	"fmt"
	"time"
)

// FaultKind says what a failed send means for the job, its sender and the
// messaging limit.
type FaultKind string

// The kinds of fault. Only Unknown leaves open whether a message exists; all
// others are definite non-delivery.
const (
	FaultRejected  FaultKind = "rejected"  // this message can never go
	FaultRetry     FaultKind = "retry"     // nothing was taken; soon again
	FaultLater     FaultKind = "later"     // nothing was taken; minutes to hours
	FaultThrottled FaultKind = "throttled" // 429: never processed, safe to repeat
	FaultLimit     FaultKind = "limit"     // the messaging limit or a rate is used up
	FaultSender    FaultKind = "sender"    // the sender is broken, not the job
	FaultAccount   FaultKind = "account"   // the account or its credentials are broken, and so all its senders
	FaultWindow    FaultKind = "window"    // free form outside the customer service window
	FaultOptedOut  FaultKind = "opted_out" // the customer does not want messages
	FaultUnknown   FaultKind = "unknown"   // written, and no readable answer
)

// Fault is a send that did not succeed.
type Fault struct {
	Kind       FaultKind
	Code       int // the provider's error code, 0 if none
	Message    string
	RetryAfter time.Duration // as the provider asked; 0 if it did not
}

func (f *Fault) Error() string {
	if f.Code == 0 {
		return fmt.Sprintf("%s: %s", f.Kind, f.Message)
	}
	return fmt.Sprintf("%s: %d %s", f.Kind, f.Code, f.Message)
}

// Described is the fault as it stands in events.
func (f *Fault) Described() *Error { return &Error{Code: f.Code, Message: f.Message} }
