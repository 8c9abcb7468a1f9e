package sandbox

import (
	"slices"
	"strings"
)

// What the customers of the sandbox write.
const (
	replyText = "Thank you!"
	stopText  = "STOP"
)

// The keywords that opt a customer out and in again: Twilio's English ones.
var (
	stopWords  = []string{"STOP", "UNSUBSCRIBE", "END", "QUIT", "STOPALL", "REVOKE", "OPTOUT", "CANCEL"}
	startWords = []string{"START", "UNSTOP"}
)

// optsOut tells whether a customer who writes body opts out (true), in again
// (false), or neither (nil). A keyword counts only if it is the whole text.
func optsOut(body string) *bool {
	word := strings.ToUpper(strings.TrimSpace(body))
	out := slices.Contains(stopWords, word)
	if !out && !slices.Contains(startWords, word) {
		return nil
	}
	return &out
}

// Customers says what customers do with messages that are delivered to them,
// as shares from 0 (nobody) to 1 (everybody) of those messages.
type Customers struct {
	Read  float64 `json:"read"`  // read it
	Reply float64 `json:"reply"` // write back, which opens the customer service window
	Stop  float64 `json:"stop"`  // write STOP, after the reply where there is one
}

// SetCustomers sets what customers do with the messages accepted from now on.
// It refuses shares outside 0 to 1.
func (s *Sandbox) SetCustomers(c Customers) error {
	err := checkShares([]share{{"read", c.Read}, {"reply", c.Reply}, {"stop", c.Stop}})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.customers = c
	return nil
}

// Customers returns what customers do at present.
func (s *Sandbox) Customers() Customers {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.customers
}

func (c Config) customers() Customers {
	within := func(share float64) float64 { return min(max(share, 0), 1) }
	return Customers{within(c.ReadShare), within(c.ReplyShare), within(c.StopShare)}
}

// answer is what the customer writes back to a message.
func (m *message) answer(body string) Inbound {
	in := Inbound{From: m.request.to, To: m.request.from, Body: body}
	if in.To == "" {
		in.To = m.request.service
	}
	return in
}

// speak lets the customer write what the plan of a message says. A crash before
// the journal has it leads to the same after the next Open; from there on it
// has happened.
func (s *Sandbox) speak(it item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := it.msg
	if s.book.bySID[m.sid] != m {
		return // forgotten by a reset since it was due
	}
	of := leaving{m.sid, it.nth}
	if _, err := s.hear(m.answer(it.says), m.auth, &of); err != nil {
		s.cfg.Log.Error("a customer did not write", "error", err)
	}
}
