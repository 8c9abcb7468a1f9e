package dashboard

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sluicehq/sluice/internal/senders"
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

// find is the entry of a key; known is false for no key of these. It looks at
// every entry, whatever it finds, so that its time tells nothing.
func (k Keys) find(key string) (found keyEntry, known bool) {
	digest := sha256.Sum256([]byte(key))
	for _, entry := range k.entries {
		if subtle.ConstantTimeCompare(entry.digest[:], digest[:]) == 1 {
			found, known = entry, true
		}
	}
	return found, known
}

// identity is who asks.
type identity struct {
	scope   Scope
	who     string  // for people, as in "Ada, key 0f3c21aa"; empty where no keys are set
	session session // zero with a bearer key
	secret  []byte  // what the session is signed with
}

// bearer is who a request says it is by its header. A header that says nothing
// known is not made good by a cookie.
func (k Keys) bearer(r *http.Request) (who identity, known bool) {
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	entry, known := k.find(strings.TrimSpace(key))
	if !known || !strings.EqualFold(scheme, "Bearer") {
		return identity{}, false
	}
	return identity{scope: entry.scope, who: entry.name()}, true
}

// name is how the log calls the holder of a key: by the start of its digest,
// which those who have the key can compute and nobody can turn back.
func (e keyEntry) name() string { return fmt.Sprintf("key %x", e.digest[:4]) }

type identityKey struct{}

// on is the request as one of this identity; changes of policies that are made
// with its context say so in the log.
func (i identity) on(r *http.Request) *http.Request {
	ctx := context.WithValue(r.Context(), identityKey{}, i)
	return r.WithContext(senders.By(ctx, i.who))
}

// identityOf is who asks, the zero value where no keys are set.
func identityOf(ctx context.Context) identity {
	who, _ := ctx.Value(identityKey{}).(identity)
	return who
}

// Guard lets a request through to next if its bearer key has the scope: 401
// without a known key, 403 without the scope. A session of the pages may read.
// A scope of 0 and no keys at all let everything through.
func (k Keys) Guard(scope Scope, next http.Handler) http.Handler {
	return k.guard(scope, next, time.Now)
}

func (k Keys) guard(scope Scope, next http.Handler, now func() time.Time) http.Handler {
	if scope == 0 || k.Empty() {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, known := k.bearer(r)
		if reads := r.Method == http.MethodGet || r.Method == http.MethodHead; !known && reads && r.Header.Get("Authorization") == "" {
			// A cookie goes along with requests that its holder did not mean to
			// make, so it never changes anything here.
			who, known = k.signedIn(r, now())
		}
		switch {
		case !known:
			w.Header().Set("WWW-Authenticate", "Bearer")
			problem{http.StatusUnauthorized, "unauthorized", "send Authorization: Bearer and a key of SLUICE_API_KEYS", ""}.write(w)
		case who.scope&scope != scope:
			problem{http.StatusForbidden, "forbidden", "the key lacks the scope " + scope.String(), ""}.write(w)
		default:
			next.ServeHTTP(w, who.on(r))
		}
	})
}
