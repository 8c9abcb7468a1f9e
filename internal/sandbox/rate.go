package sandbox

import (
	"encoding/json"
	"fmt"
	"time"
)

// Rate is how many messages a second a sender gets out. What comes faster is
// accepted and waits (Twilio; error 21611 once that is too much).
type Rate float64

// Unpaced is the rate of a sender that keeps no message waiting.
const Unpaced Rate = -1

const (
	defaultRate Rate = 80     // Twilio's for a WhatsApp sender
	slowest     Rate = 0.0001 // a message in almost three hours
	maxBacklog       = 4 * time.Hour
)

// rateOf reads Config.MPS.
func rateOf(mps float64) Rate {
	switch {
	case mps == 0:
		return defaultRate
	case mps < 0:
		return Unpaced
	default:
		return max(Rate(mps), slowest)
	}
}

func (r Rate) valid() bool {
	return r == Unpaced || r >= slowest // refuses NaN too
}

// interval is how long one message keeps the sender busy.
func (r Rate) interval() time.Duration {
	if r == Unpaced {
		return 0
	}
	return time.Duration(float64(time.Second) / float64(r))
}

// MarshalJSON writes a number, or "unlimited".
func (r Rate) MarshalJSON() ([]byte, error) {
	if r == Unpaced {
		return []byte(`"unlimited"`), nil
	}
	return json.Marshal(float64(r))
}

// UnmarshalJSON reads a number from 0.0001, or "unlimited".
func (r *Rate) UnmarshalJSON(data []byte) error {
	if string(data) == `"unlimited"` {
		*r = Unpaced
		return nil
	}
	var n float64
	if err := json.Unmarshal(data, &n); err != nil || Rate(n) < slowest {
		return badRate(fmt.Sprintf(", got %.40s", data))
	}
	*r = Rate(n)
	return nil
}

func badRate(got string) *fieldError {
	return badField("mps", `must be a number from 0.0001 or "unlimited"`+got)
}

// backlog is how long the sender needs for what it has accepted. The caller
// holds mu.
func (s *sender) backlog(now time.Time) time.Duration {
	return max(0, s.free.Sub(now))
}

// queue sets how long m waits for the messages before it and how long it keeps
// the sender busy itself. It reports false where the queue is full. A message
// that expires in the queue takes none of the sender's time. The caller holds
// mu.
func (s *sender) queue(m *message) bool {
	m.wait, m.pace = s.backlog(m.accepted), s.mps.interval()
	if m.wait+m.pace > maxBacklog {
		return false
	}
	if m.expires() {
		m.pace = 0
	}
	return true
}
