package sandbox

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
)

const maxControl = 64 << 10 // bytes of a request body

func (s *Sandbox) routeControl(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]bool{"ok": true})
	})
	mux.HandleFunc("GET /sandbox/messages", s.getMessages)
	mux.HandleFunc("GET /sandbox/limits", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, s.Limits())
	})
	mux.HandleFunc("GET /sandbox/faults", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, s.Faults())
	})
	mux.HandleFunc("PUT /sandbox/faults", s.putFaults)
	mux.HandleFunc("GET /sandbox/customers", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, s.Customers())
	})
	mux.HandleFunc("PUT /sandbox/customers", s.putCustomers)
	mux.HandleFunc("GET /sandbox/senders", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{"senders": s.Senders()})
	})
	mux.HandleFunc("GET /sandbox/senders/{sender}", s.getSender)
	mux.HandleFunc("PUT /sandbox/senders/{sender}", s.putSender)
	mux.HandleFunc("PUT /sandbox/templates/{sid}", s.putTemplate)
	mux.HandleFunc("PUT /sandbox/pools/{pool}", s.putPool)
	mux.HandleFunc("POST /sandbox/inbound", s.postInbound)
	mux.HandleFunc("POST /sandbox/reset", func(w http.ResponseWriter, _ *http.Request) {
		if valid(w, s.Reset()) {
			w.WriteHeader(http.StatusNoContent)
		}
	})
}

func (s *Sandbox) getMessages(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	lines := json.NewEncoder(w)
	for _, entry := range s.Ledger() {
		if lines.Encode(entry) != nil {
			return // the client has gone
		}
	}
}

func (s *Sandbox) putFaults(w http.ResponseWriter, r *http.Request) {
	var f Faults
	if !decode(w, r, &f) || !valid(w, s.SetFaults(f)) {
		return
	}
	writeJSON(w, http.StatusOK, f)
}

// putCustomers sets the shares that are given; the others stay.
func (s *Sandbox) putCustomers(w http.ResponseWriter, r *http.Request) {
	c := s.Customers()
	if !decode(w, r, &c) || !valid(w, s.SetCustomers(c)) {
		return
	}
	writeJSON(w, http.StatusOK, c)
}

func (s *Sandbox) putSender(w http.ResponseWriter, r *http.Request) {
	var patch SenderPatch
	if !decode(w, r, &patch) {
		return
	}
	state, err := s.PutSender(r.PathValue("sender"), patch)
	if valid(w, err) {
		writeJSON(w, http.StatusOK, state)
	}
}

func (s *Sandbox) getSender(w http.ResponseWriter, r *http.Request) {
	state, ok := s.Sender(r.PathValue("sender"))
	if !ok {
		writeJSON(w, http.StatusNotFound, map[string]any{"error": map[string]string{
			"code": "not_found", "message": "there is no such sender in this sandbox",
		}})
		return
	}
	writeJSON(w, http.StatusOK, state)
}

func (s *Sandbox) putTemplate(w http.ResponseWriter, r *http.Request) {
	var patch TemplatePatch
	if decode(w, r, &patch) && valid(w, s.PutTemplate(r.PathValue("sid"), patch)) {
		w.WriteHeader(http.StatusNoContent)
	}
}

func (s *Sandbox) putPool(w http.ResponseWriter, r *http.Request) {
	var patch struct {
		Limit *Limit `json:"limit"`
	}
	if !decode(w, r, &patch) {
		return
	}
	if patch.Limit == nil {
		badField("limit", "is required").write(w)
		return
	}
	name := r.PathValue("pool")
	if valid(w, s.PutPool(name, *patch.Limit)) {
		writeJSON(w, http.StatusOK, map[string]any{"pool": name, "limit": *patch.Limit})
	}
}

func (s *Sandbox) postInbound(w http.ResponseWriter, r *http.Request) {
	var in Inbound
	if !decode(w, r, &in) {
		return
	}
	sid, err := s.Receive(in)
	if valid(w, err) {
		writeJSON(w, http.StatusOK, map[string]string{"sid": sid})
	}
}

// decode reads a JSON object and answers 400 where it can't.
func decode(w http.ResponseWriter, r *http.Request, into any) bool {
	return valid(w, strictJSON(http.MaxBytesReader(w, r.Body, maxControl), into))
}

// strictJSON reads one JSON value. Unknown fields and anything after the value
// are errors.
func strictJSON(from io.Reader, into any) error {
	body := json.NewDecoder(from)
	body.DisallowUnknownFields()
	if err := body.Decode(into); err != nil {
		return err
	}
	if _, extra := body.Token(); extra != io.EOF {
		return errors.New("there is something after the JSON object")
	}
	return nil
}

// valid answers 400 when err is not nil, naming the field where it is known,
// and 500 where the journal is at fault.
func valid(w http.ResponseWriter, err error) bool {
	if err == nil {
		return true
	}
	if errors.Is(err, errJournal) {
		writeJSON(w, http.StatusInternalServerError, map[string]any{"error": map[string]string{
			"code": "internal", "message": err.Error(),
		}})
		return false
	}
	var field *fieldError
	var mistyped *json.UnmarshalTypeError
	switch {
	case errors.As(err, &field):
	case errors.As(err, &mistyped):
		field = badField(mistyped.Field, "has the wrong type: "+mistyped.Value)
	default:
		field = badField("", strings.TrimPrefix(err.Error(), "json: "))
		if name, unknown := strings.CutPrefix(field.message, "unknown field "); unknown {
			field = badField(strings.Trim(name, `"`), "is unknown")
		}
	}
	field.write(w)
	return false
}
