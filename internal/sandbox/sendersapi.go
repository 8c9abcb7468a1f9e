package sandbox

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const sendersPath = "/v2/Channels/Senders"

func (s *Sandbox) routeSenders(mux *http.ServeMux) {
	mux.HandleFunc("POST "+sendersPath, s.signedIn(s.registerSender))
	mux.HandleFunc("GET "+sendersPath, s.signedIn(s.listSenders))
	mux.HandleFunc("GET "+sendersPath+"/{sid}", s.signedIn(s.fetchSender))
	mux.HandleFunc("POST "+sendersPath+"/{sid}", s.signedIn(s.updateSender))
	mux.HandleFunc("DELETE "+sendersPath+"/{sid}", s.signedIn(s.deleteSender))
}

// signedIn is [Sandbox.authenticated] for the APIs whose paths name no account:
// it is the user of the credentials, and none for an API key.
func (s *Sandbox) signedIn(next func(http.ResponseWriter, *http.Request, credentials)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("T-Request-Id", newSID("RQ"))
		user, secret, ok := r.BasicAuth()
		key := strings.HasPrefix(user, "SK")
		if !ok || secret == "" || secret == refusedToken || !key && !accountSID.MatchString(user) {
			w.Header().Set("WWW-Authenticate", `Basic realm="Sluice sandbox"`)
			newProblem(http.StatusUnauthorized, 20003, "the credentials are not accepted").write(w)
			return
		}
		auth := credentials{account: user, secret: secret}
		if key {
			auth.account = ""
		}
		s.admit(w, user, func() { next(w, r, auth) })
	}
}

// channelRequest is the body of a registration or a change.
type channelRequest struct {
	Address string          `json:"sender_id"`
	Config  *channelConfig  `json:"configuration"`
	Webhook *channelWebhook `json:"webhook"`
	Profile json.RawMessage `json:"profile"`
}

func readChannel(w http.ResponseWriter, r *http.Request) (channelRequest, *problem) {
	var req channelRequest
	if err := strictJSON(http.MaxBytesReader(w, r.Body, maxForm), &req); err != nil {
		return req, refuse(20001, "the body is not a sender in JSON: "+err.Error())
	}
	if req.Config != nil && !slices.Contains([]string{"", "sms", "voice"}, req.Config.Method) {
		return req, refuse(20001, "configuration.verification_method must be sms or voice")
	}
	if hook := req.Webhook; hook != nil {
		for _, text := range []string{hook.CallbackURL, hook.FallbackURL, hook.StatusURL} {
			if text != "" && !callbackAddress(text) {
				return req, refuse(20001, "webhook holds a URL that is not valid")
			}
		}
		for _, method := range []string{hook.CallbackMethod, hook.FallbackMethod, hook.StatusMethod} {
			if !slices.Contains([]string{"", "POST", "PUT"}, method) {
				return req, refuse(20001, "webhook methods are POST and PUT")
			}
		}
	}
	var profile map[string]any
	if len(req.Profile) > 0 && json.Unmarshal(req.Profile, &profile) != nil {
		return req, refuse(20001, "profile must be an object")
	}
	return req, nil
}

func (s *Sandbox) registerSender(w http.ResponseWriter, r *http.Request, auth credentials) {
	req, bad := readChannel(w, r)
	if bad == nil && !phoneAddress.MatchString(req.Address) {
		bad = refuse(20001, "sender_id must be whatsapp:+ and the number in E.164")
	}
	if bad != nil {
		bad.write(w)
		return
	}
	id := strings.TrimPrefix(req.Address, "whatsapp:+")
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.tick()
	if snd, known := s.senders[id]; known && snd.channel.Course.at(now) != statusDeleted {
		newProblem(http.StatusConflict, 20409, "the sender is registered already").write(w)
		return
	}
	c := channel{Account: auth.account, Course: s.opened(id, displayName(req.Profile), now)}
	if !providersNumber(id) {
		c.Code = newCode()
	}
	s.answerChannel(w, id, c.with(req), http.StatusAccepted)
}

// with is the channel after a change. A code is for checking only.
func (c channel) with(req channelRequest) channel {
	if req.Config != nil {
		c.Config.WABA = cmp.Or(req.Config.WABA, c.Config.WABA)
		c.Config.Method = cmp.Or(req.Config.Method, c.Config.Method)
		c.Config.Application = cmp.Or(req.Config.Application, c.Config.Application)
		c.Config.AccountType = cmp.Or(req.Config.AccountType, c.Config.AccountType)
	}
	if hook := req.Webhook; hook != nil {
		c.Webhook.CallbackURL = cmp.Or(hook.CallbackURL, c.Webhook.CallbackURL)
		c.Webhook.CallbackMethod = cmp.Or(hook.CallbackMethod, c.Webhook.CallbackMethod)
		c.Webhook.FallbackURL = cmp.Or(hook.FallbackURL, c.Webhook.FallbackURL)
		c.Webhook.FallbackMethod = cmp.Or(hook.FallbackMethod, c.Webhook.FallbackMethod)
		c.Webhook.StatusURL = cmp.Or(hook.StatusURL, c.Webhook.StatusURL)
		c.Webhook.StatusMethod = cmp.Or(hook.StatusMethod, c.Webhook.StatusMethod)
	}
	if len(req.Profile) > 0 && string(req.Profile) != "null" {
		c.Profile = merged(c.Profile, req.Profile)
	}
	return c
}

// merged is an object with the fields of another put over it.
func merged(old, put json.RawMessage) json.RawMessage {
	fields := map[string]json.RawMessage{}
	for _, object := range []json.RawMessage{old, put} {
		if len(object) > 0 {
			_ = json.Unmarshal(object, &fields) // both were read once
		}
	}
	data, _ := json.Marshal(fields) // valid JSON is always marshalled
	return data
}

func (s *Sandbox) updateSender(w http.ResponseWriter, r *http.Request, auth credentials) {
	req, bad := readChannel(w, r)
	if bad != nil {
		bad.write(w)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.tick()
	snd := s.senderBySID(r.PathValue("sid"), auth, now)
	if snd == nil {
		notFound().write(w)
		return
	}
	c := snd.channel.with(req)
	switch status := snd.channel.Course.at(now); {
	case req.Config != nil && req.Config.Code != "":
		if status != statusPending || req.Config.Code != snd.channel.Code {
			refuse(20001, "configuration.verification_code does not fit").write(w)
			return
		}
		c.Code, c.Course = "", s.verified(displayName(c.Profile), now)
	case status == statusPending && req.Config != nil && req.Config.Method != "":
		c.Code = newCode() // asked for again
	case status == statusOnline:
		c.Course = through(now, s.cfg.OnboardingStep, statusUpdating, statusOnline)
	}
	s.answerChannel(w, snd.id, c, http.StatusAccepted)
}

// answerChannel stores a change and answers with the sender as it stands then,
// without its properties, as the provider does. The caller holds mu.
func (s *Sandbox) answerChannel(w http.ResponseWriter, id string, c channel, status int) {
	if err := s.setChannel(id, c); err != nil {
		s.cfg.Log.Error("a sender was not changed", "error", err)
		newProblem(http.StatusInternalServerError, 20500, errJournal.Error()).write(w)
		return
	}
	answer := s.channelOf(s.senders[id], s.tick())
	answer.Properties = nil
	writeJSON(w, status, answer)
}

func (s *Sandbox) deleteSender(w http.ResponseWriter, r *http.Request, auth credentials) {
	s.mu.Lock()
	defer s.mu.Unlock()
	snd := s.senderBySID(r.PathValue("sid"), auth, s.tick())
	if snd == nil {
		notFound().write(w)
		return
	}
	if err := s.setChannel(snd.id, channel{Account: snd.channel.Account, Course: always(statusDeleted)}); err != nil {
		newProblem(http.StatusInternalServerError, 20500, errJournal.Error()).write(w)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Sandbox) fetchSender(w http.ResponseWriter, r *http.Request, auth credentials) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.tick()
	snd := s.senderBySID(r.PathValue("sid"), auth, now)
	if snd == nil {
		notFound().write(w)
		return
	}
	s.review(snd, now)
	writeJSON(w, http.StatusOK, s.channelOf(snd, now))
}

// senderBySID is the sender an account calls sid, or nil. The caller holds mu.
func (s *Sandbox) senderBySID(sid string, auth credentials, now time.Time) *sender {
	for _, snd := range s.senders {
		if senderSID(snd.id) == sid && snd.visible(auth.account, now) {
			return snd
		}
	}
	return nil
}

func (s *Sandbox) listSenders(w http.ResponseWriter, r *http.Request, auth credentials) {
	query := r.URL.Query()
	if query.Get("Channel") != "whatsapp" {
		refuse(20001, "Channel is required; the sandbox knows whatsapp").write(w)
		return
	}
	size, err := strconv.Atoi(cmp.Or(query.Get("PageSize"), strconv.Itoa(defaultPage)))
	if err != nil || size < 1 || size > maxPage {
		refuse(20001, "PageSize must be 1 to 1000").write(w)
		return
	}
	page, _ := strconv.Atoi(query.Get("Page")) // what is no number is the first
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.tick()
	found := []channelResource{}
	for _, id := range slices.Sorted(maps.Keys(s.senders)) {
		if snd := s.senders[id]; snd.visible(auth.account, now) {
			s.review(snd, now)
			found = append(found, s.channelOf(snd, now))
		}
	}
	page = max(page, 0)
	from := min(page*size, len(found))
	to := min(from+size, len(found))
	writeJSON(w, http.StatusOK, map[string]any{"senders": found[from:to], "meta": s.sendersMeta(page, size, to < len(found))})
}

func (s *Sandbox) sendersMeta(page, size int, more bool) map[string]any {
	link := func(n int) string {
		q := url.Values{"Channel": {"whatsapp"}, "PageSize": {strconv.Itoa(size)}, "Page": {strconv.Itoa(n)}}
		return strings.TrimRight(cmp.Or(s.cfg.PublicURL, "http://sandbox.invalid"), "/") + sendersPath + "?" + q.Encode()
	}
	meta := map[string]any{
		"page": page, "page_size": size, "key": "senders", "url": link(page),
		"first_page_url": link(0), "previous_page_url": nil, "next_page_url": nil,
	}
	if page > 0 {
		meta["previous_page_url"] = link(page - 1)
	}
	if more {
		meta["next_page_url"] = link(page + 1)
	}
	return meta
}

// channelResource is a sender as the Senders API shows it.
type channelResource struct {
	SID        string            `json:"sid"`
	Status     string            `json:"status"`
	Address    string            `json:"sender_id"`
	Config     channelConfig     `json:"configuration"`
	Webhook    channelWebhook    `json:"webhook"`
	Profile    json.RawMessage   `json:"profile"`
	Properties map[string]string `json:"properties"`
	Reasons    []*offlineReason  `json:"offline_reasons"`
	Compliance any               `json:"compliance"`
	URL        string            `json:"url"`
}

// channelOf renders a sender as it stands. The caller holds mu.
func (s *Sandbox) channelOf(snd *sender, now time.Time) channelResource {
	sid := senderSID(snd.id)
	r := channelResource{
		SID: sid, Status: snd.channel.Course.at(now), Address: "whatsapp:+" + snd.id,
		Config: snd.channel.Config, Webhook: snd.channel.Webhook, Profile: snd.channel.Profile,
		Properties: map[string]string{"quality_rating": snd.quality, "messaging_limit": snd.limitText()},
		URL:        strings.TrimRight(s.cfg.PublicURL, "/") + sendersPath + "/" + sid,
	}
	if why := snd.reason(now); why != nil {
		r.Reasons = []*offlineReason{why}
	}
	return r
}
