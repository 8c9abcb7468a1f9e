package dashboard

import (
	"net"
	"net/http"
	"strings"
)

// ownName answers requests that call this machine by a loopback name, and no
// others. Without keys whoever can connect may do everything, which is meant for
// the people on this machine; but a page on the web can have a name of its own
// resolve to 127.0.0.1, and is of one origin with us then.
func ownName(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !loopbackName(r.Host) {
			problem{http.StatusForbidden, "foreign_name",
				"without SLUICE_API_KEYS only localhost and 127.0.0.1 are answered: set keys, or use one of these names", ""}.write(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// loopbackName reports whether a Host header names this machine's loopback.
func loopbackName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.Trim(strings.ToLower(host), "[]"), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
