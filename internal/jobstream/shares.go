package jobstream

import (
	"context"
	"sync"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/delivery"
)

// shares divides the slots among senders: while others have work, one sender
// has at most a quarter of them, and alone at most three quarters, so that
// whoever comes next finds a slot at once. What a sender has in hand beyond its
// share waits here, in nobody's slot, and goes on in the slot of the sender's
// next message that is done.
type shares struct {
	slots int

	mu      sync.Mutex
	parts   map[party]*part // who has messages in hand; guarded by mu
	waiting map[*lane]int   // messages that wait, by the queue they came from; guarded by mu
	fewer   chan struct{}   // closed and replaced when fewer wait; guarded by mu
}

// dueMost is how many messages of one due queue may wait for their share. Jobs
// cannot be brought forward there; they come at the pace of their senders'
// rates, so this is half a minute of one that gets no answers.
const dueMost = 2048

// most is how many messages of a lane may wait for their share.
func (s *shares) most(l *lane) int {
	if l.stream == StreamJobs {
		return 4 * s.slots
	}
	return dueMost
}

// party is who has a share: a sender, for its urgent messages another than for
// the rest.
type party struct {
	sender string
	urgent bool
}

type part struct {
	busy  int // messages in slots
	queue []held
}

// held is a message in hand.
type held struct {
	lane *lane
	msg  jetstream.Msg
}

func (h held) party() party {
	return party{senderOf(h.msg.Subject()), h.lane.priority == delivery.High}
}

func newShares(slots int) *shares {
	return &shares{slots: slots, parts: map[party]*part{}, waiting: map[*lane]int{}, fewer: make(chan struct{})}
}

// share is how many slots a party may have now. The caller holds mu.
func (s *shares) share() int {
	if len(s.parts) > 1 {
		return max(1, s.slots/4)
	}
	return max(1, s.slots-s.slots/4)
}

// begin brings a message that has a slot. It returns the message to be handled
// in it, the one of the same party that has waited longest, or false if the
// party has its share already: then the message waits here.
func (s *shares) begin(h held) (held, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	who := h.party()
	p := s.parts[who]
	if p == nil {
		p = &part{}
		s.parts[who] = p
	}
	p.queue = append(p.queue, h)
	s.waiting[h.lane]++
	if p.busy >= s.share() {
		return held{}, false
	}
	p.busy++
	return s.pop(p), true
}

// end says that a message of a party is done, and returns the one to go on
// with in its slot, if there is one. leave asks for the slot back unless the
// party has no other.
func (s *shares) end(who party, leave bool) (held, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.parts[who]
	if len(p.queue) > 0 && p.busy <= s.share() && (!leave || p.busy == 1) {
		return s.pop(p), true
	}
	p.busy--
	if p.busy == 0 && len(p.queue) == 0 {
		delete(s.parts, who)
	}
	return held{}, false
}

// pop takes the first in line. The caller holds mu.
func (s *shares) pop(p *part) held {
	h := p.queue[0]
	p.queue = p.queue[1:]
	s.waiting[h.lane]--
	close(s.fewer)
	s.fewer = make(chan struct{})
	return h
}

// room waits until a lane may fetch more.
func (s *shares) room(ctx context.Context, l *lane) {
	for {
		full, fewer := s.full(l)
		if !full {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-fewer:
		}
	}
}

// full reports whether as much of a lane waits as may, and what is closed when
// that changes.
func (s *shares) full(l *lane) (full bool, fewer <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting[l] >= s.most(l), s.fewer
}

// waits reports whether messages of a party wait for its share.
func (s *shares) waits(who party) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.parts[who]
	return p != nil && len(p.queue) > 0
}

// drain takes out all that wait.
func (s *shares) drain() (left []held) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.parts {
		left = append(left, p.queue...)
		p.queue = nil
	}
	clear(s.waiting)
	close(s.fewer)
	s.fewer = make(chan struct{})
	return left
}
