package callbacks

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
)

// maxBody is the most a form may have, in bytes: the provider's own bound on
// webhook bodies (error 11750).
const maxBody = 64 << 10

const signatureHeader = "X-Twilio-Signature"

// signed lets a form through to next only when the provider signed it. Until
// then nothing is done with it but reading.
func (h *Handler) signed(kind string, next func(*http.Request, url.Values) reply) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		form, answer, ok := h.verify(w, r)
		if ok {
			answer = next(r, form)
		}
		h.observe(kind, answer.result)
		answer.write(w)
	}
}

func (h *Handler) verify(w http.ResponseWriter, r *http.Request) (url.Values, reply, bool) {
	signature := r.Header.Get(signatureHeader)
	if signature == "" {
		return nil, h.forbid(r, "it has no signature"), false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return nil, reply{status: http.StatusRequestEntityTooLarge, result: resultMalformed}, false
	}
	if err != nil {
		return nil, malformed, false
	}
	form, err := parse(r.Header, body)
	if err != nil {
		return nil, malformed, false // what can't be read can't be verified
	}
	if !h.verifier.Verify(form.Get("AccountSid"), h.base+r.URL.RequestURI(), form, body, signature) {
		return nil, h.forbid(r, "its signature does not fit"), false
	}
	if form == nil {
		return nil, malformed, false // genuine, but no form
	}
	return form, reply{}, true
}

// parse reads a form body; anything else yields a nil form.
func parse(header http.Header, body []byte) (url.Values, error) {
	media, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return nil, nil
	}
	return url.ParseQuery(string(body))
}

func (h *Handler) forbid(r *http.Request, why string) reply {
	h.logger.Warn("callback refused: "+why+"; if the provider sent it, check the public URL and the account's auth token",
		"url", h.base+r.URL.EscapedPath())
	return forbidden
}
