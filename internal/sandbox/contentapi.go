package sandbox

import (
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"time"
)

const contentPath = "/v1/Content"

func (s *Sandbox) routeContent(mux *http.ServeMux) {
	mux.HandleFunc("POST "+contentPath, s.signedIn(s.createContent))
	mux.HandleFunc("GET "+contentPath, s.signedIn(s.listContent))
	mux.HandleFunc("GET "+contentPath+"/{sid}", s.onContent(func(w http.ResponseWriter, _ *http.Request, t template) {
		writeJSON(w, http.StatusOK, s.contentOf(t))
	}))
	mux.HandleFunc("DELETE "+contentPath+"/{sid}", s.onContent(func(w http.ResponseWriter, _ *http.Request, t template) {
		t.Course = always(statusDeleted)
		s.storeContent(w, t, func() { w.WriteHeader(http.StatusNoContent) })
	}))
	mux.HandleFunc("GET "+contentPath+"/{sid}/ApprovalRequests", s.onContent(func(w http.ResponseWriter, _ *http.Request, t template) {
		writeJSON(w, http.StatusOK, map[string]any{
			"sid": t.SID, "account_sid": t.Account, "whatsapp": s.approvalOf(t), "url": contentPath + "/" + t.SID + "/ApprovalRequests",
		})
	}))
	mux.HandleFunc("POST "+contentPath+"/{sid}/ApprovalRequests/whatsapp", s.onContent(s.submitContent))
}

// onContent finds the template of the path and holds mu meanwhile.
func (s *Sandbox) onContent(next func(http.ResponseWriter, *http.Request, template)) http.HandlerFunc {
	return s.signedIn(func(w http.ResponseWriter, r *http.Request, auth credentials) {
		s.mu.Lock()
		defer s.mu.Unlock()
		t := s.templates[r.PathValue("sid")]
		if t == nil || !t.visible(auth.account) {
			notFound().write(w)
			return
		}
		next(w, r, *t)
	})
}

func (t template) visible(account string) bool {
	return t.Account == "" || account == "" || t.Account == account
}

func (s *Sandbox) createContent(w http.ResponseWriter, r *http.Request, auth credentials) {
	var in struct {
		Name      string                     `json:"friendly_name"`
		Language  string                     `json:"language"`
		Variables map[string]string          `json:"variables"`
		Types     map[string]json.RawMessage `json:"types"`
	}
	err := strictJSON(http.MaxBytesReader(w, r.Body, maxForm), &in)
	if err != nil || in.Language == "" || len(in.Types) == 0 {
		refuse(20001, "a template needs language and types, variables are an object of strings").write(w)
		return
	}
	types, _ := json.Marshal(in.Types) // was read as JSON
	s.mu.Lock()
	defer s.mu.Unlock()
	t := template{
		SID: newSID("HX"), Account: auth.account, Name: in.Name, Language: in.Language,
		Variables: in.Variables, Types: types, Made: s.tick(), Course: always(templateUnsubmitted),
	}
	s.storeContent(w, t, func() { writeJSON(w, http.StatusCreated, s.contentOf(t)) })
}

// templateName is what Meta lets a template be called.
var templateName = regexp.MustCompile(`^[a-z0-9_]{1,512}$`)

// submitContent asks for approval, which comes by itself after a while.
func (s *Sandbox) submitContent(w http.ResponseWriter, r *http.Request, t template) {
	var in struct {
		Name     string `json:"name"`
		Category string `json:"category"`
		Change   *bool  `json:"allow_category_change"`
	}
	err := strictJSON(http.MaxBytesReader(w, r.Body, maxForm), &in)
	if err != nil || !templateName.MatchString(in.Name) || !slices.Contains(categories, in.Category) {
		refuse(20001, "name must be of a-z 0-9 _, category UTILITY, MARKETING or AUTHENTICATION").write(w)
		return
	}
	t.Asked, t.Category, t.Reason = in.Name, in.Category, ""
	t.Course = through(s.tick(), s.cfg.OnboardingStep, templateReceived, templatePending, templateApproved)
	s.storeContent(w, t, func() { writeJSON(w, http.StatusCreated, s.approvalOf(t)) })
}

// storeContent stores a change and answers. The caller holds mu.
func (s *Sandbox) storeContent(w http.ResponseWriter, t template, answer func()) {
	if err := s.setTemplate(t); err != nil {
		s.cfg.Log.Error("a template was not changed", "error", err)
		newProblem(http.StatusInternalServerError, 20500, errJournal.Error()).write(w)
		return
	}
	answer()
}

func (s *Sandbox) listContent(w http.ResponseWriter, _ *http.Request, auth credentials) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := []map[string]any{}
	for _, sid := range slices.Sorted(maps.Keys(s.templates)) {
		if t := s.templates[sid]; t.visible(auth.account) {
			found = append(found, s.contentOf(*t))
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"contents": found, "meta": map[string]any{"page": 0, "page_size": len(found), "key": "contents", "next_page_url": nil},
	})
}

func (s *Sandbox) contentOf(t template) map[string]any {
	variables := t.Variables
	if variables == nil {
		variables = map[string]string{}
	}
	return map[string]any{
		"sid": t.SID, "account_sid": t.Account, "friendly_name": t.Name, "language": t.Language,
		"variables": variables, "types": t.Types, "date_created": t.Made.UTC().Format(time.RFC3339),
		"date_updated": t.Made.UTC().Format(time.RFC3339), "url": contentPath + "/" + t.SID,
		"links": map[string]string{"approval_fetch": contentPath + "/" + t.SID + "/ApprovalRequests"},
	}
}

func (s *Sandbox) approvalOf(t template) map[string]any {
	return map[string]any{
		"type": "whatsapp", "name": t.Asked, "category": t.Category, "status": t.Course.at(s.tick()),
		"rejection_reason": t.Reason, "allow_category_change": true,
	}
}
