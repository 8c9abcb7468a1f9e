package sandbox

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

// chat is what passed between one customer and one sender, as their phone
// shows it.
type chat struct {
	Customer, Sender string // address of the customer, token of the sender
	Lines            []line // oldest first
	Last             time.Time
	Unread           int
	OpenUntil        time.Time // of the customer service window; zero: shut
	Stopped          bool
}

// line is one message on the phone.
type line struct {
	At       time.Time
	Body     string
	Mine     bool // the customer wrote it
	Template bool
	Media    int
	Read     bool
}

// Preview is the last message in short.
func (c chat) Preview() string {
	if len(c.Lines) == 0 {
		return ""
	}
	last := c.Lines[len(c.Lines)-1]
	if last.Mine {
		return "You: " + last.Body
	}
	return last.text()
}

// text is the message, or what stands for it where its text is not known.
func (l line) text() string {
	switch {
	case l.Body != "":
		return l.Body
	case l.Media > 0:
		return "(picture or file)"
	default:
		return "(template message)"
	}
}

// Text is [line.text] for the page.
func (l line) Text() string { return l.text() }

// mostChats bounds the list of a phone: the newest ones are shown.
const mostChats = 100

// chats lists the newest conversations, without their lines but the last one.
func (s *Sandbox) chats() []chat {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := map[pair]chat{}
	keep := func(who pair) {
		if _, known := last[who]; known {
			return
		}
		if c := s.chat(who); len(c.Lines) > 0 {
			c.Lines = c.Lines[len(c.Lines)-1:]
			last[who] = c
		}
	}
	for who, messages := range s.book.byPair {
		keep(pair{who.customer, messages[0].sender})
	}
	for who := range s.heard {
		keep(who)
	}
	list := make([]chat, 0, len(last))
	for _, c := range last {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b chat) int {
		if n := b.Last.Compare(a.Last); n != 0 {
			return n
		}
		return strings.Compare(a.Customer+a.Sender, b.Customer+b.Sender)
	})
	return list[:min(mostChats, len(list))]
}

// conversation is one chat with all its lines; empty where nothing passed yet.
func (s *Sandbox) conversation(customer, sender string) chat {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.chat(pair{customer, sender})
}

// chat puts a conversation together. The caller holds mu.
func (s *Sandbox) chat(who pair) chat {
	known := pair{s.customer(who.customer), who.sender}
	c := chat{Customer: who.customer, Sender: who.sender, Stopped: s.stopped[known]}
	if wrote, ok := s.service[known]; ok && s.cfg.Now().Sub(wrote) < s.cfg.ServiceWindow {
		c.OpenUntil = wrote.Add(s.cfg.ServiceWindow)
	}
	for _, m := range s.book.byPair[pair{who.customer, s.originOf(who.sender)}] {
		if !m.arrived() {
			continue
		}
		l := line{
			At: m.sent, Body: m.shown, Template: m.request.template, Media: m.request.media,
			Read: m.status() == "read",
		}
		if !l.Read {
			c.Unread++
		}
		c.Lines = append(c.Lines, l)
	}
	for _, said := range s.heard[who] {
		c.Lines = append(c.Lines, line{At: said.At, Body: said.Body, Mine: true})
	}
	slices.SortStableFunc(c.Lines, func(a, b line) int { return a.At.Compare(b.At) })
	if len(c.Lines) > 0 {
		c.Last = c.Lines[len(c.Lines)-1].At
	}
	return c
}

// originOf is the address that a sender's messages come from.
func (s *Sandbox) originOf(token string) string {
	if serviceSID.MatchString(token) {
		return serviceNumber(token)
	}
	return "whatsapp:+" + token
}

// arrived reports whether the message is on the customer's phone.
func (m *message) arrived() bool {
	switch m.status() {
	case "delivered", "read":
		return true
	}
	return false
}

// Read lets the customer open a chat: what was delivered in it is read from
// then on, and the sender is told so.
func (s *Sandbox) Read(customer, sender string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.book.byPair[pair{customer, s.originOf(sender)}] {
		if m.status() != "delivered" || m.read {
			continue // not there yet, or about to be read by itself
		}
		rec := openedRecord{SID: m.sid, At: s.tick()}
		// Once the journal has it the message is read. A crash from there on
		// costs the sender the receipt, as a provider's fault might.
		if err := s.journal.write(record{Opened: &rec}); err != nil {
			return err
		}
		m.open(rec.At)
		if m.request.callback != "" {
			hook := statusHook(m, len(m.steps)-1)
			hook.of = leaving{SID: m.sid, Item: maxSteps * 4} // no item of its plan
			s.due.add(item{due: time.Now(), hook: hook})
		}
		s.changed++
	}
	return nil
}

// open takes a delivered message to its last step.
func (m *message) open(at time.Time) {
	m.read = true
	m.steps = stepsTo(m.code, true)
	m.advance(len(m.steps)-1, at)
}

// Changes counts what has happened on the phones since the sandbox began.
func (s *Sandbox) Changes() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// shown is what a message looks like to its customer: a template with its
// values in place, where the sandbox knows its text. The caller holds mu.
func (s *Sandbox) shown(req request) string {
	if t := s.templates[req.content]; t != nil && req.template {
		return cmp.Or(t.text(req.filled), req.body)
	}
	return req.body
}

// text is a template with its variables replaced, by their samples where no
// value is given; empty for a template without a text.
func (t *template) text(filled map[string]string) string {
	var types map[string]struct {
		Body string `json:"body"`
	}
	if json.Unmarshal(t.Types, &types) != nil {
		return "" // a kind of template that is drawn in another way
	}
	var body string
	for _, kind := range slices.Sorted(maps.Keys(types)) {
		body = cmp.Or(body, types[kind].Body)
	}
	values := maps.Clone(t.Variables)
	if values == nil {
		values = map[string]string{}
	}
	maps.Copy(values, filled)
	var pairs []string
	for name, value := range values {
		pairs = append(pairs, "{{"+name+"}}", value)
	}
	return strings.NewReplacer(pairs...).Replace(body)
}
