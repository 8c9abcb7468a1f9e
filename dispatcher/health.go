package dispatcher

import (
	"sync"

	"github.com/sluicehq/sluice/delivery"
)

// health is what this process knows of senders and their account: which of them
// cannot send at present. While one is broken, one job at a time tries it,
// though the gate would let more go: the first that succeeds lets all others
// through. It is a matter of manners towards the provider; nothing depends on
// it, and a process that begins anew learns it from its first failure.
type health struct {
	storm int // unclear answers in a row that make a sender broken

	mu    sync.Mutex
	parts map[string]*part // by sender, and by account; guarded by mu
}

// part is a sender or an account.
type part struct {
	unclear int  // answers in a row
	broken  bool // the last answer said so
	probing bool // a job is trying it
}

func newHealth(storm int) *health { return &health{storm: storm, parts: map[string]*part{}} }

// enter reports whether a job may be handled now, and whether it is the one that
// tries what is broken; then leave must be called when it is done.
func (h *health) enter(names ...string) (probes, free bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range names {
		p := h.parts[name]
		if p == nil || !p.broken {
			continue
		}
		if p.probing {
			return false, false
		}
		probes = true
	}
	for _, name := range names {
		if p := h.parts[name]; p != nil {
			p.probing = probes
		}
	}
	return probes, true
}

// leave ends a try, whatever came of it. A job that was not sent says nothing.
func (h *health) leave(names ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range names {
		h.part(name).probing = false
	}
}

// change is what an answer means for the health of a part.
type change int

const (
	same change = iota
	broke
	recovered
)

func (c change) String() string { return [...]string{"same", "broke", "recovered"}[c] }

// answered takes an answer of the provider to a sender's message. It reports
// whether the sender, or its account, broke or recovered with it.
func (h *health) answered(sender, account string, f *delivery.Fault) change {
	h.mu.Lock()
	defer h.mu.Unlock()
	s, a := h.part(sender), h.part(account)
	switch {
	case f == nil || f.Kind != delivery.FaultUnknown && f.Kind != delivery.FaultSender && f.Kind != delivery.FaultAccount:
		// Whatever it says of the message, it was read by a provider at work.
		was := s.broken || a.broken
		*s, *a = part{probing: s.probing}, part{probing: a.probing}
		if was {
			return recovered
		}
		return same
	case f.Kind == delivery.FaultAccount:
		return a.fail()
	case f.Kind == delivery.FaultSender:
		return s.fail()
	}
	s.unclear++
	if s.unclear < h.storm && !s.broken {
		return same
	}
	return s.fail()
}

func (h *health) part(name string) *part {
	if h.parts[name] == nil {
		h.parts[name] = &part{}
	}
	return h.parts[name]
}

func (p *part) fail() change {
	if p.broken {
		return same
	}
	p.broken = true
	return broke
}

// stormy reports whether a sender rests for its unclear answers.
func (h *health) stormy(sender string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.parts[sender]
	return p != nil && p.broken && p.unclear >= h.storm
}
