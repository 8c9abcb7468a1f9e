package delivery

// Status is where a job is. The order of a job's life is
//
//	accepted → (scheduled | parked)* → sending → (unknown → held)? → queued → sent → delivered → read
//
// with undelivered, failed, expired, suppressed, rejected and canceled as its
// other ends.
type Status string

// Every status a job can have.
const (
	StatusAccepted    Status = "accepted"
	StatusScheduled   Status = "scheduled"
	StatusParked      Status = "parked"
	StatusSending     Status = "sending"
	StatusUnknown     Status = "unknown" // sent or not: nobody knows yet
	StatusHeld        Status = "held"    // waits for a person
	StatusQueued      Status = "queued"  // the provider has it and gave a SID
	StatusSent        Status = "sent"
	StatusDelivered   Status = "delivered"
	StatusRead        Status = "read"
	StatusUndelivered Status = "undelivered"
	StatusFailed      Status = "failed"
	StatusExpired     Status = "expired"
	StatusSuppressed  Status = "suppressed"
	StatusRejected    Status = "rejected"
	StatusCanceled    Status = "canceled"
)

// Statuses lists every status in the order of a job's life.
func Statuses() []Status {
	return []Status{
		StatusAccepted, StatusScheduled, StatusParked, StatusSending, StatusUnknown, StatusHeld,
		StatusQueued, StatusSent, StatusDelivered, StatusRead, StatusUndelivered, StatusFailed,
		StatusExpired, StatusSuppressed, StatusRejected, StatusCanceled,
	}
}

// Ended reports whether nothing more is to be done for a job in this status. A
// job that is sent is not ended: its delivery is still awaited.
func (s Status) Ended() bool {
	switch s {
	case StatusDelivered, StatusRead, StatusUndelivered, StatusFailed,
		StatusExpired, StatusSuppressed, StatusRejected, StatusCanceled:
		return true
	}
	return false
}

// AwaitsNews reports whether the provider has the message and its delivery is
// awaited. It may be so for ever: of a message to a customer who has blocked the
// sender nothing more is told.
func (s Status) AwaitsNews() bool { return s == StatusQueued || s == StatusSent }

// Valid reports whether s is one of [Statuses].
func (s Status) Valid() bool {
	for _, known := range Statuses() {
		if s == known {
			return true
		}
	}
	return false
}
