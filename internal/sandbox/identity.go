package sandbox

import (
	"time"

	"github.com/sluicehq/sluice/delivery"
)

// The platform knows a customer, not an address: both forms of a mobile number
// of Argentina or Mexico are one, and so are a number and the id that stands for
// a user who hides it. Limits, windows and opt-outs are the customer's.

// merge says that a customer who was counted as two is one.
type merge struct {
	after    int // messages accepted before it was known
	from, to string
}

// customer is who has an address. The caller holds mu, or owns s alone.
func (s *Sandbox) customer(address string) string {
	key := delivery.CustomerKey(address)
	if known, ok := s.aliases[key]; ok {
		return known
	}
	return key
}

// identify notes that an id is the customer's with this number, and counts what
// was counted for both as one. An id that moves to another number takes nothing
// along: two numbers are two customers. The caller holds mu, or owns s alone.
func (s *Sandbox) identify(id, number string) {
	from, to := delivery.CustomerKey(id), delivery.CustomerKey(number)
	_, known := s.aliases[from]
	s.aliases[from] = to
	if known {
		return
	}
	s.book.merges = append(s.book.merges, merge{len(s.book.all), from, to})
	for _, snd := range s.senders {
		snd.counted.merge(from, to)
	}
	for _, p := range s.pools {
		p.counted.merge(from, to)
	}
	for who, wrote := range s.service {
		if who.customer == from {
			s.heardFrom(pair{to, who.sender}, wrote)
		}
	}
	for who := range s.stopped {
		if who.customer == from {
			s.stopped[pair{to, who.sender}] = true
		}
	}
	if at, ok := s.joined[from]; ok && at.After(s.joined[to]) {
		s.joined[to] = at
	}
}

// heardFrom notes that a customer wrote, unless they wrote later. The caller holds
// mu, or owns s alone.
func (s *Sandbox) heardFrom(who pair, at time.Time) {
	if at.After(s.service[who]) {
		s.service[who] = at
	}
}
