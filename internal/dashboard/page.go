package dashboard

import (
	_ "embed"
	"net/http"
)

//go:embed page.html
var pageHTML []byte

//go:embed openapi.yaml
var openAPI []byte

// description is the API as machines read it. It needs no key.
func description(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/yaml") // RFC 9512
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(openAPI) // the caller has gone; there is nobody to tell
}

// page is the way in for people. It shows no data, so it needs no key.
func page(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(pageHTML) // the caller has gone; there is nobody to tell
}
