package sandbox

import (
	"net/url"
	"strconv"
	"time"
)

// resource is a message as the Messages API shows it. Dates are RFC 2822.
type resource struct {
	AccountSID      string            `json:"account_sid"`
	APIVersion      string            `json:"api_version"`
	Body            string            `json:"body"`
	DateCreated     string            `json:"date_created"`
	DateSent        *string           `json:"date_sent"`
	DateUpdated     string            `json:"date_updated"`
	Direction       string            `json:"direction"`
	ErrorCode       *int              `json:"error_code"`
	ErrorMessage    *string           `json:"error_message"`
	From            *string           `json:"from"`
	ServiceSID      *string           `json:"messaging_service_sid"`
	NumMedia        string            `json:"num_media"`
	NumSegments     string            `json:"num_segments"`
	Price           *string           `json:"price"`
	PriceUnit       *string           `json:"price_unit"`
	SID             string            `json:"sid"`
	Status          string            `json:"status"`
	SubresourceURIs map[string]string `json:"subresource_uris"`
	To              string            `json:"to"`
	URI             string            `json:"uri"`
}

// resourceOf renders a message as it stands. The caller holds mu.
func (s *Sandbox) resourceOf(m *message) resource {
	path := s.base + "/" + apiVersion + "/Accounts/" + m.auth.account + "/Messages/" + m.sid
	r := resource{
		AccountSID: m.auth.account, APIVersion: apiVersion, Body: m.request.body,
		DateCreated: rfc2822(m.accepted), DateUpdated: rfc2822(m.updated),
		Direction: "outbound-api", SID: m.sid, Status: m.status(), To: m.request.to,
		NumMedia: strconv.Itoa(m.request.media), NumSegments: "1", URI: path + ".json",
		SubresourceURIs: map[string]string{"media": path + "/Media.json"},
	}
	if !m.sent.IsZero() {
		sent := rfc2822(m.sent)
		r.DateSent = &sent
	}
	if code := m.errorCode(); code != 0 {
		text := failureText(code)
		r.ErrorCode, r.ErrorMessage = &code, &text
	}
	if m.request.service != "" {
		r.ServiceSID = &m.request.service
		r.NumSegments = "0"
	}
	if origin := m.origin(); m.originKnown() {
		r.From = &origin
	}
	return r
}

// originKnown is false while a messaging service has not picked a number yet.
func (m *message) originKnown() bool {
	return m.request.from != "" || m.reached > 0
}

func rfc2822(t time.Time) string {
	return t.UTC().Format(time.RFC1123Z)
}

// page is what a list request asks for.
type page struct {
	to, from     string // empty: any
	size, number int
	after        string // sid of the last message of the page before
}

// listing is a page of messages, newest first.
type listing struct {
	Messages     []resource `json:"messages"`
	Page         int        `json:"page"`
	PageSize     int        `json:"page_size"`
	Start        int        `json:"start"`
	End          int        `json:"end"`
	URI          string     `json:"uri"`
	FirstPageURI string     `json:"first_page_uri"`
	NextPageURI  *string    `json:"next_page_uri"`
	PrevPageURI  *string    `json:"previous_page_uri"`
}

func (s *Sandbox) list(account string, p page) listing {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := listing{
		Messages: []resource{}, Page: p.number, PageSize: p.size, Start: p.number * p.size,
		URI:          s.pageURI(account, p),
		FirstPageURI: s.pageURI(account, page{to: p.to, from: p.from, size: p.size}),
	}
	found := s.find(account, p)
	if len(found) > p.size {
		found = found[:p.size]
		next := p
		next.number++
		next.after = found[p.size-1].sid
		uri := s.pageURI(account, next)
		l.NextPageURI = &uri
	}
	if p.number > 0 {
		uri := s.pageURI(account, page{to: p.to, from: p.from, size: p.size, number: p.number - 1})
		l.PrevPageURI = &uri
	}
	for _, m := range found {
		l.Messages = append(l.Messages, s.resourceOf(m))
	}
	l.End = l.Start + max(0, len(found)-1)
	return l
}

// find returns a page and one message more where there is one. With a page
// token the page stays in place while new messages arrive; without, Page counts
// from the newest message of the moment.
func (s *Sandbox) find(account string, p page) []*message {
	among := s.book.all
	if p.to != "" && p.from != "" {
		among = s.book.byPair[pair{p.to, p.from}]
	}
	skip := p.number * p.size
	before := len(s.book.all)
	if last := s.book.bySID[p.after]; last != nil {
		before, skip = last.seq, 0
	}
	var found []*message
	for i := len(among) - 1; i >= 0 && len(found) <= p.size; i-- {
		m := among[i]
		switch {
		case m.seq >= before, !m.matches(account, p):
		case skip > 0:
			skip--
		default:
			found = append(found, m)
		}
	}
	return found
}

func (m *message) matches(account string, p page) bool {
	return m.auth.account == account &&
		(p.to == "" || p.to == m.request.to) &&
		(p.from == "" || m.originKnown() && p.from == m.origin())
}

func (s *Sandbox) pageURI(account string, p page) string {
	query := url.Values{"PageSize": {strconv.Itoa(p.size)}, "Page": {strconv.Itoa(p.number)}}
	for name, value := range map[string]string{"To": p.to, "From": p.from} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if p.after != "" {
		query.Set("PageToken", "PA"+p.after)
	}
	return s.base + "/" + apiVersion + "/Accounts/" + account + "/Messages.json?" + query.Encode()
}
