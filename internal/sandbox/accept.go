package sandbox

import (
	"net/http"
	"strings"
	"time"
)

// accept judges a request, enters it into the ledger and plans its callbacks.
// Once the journal has it, it counts as sent: a crash from there on costs the
// client its answer, as a broken connection would, and nothing else.
func (s *Sandbox) accept(auth credentials, req request, fate callbackFate) (resource, *problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	snd, bad := s.sendable(req)
	if bad != nil {
		return resource{}, bad
	}
	now := s.tick()
	m := &message{
		sid: newSID(sidPrefix(req)), auth: auth, sender: snd.id, request: req, customer: s.customer(req.to),
		accepted: now, updated: now, pool: snd.home(auth.account),
		inWindow: s.windowOpen(s.customer(req.to), snd.id, now), read: fate.read, shown: s.shown(req),
	}
	if !snd.queue(m) {
		return resource{}, refuse(21611, "the sender's queue holds 4 hours of messages already")
	}
	s.weigh(m)
	m.steps = stepsTo(m.code, m.read)
	items := plan(m, fate, time.Now(), s.cfg.CallbackDelay)
	if err := s.journal.write(recordOf(m, items)); err != nil {
		s.cfg.Log.Error("a message was not accepted", "error", err)
		return resource{}, newProblem(http.StatusInternalServerError, 20500, errJournal.Error())
	}
	s.enter(m)
	s.due.add(items...)
	return s.resourceOf(m), nil
}

// sendable returns the sender of a request, unless it may not send to this
// customer. The caller holds mu.
func (s *Sandbox) sendable(req request) (*sender, *problem) {
	id := req.sender()
	if _, known := s.senders[id]; s.cfg.Strict && !known {
		return nil, refuse(63007, "there is no channel for this From address")
	}
	if s.stopped[pair{s.customer(req.to), id}] {
		return nil, refuse(21610, "the customer has opted out of messages from this sender")
	}
	if bad := s.knownTemplate(req, id); bad != nil {
		return nil, bad
	}
	snd := s.senderByID(id)
	if !strings.HasPrefix(snd.channel.Course.at(s.tick()), statusOnline) {
		return nil, refuse(63007, "the sender is not online")
	}
	return snd, nil
}

// parties returns the sender and the pool a message counts for, making them
// where they are unknown. The caller holds mu.
func (s *Sandbox) parties(m *message) (*sender, *pool) {
	snd, home := s.senderByID(m.sender), s.poolByName(m.pool)
	home.members[snd.id] = snd
	return snd, home
}

// weigh judges the message by the limits of its sender and pool. The caller
// holds mu.
func (s *Sandbox) weigh(m *message) {
	snd, home := s.parties(m)
	s.review(snd, m.accepted)
	m.barred = s.barred(snd, m)
	m.request.filled = nil // judged here and nowhere else
	m.limits.sender, m.limits.pool = snd.limit, home.limit()
	st := standing{
		expired:    m.expires(),
		inWindow:   m.inWindow,
		barred:     m.barred,
		senderFits: snd.counted.fits(m.customer, m.limits.sender, m.accepted),
		poolFits:   home.counted.fits(m.customer, m.limits.pool, m.accepted),
	}
	m.counted, m.code = judge(m.request.template, st)
	m.over.sender = m.barred == 0 && m.code == codeOverLimit && !st.senderFits
	m.over.pool = m.barred == 0 && m.code == codeOverLimit && !st.poolFits
}

// enter puts a judged message into the ledger, takes or refreshes its places,
// and lets the sender's queue grow by it. It decides nothing: a replay does the
// same with the same message. The caller holds mu, or owns s alone.
func (s *Sandbox) enter(m *message) {
	snd, home := s.parties(m)
	m.customer = s.customer(m.request.to)
	snd.auth, snd.last = m.auth, m.accepted
	if free := m.accepted.Add(m.wait + m.pace); free.After(snd.free) {
		snd.free = free
	}
	if m.counted {
		snd.counted.count(m.customer, m.accepted)
		home.counted.count(m.customer, m.accepted)
	}
	if m.over.sender {
		snd.over++
	}
	if m.over.pool {
		home.over++
	}
	s.book.add(m)
}

// windowOpen reports whether the customer wrote to the sender lately. The
// caller holds mu.
func (s *Sandbox) windowOpen(customer, sender string, now time.Time) bool {
	wrote, ok := s.service[pair{customer, sender}]
	return ok && now.Sub(wrote) < s.cfg.ServiceWindow
}
