package dashboard

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"path"
	"time"
)

// versions are the digests of the files that pages load. They stand in the
// addresses, so that a browser may keep a file for ever and still has the new
// one after an update.
var versions = func() map[string]string {
	found := map[string]string{}
	for _, name := range []string{"style.css", "app.js", "icon.svg"} {
		data, err := web.ReadFile("web/" + name)
		if err != nil {
			panic("dashboard: " + err.Error())
		}
		found[name] = fmt.Sprintf("%x", sha256.Sum256(data))[:12]
	}
	return found
}()

// assetPath is where a page loads a file from.
func assetPath(name string) string { return "/assets/" + name + "?v=" + versions[name] }

// asset serves style, script and icon. They hold no data, so they need no key.
func asset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	if _, ok := versions[name]; !ok {
		notFoundProblem.write(w)
		return
	}
	data, _ := web.ReadFile(path.Join("web", name)) // read before, at the start
	h := w.Header()
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(data))
}
