package dashboard

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"strings"
)

// Scope is a set of things a key may do.
type Scope uint8

// The scopes.
const (
	Publish Scope = 1 << iota // hand in jobs
	Read                      // every GET
	Operate                   // change senders, pools and consents; pause, cancel, redrive
)

const everything = Publish | Read | Operate

var scopes = []struct {
	name  string
	scope Scope
}{{"publish", Publish}, {"read", Read}, {"operate", Operate}}

// String joins the names of the scopes by "+", as in SLUICE_API_KEYS.
func (s Scope) String() string {
	var names []string
	for _, known := range scopes {
		if s&known.scope != 0 {
			names = append(names, known.name)
		}
	}
	return strings.Join(names, "+")
}

// Keys are the API keys and what each may do. Only digests are held. The zero
// value has no keys and lets everything pass.
type Keys struct {
	entries []keyEntry
}

type keyEntry struct {
	digest [sha256.Size]byte
	scope  Scope
}

// ParseKeys reads SLUICE_API_KEYS: comma-separated entries, each "key" for
// every scope or "publish+read:key" for the scopes named. Errors name the
// entry by its number and never show it.
func ParseKeys(text string) (Keys, error) {
	var keys Keys
	seen := map[[sha256.Size]byte]bool{}
	for i, entry := range strings.Split(text, ",") {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			continue
		}
		scope, key := everything, entry
		if names, rest, scoped := strings.Cut(entry, ":"); scoped {
			var ok bool
			if scope, ok = parseScope(names); !ok {
				return Keys{}, fmt.Errorf("API key %d: before the colon stand publish, read and operate, joined by +", i+1)
			}
			key = rest
		}
		if !validKey(key) {
			return Keys{}, fmt.Errorf("API key %d: a key is visible ASCII without blanks, commas and colons", i+1)
		}
		digest := sha256.Sum256([]byte(key))
		if seen[digest] {
			return Keys{}, fmt.Errorf("API key %d repeats an earlier one: give each key once, with all its scopes", i+1)
		}
		seen[digest] = true
		keys.entries = append(keys.entries, keyEntry{digest, scope})
	}
	return keys, nil
}

func parseScope(names string) (scope Scope, ok bool) {
	for _, name := range strings.Split(names, "+") {
		found := false
		for _, known := range scopes {
			if name == known.name {
				scope, found = scope|known.scope, true
			}
		}
		if !found {
			return 0, false
		}
	}
	return scope, true
}

func validKey(key string) bool {
	for _, c := range []byte(key) {
		if c <= ' ' || c > '~' || c == ':' || c == ',' {
			return false
		}
	}
	return key != ""
}

// Empty reports whether there are no keys, so that everything is open.
func (k Keys) Empty() bool { return len(k.entries) == 0 }

// scope is what key may do; known is false for no key of these. It looks at
// every entry, whatever it finds, so that its time tells nothing.
func (k Keys) scope(key string) (scope Scope, known bool) {
	digest := sha256.Sum256([]byte(key))
	for _, entry := range k.entries {
		if subtle.ConstantTimeCompare(entry.digest[:], digest[:]) == 1 {
			scope, known = entry.scope, true
		}
	}
	return scope, known
}

// Guard lets a request through to next if its bearer key has the scope: 401
// without a known key, 403 without the scope. A scope of 0 and no keys at all
// let everything through.
func (k Keys) Guard(scope Scope, next http.Handler) http.Handler {
	if scope == 0 || k.Empty() {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		held, known := k.scope(strings.TrimSpace(key))
		switch {
		case !strings.EqualFold(scheme, "Bearer") || !known:
			w.Header().Set("WWW-Authenticate", "Bearer")
			problem{http.StatusUnauthorized, "unauthorized", "send Authorization: Bearer and a key of SLUICE_API_KEYS", ""}.write(w)
		case held&scope != scope:
			problem{http.StatusForbidden, "forbidden", "the key lacks the scope " + scope.String(), ""}.write(w)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// number is which of the keys, from 1, the request bears; 0 for none.
func (k Keys) number(r *http.Request) int {
	_, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	digest := sha256.Sum256([]byte(strings.TrimSpace(key)))
	for i, entry := range k.entries {
		if subtle.ConstantTimeCompare(entry.digest[:], digest[:]) == 1 {
			return i + 1
		}
	}
	return 0
}
