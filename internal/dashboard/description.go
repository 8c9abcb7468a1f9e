package dashboard

import (
	_ "embed"
	"net/http"
)

//go:embed openapi.yaml
var openAPI []byte

// description is the API as machines read it. It needs no key.
func description(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/yaml") // RFC 9512
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(openAPI) // the caller has gone; there is nobody to tell
}
