package sandbox

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// sender is one WhatsApp number or messaging service.
type sender struct {
	id      string // digits of the number, or MG sid
	limit   Limit
	mps     Rate
	words   string // of the limit in the Senders API, put by hand; empty: from limit
	channel channel
	quality string
	pool    string      // put by hand; empty: the account of each message
	auth    credentials // last seen
	counted *window
	over    int       // messages beyond the limit
	free    time.Time // when everything accepted so far has left its queue
	last    time.Time // when the last message was accepted

	reviewed time.Time // when the platform last looked at its limit
}

// home is the pool a message of this account counts in.
func (s *sender) home(account string) string {
	if s.pool != "" {
		return s.pool
	}
	return account
}

// pool is a set of senders that share a limit (Meta's business portfolio).
type pool struct {
	put     *Limit
	members map[string]*sender
	counted *window
	over    int
}

// limit is the one put, otherwise the largest of the senders' limits.
func (p *pool) limit() Limit {
	if p.put != nil {
		return *p.put
	}
	var l Limit
	for _, member := range p.members {
		l = larger(l, member.limit)
	}
	return l
}

// senderByID returns the sender, making one with the default limit where it is
// unknown. The caller holds mu.
func (s *Sandbox) senderByID(id string) *sender {
	snd, ok := s.senders[id]
	if !ok {
		snd = &sender{
			id: id, limit: Limit(s.cfg.DefaultLimit), mps: rateOf(s.cfg.MPS),
			channel: channel{Course: always(statusOnline)}, quality: "HIGH", counted: newWindow(s.cfg.Window),
		}
		s.senders[id] = snd
	}
	return snd
}

// poolByName returns the pool, making an empty one where it is unknown. The
// caller holds mu.
func (s *Sandbox) poolByName(name string) *pool {
	p, ok := s.pools[name]
	if !ok {
		p = &pool{members: map[string]*sender{}, counted: newWindow(s.cfg.Window)}
		s.pools[name] = p
	}
	return p
}

// SenderPatch is what to set at a sender; nil fields stay as they are.
type SenderPatch struct {
	Limit   *Limit  `json:"limit"`
	MPS     *Rate   `json:"mps"`        // what waits already keeps its place
	Words   *string `json:"limit_text"` // how the Senders API words the limit; by default from limit
	Status  *string `json:"status"`     // of the Senders API; only ONLINE… sends
	Quality *string `json:"quality"`    // HIGH, MEDIUM, LOW or UNKNOWN
	Account *string `json:"account"`    // whose it is; by default every account sees it until one sends from it
	Pool    *string `json:"pool"`       // the senders it shares a limit with; its account by default
}

// SenderState is a sender as it stands.
type SenderState struct {
	Sender  string `json:"sender"`
	SID     string `json:"sid"`
	Pool    string `json:"pool"` // empty until its account is known
	Limit   Limit  `json:"limit"`
	Words   string `json:"limit_text"`
	MPS     Rate   `json:"mps"`
	Status  string `json:"status"`
	Quality string `json:"quality"`
	Code    string `json:"verification_code,omitempty"`   // that its number received
	Method  string `json:"verification_method,omitempty"` // how
}

// state is the sender as it stands at now. The caller holds mu.
func (s *sender) state(now time.Time) SenderState {
	st := SenderState{
		Sender: s.id, SID: senderSID(s.id), Pool: s.home(s.auth.account), Limit: s.limit, Words: s.limitText(),
		MPS: s.mps, Status: s.channel.Course.at(now), Quality: s.quality,
	}
	if s.channel.Code != "" && st.Status == statusPending {
		st.Code, st.Method = s.channel.Code, cmp.Or(s.channel.Config.Method, "sms")
	}
	return st
}

// Senders lists the senders there are, by token.
func (s *Sandbox) Senders() []SenderState {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.tick()
	states := []SenderState{}
	for _, id := range slices.Sorted(maps.Keys(s.senders)) {
		states = append(states, s.senders[id].state(now))
	}
	return states
}

// Sender is one sender as it stands; ok is false where there is none.
func (s *Sandbox) Sender(id string) (state SenderState, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	snd, ok := s.senders[id]
	if !ok {
		return SenderState{}, false
	}
	return snd.state(s.tick()), true
}

// PutSender sets fields of a sender (digits of its number, or MG sid), making
// it where it is unknown. What it sent before counts where it counted then.
func (s *Sandbox) PutSender(id string, patch SenderPatch) (SenderState, error) {
	if err := patch.check(id); err != nil {
		return SenderState{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.journal.write(record{Sender: &senderRecord{id, patch}}); err != nil {
		return SenderState{}, err
	}
	snd := s.senderByID(id)
	if patch.Limit != nil {
		snd.limit, snd.words = *patch.Limit, ""
	}
	set(&snd.words, patch.Words)
	set(&snd.mps, patch.MPS)
	set(&snd.quality, patch.Quality)
	set(&snd.channel.Account, patch.Account)
	if patch.Status != nil {
		snd.channel.Course = always(*patch.Status)
	}
	if patch.Pool != nil {
		for _, p := range s.pools {
			delete(p.members, id)
		}
		snd.pool = *patch.Pool
		s.poolByName(snd.pool).members[id] = snd
	}
	if s.cfg.Tiers && patch.Limit == nil && patch.Quality != nil && *patch.Quality == "LOW" {
		s.move(snd, lowerTier(snd.limit))
	}
	return snd.state(s.tick()), nil
}

func (p SenderPatch) check(id string) error {
	switch {
	case !senderToken.MatchString(id):
		return badField("sender", "must be the digits of a number or an MG sid")
	case p.Limit != nil && *p.Limit < Unlimited:
		return badField("limit", `must be an integer from 0 or "unlimited"`)
	case p.MPS != nil && !p.MPS.valid():
		return badRate("")
	case p.Status != nil && !senderStatus.MatchString(*p.Status):
		return badField("status", "must be a status such as ONLINE or OFFLINE")
	case p.Quality != nil && !strings.Contains(" HIGH MEDIUM LOW UNKNOWN ", " "+*p.Quality+" "):
		return badField("quality", "must be HIGH, MEDIUM, LOW or UNKNOWN")
	case p.Words != nil && len(*p.Words) > 100:
		return badField("limit_text", "must be at most 100 characters")
	case p.Account != nil && !accountSID.MatchString(*p.Account):
		return badField("account", "must be an AC sid")
	case p.Pool != nil && !poolIdentifier.MatchString(*p.Pool):
		return badField("pool", "must be 1 to 64 of A-Z a-z 0-9 . _ : -")
	}
	return nil
}

// PutPool sets the limit that a pool's senders share. Without it that is the
// largest of their limits.
func (s *Sandbox) PutPool(name string, limit Limit) error {
	if !poolIdentifier.MatchString(name) {
		return badField("pool", "must be 1 to 64 of A-Z a-z 0-9 . _ : -")
	}
	if limit < Unlimited {
		return badField("limit", `must be an integer from 0 or "unlimited"`)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.journal.write(record{Pool: &poolRecord{name, limit}}); err != nil {
		return err
	}
	s.poolByName(name).put = &limit
	return nil
}

func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}
