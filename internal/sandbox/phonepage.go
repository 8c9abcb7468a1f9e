package sandbox

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	html "html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

//go:embed web
var web embed.FS

var phonePage = html.Must(html.New("phone.html").Funcs(html.FuncMap{
	"number": number,
	"clock":  func(t time.Time) string { return t.UTC().Format("15:04") },
	"link":   chatLink,
	"left":   timeLeft,
	"words":  func() []string { return []string{replyText, stopText, "START"} },
}).ParseFS(web, "web/phone.html"))

// phoneView is the page: the list of chats and the one that is open.
type phoneView struct {
	Chats   []chat
	Open    *chat
	Now     time.Time
	Changes uint64
	Problem string
	Senders []string
	Home    string // address of the dashboard, if there is one
}

// phone is the pages over a sandbox.
type phone struct {
	*Sandbox
	home string
}

// Phone serves the customers' side to a browser: their chats as they would see
// them, and what they write back. All its addresses are relative, so that it
// can be served under any path. Requests that a browser makes for another site
// are refused. home is where its way back leads, empty for none.
func (s *Sandbox) Phone(home string) http.Handler {
	p := phone{s, home}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.get)
	mux.HandleFunc("GET /changes", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]uint64{"changes": s.Changes()})
	})
	mux.HandleFunc("POST /say", p.say)
	mux.HandleFunc("POST /read", p.read)
	for _, name := range []string{"phone.css", "phone.js"} {
		mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, r *http.Request) {
			http.ServeFileFS(w, r, web, "web/"+name)
		})
	}
	return http.NewCrossOriginProtection().Handler(mux)
}

func (p phone) get(w http.ResponseWriter, r *http.Request) {
	p.draw(w, r.URL.Query().Get("customer"), r.URL.Query().Get("sender"), http.StatusOK, "")
}

func (p phone) draw(w http.ResponseWriter, customer, sender string, status int, problem string) {
	v := phoneView{Changes: p.Changes(), Chats: p.chats(), Now: p.cfg.Now(), Problem: problem, Senders: p.tokens(), Home: p.home}
	if customer != "" && sender != "" {
		open := p.conversation(customer, sender)
		v.Open = &open
	}
	var page bytes.Buffer
	if err := phonePage.Execute(&page, v); err != nil {
		p.cfg.Log.Error("the phone could not be drawn", "error", err)
		http.Error(w, "the phone could not be drawn; the log says why", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "+
		"img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes()) // the caller has gone; there is nobody to tell
}

// postSay lets a customer write.
func (p phone) say(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxControl)
	customer, sender := phoneAddressOf(r.PostFormValue("customer")), r.PostFormValue("sender")
	to := sender
	if !serviceSID.MatchString(sender) {
		sender = strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(sender), "whatsapp:"), "+")
		to = "whatsapp:+" + sender
	}
	_, err := p.Receive(Inbound{From: customer, To: to, Body: strings.TrimSpace(r.PostFormValue("body"))})
	p.backTo(w, r, customer, sender, err)
}

func (p phone) read(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxControl)
	customer, sender := r.PostFormValue("customer"), r.PostFormValue("sender")
	p.backTo(w, r, customer, sender, p.Read(customer, sender))
}

func (p phone) backTo(w http.ResponseWriter, r *http.Request, customer, sender string, err error) {
	if err != nil {
		why := err.Error()
		var field *fieldError
		if errors.As(err, &field) {
			why = fmt.Sprintf("%s %s", map[string]string{"from": "The customer's number", "to": "The sender", "body": "The text"}[field.field], field.message)
		}
		p.draw(w, customer, sender, http.StatusBadRequest, why)
		return
	}
	w.Header().Set("Location", chatLink(customer, sender)) // relative, wherever this is served
	w.WriteHeader(http.StatusSeeOther)
}

// phoneAddressOf reads a number as people type it.
func phoneAddressOf(text string) string {
	text = strings.Join(strings.Fields(text), "")
	if strings.HasPrefix(text, "whatsapp:") {
		return text
	}
	return "whatsapp:" + text
}

// tokens are the senders that a customer may write to first.
func (s *Sandbox) tokens() (tokens []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for token := range s.senders {
		tokens = append(tokens, token)
	}
	slices.Sort(tokens)
	return tokens
}

func chatLink(customer, sender string) string {
	return "./?" + url.Values{"customer": {customer}, "sender": {sender}}.Encode() + "#end"
}

// number is an address or a token as people read it.
func number(address string) string {
	switch address = strings.TrimPrefix(address, "whatsapp:"); {
	case senderToken.MatchString(address) && !serviceSID.MatchString(address):
		return "+" + address
	default:
		return address
	}
}

// timeLeft is until as a person says it.
func timeLeft(until, now time.Time) string {
	d := until.Sub(now)
	switch {
	case d >= time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	case d >= time.Minute:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	default:
		return fmt.Sprintf("%d s", max(0, int(d.Seconds())))
	}
}
