package sandbox

import (
	"crypto/rand"
	"encoding/hex"
	"time"
)

// Entry is one accepted message. A message stands in the ledger once it is
// accepted, also when its answer never reached the client.
type Entry struct {
	SID            string    `json:"sid"`
	Account        string    `json:"account"`
	From           string    `json:"from"` // whatsapp:+…, or the MG sid that was to pick
	To             string    `json:"to"`
	AcceptedAt     time.Time `json:"accepted_at"`
	Status         string    `json:"status"` // as the provider knows it, whatever callbacks were lost
	StatusCallback string    `json:"status_callback"`
	Counted        bool      `json:"counted"`   // took or refreshed a place of the messaging limits
	InWindow       bool      `json:"in_window"` // the customer service window was open
	ErrorCode      int       `json:"error_code,omitempty"`
}

// message is an accepted message. Only the last group changes once it is in
// the book; the Sandbox's mu guards that group.
type message struct {
	seq      int
	sid      string
	auth     credentials
	sender   string // token: digits or MG sid
	request  request
	customer string // as known at acceptance
	shown    string // text on the customer's phone
	accepted time.Time
	pool     string
	limits   struct{ sender, pool Limit } // in force at acceptance
	over     struct{ sender, pool bool }  // the limits it went beyond
	counted  bool
	inWindow bool
	wait     time.Duration // for the messages of its sender before it
	pace     time.Duration // how long it keeps its sender busy
	barred   int           // error that barred it, whatever the limits; 0: none
	code     int           // error it ends with, 0: none
	read     bool          // a read receipt follows the delivery
	steps    []step

	reached int // steps taken
	updated time.Time
	sent    time.Time
}

// wantsPlace reports whether the message counts toward the messaging limits
// where they leave room. It is told from what was sent, not from the decision.
func (m *message) wantsPlace() bool {
	return m.request.template && !m.inWindow && !m.expires() && m.barred == 0
}

// expires reports whether the message's validity ends before its turn comes.
func (m *message) expires() bool {
	return m.request.validity > 0 && m.wait > m.request.validity
}

// hold is how long the message stays in its sender's queue.
func (m *message) hold() time.Duration {
	if m.expires() {
		return m.request.validity
	}
	return m.wait
}

func (m *message) status() string {
	switch {
	case m.reached > 0:
		return m.steps[m.reached-1].status
	case m.request.service != "":
		return "accepted"
	default:
		return "queued"
	}
}

// errorCode is 0 until the message has failed.
func (m *message) errorCode() int {
	if m.reached == len(m.steps) {
		return m.code
	}
	return 0
}

// origin is the sender's address: of a messaging service, the number it picks.
func (m *message) origin() string {
	if m.request.from == "" {
		return serviceNumber(m.request.service)
	}
	return m.request.from
}

// advance takes the message to a step; an earlier one leaves it where it is.
func (m *message) advance(step int, now time.Time) {
	if step < m.reached {
		return
	}
	m.reached, m.updated = step+1, now
	if m.sent.IsZero() && m.code == 0 {
		m.sent = now
	}
}

func (m *message) entry() Entry {
	from := m.request.from
	if from == "" {
		from = m.request.service
	}
	return Entry{
		SID: m.sid, Account: m.auth.account, From: from, To: m.request.to,
		AcceptedAt: m.accepted.UTC(), Status: m.status(), StatusCallback: m.request.callback,
		Counted: m.counted, InWindow: m.inWindow, ErrorCode: m.errorCode(),
	}
}

// pair is a customer and a sender: addresses in the book's index and in what
// was heard, customer and sender token for customer service windows and
// opt-outs.
type pair struct{ customer, sender string }

// book holds the accepted messages in order.
type book struct {
	all       []*message
	bySID     map[string]*message
	byPair    map[pair][]*message
	overLimit int // messages that end with error 63018
	merges    []merge
}

func newBook() book {
	return book{bySID: map[string]*message{}, byPair: map[pair][]*message{}}
}

func (b *book) add(m *message) {
	m.seq = len(b.all)
	b.all = append(b.all, m)
	b.bySID[m.sid] = m
	key := pair{m.request.to, m.origin()}
	b.byPair[key] = append(b.byPair[key], m)
	if m.code == codeOverLimit {
		b.overLimit++
	}
}

// Ledger returns every accepted message in the order of acceptance.
func (s *Sandbox) Ledger() []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	entries := make([]Entry, len(s.book.all))
	for i, m := range s.book.all {
		entries[i] = m.entry()
	}
	return entries
}

// newSID returns a message sid. Sids are random and not drawn from the seed: a
// restarted sandbox must not hand out the sids of its earlier life.
func newSID(prefix string) string {
	var raw [16]byte
	rand.Read(raw[:]) // never fails
	return prefix + hex.EncodeToString(raw[:])
}
