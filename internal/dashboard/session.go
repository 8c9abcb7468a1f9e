package dashboard

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"strings"
	"time"
)

const (
	sessionCookie = "sluice_session"
	sessionLife   = 12 * time.Hour
	nonceSize     = 16
	maxName       = 40 // characters of the name that a person signs in with
)

// session is one sign-in with a browser. Nothing of it is stored here: the
// cookie says all and is signed with the digest of its key. So every replica
// knows it, it outlives a restart, and it ends when its key is taken away.
type session struct {
	nonce [nonceSize]byte
	ends  time.Time
	name  string // what the person calls herself; may be empty
}

func (s session) zero() bool { return s.ends.IsZero() }

func newSession(name string, now time.Time) session {
	s := session{ends: now.Add(sessionLife).Truncate(time.Second), name: name}
	_, _ = rand.Read(s.nonce[:]) // never fails
	return s
}

// text is the session as the cookie holds it.
func (s session) text(secret []byte) string {
	payload := binary.BigEndian.AppendUint64(s.nonce[:], uint64(s.ends.Unix()))
	payload = append(payload, s.name...)
	encode := base64.RawURLEncoding.EncodeToString
	return encode(payload) + "." + encode(sign(secret, "session", payload))
}

// readSession is not ok for what was not signed with the secret or has ended.
func readSession(text string, secret []byte, now time.Time) (s session, ok bool) {
	first, second, _ := strings.Cut(text, ".")
	payload, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil || len(payload) < nonceSize+8 {
		return session{}, false
	}
	signature, err := base64.RawURLEncoding.DecodeString(second)
	if err != nil || !hmac.Equal(signature, sign(secret, "session", payload)) {
		return session{}, false
	}
	copy(s.nonce[:], payload)
	s.ends = time.Unix(int64(binary.BigEndian.Uint64(payload[nonceSize:])), 0)
	s.name = string(payload[nonceSize+8:])
	return s, now.Before(s.ends)
}

// formToken goes with every form of the session, and with no other's: a page
// of somebody else cannot know it.
func (s session) formToken(secret []byte) string {
	return hex.EncodeToString(sign(secret, "form", s.nonce[:])[:nonceSize])
}

func sign(secret []byte, purpose string, payload []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("sluice " + purpose + "\x00"))
	mac.Write(payload)
	return mac.Sum(nil)
}

// openSecret signs the sessions of a machine without keys. They give no rights,
// which everybody has there; they tie a form to the browser that it was made
// for.
var openSecret = []byte("no keys are set")

// signedIn is who a request says it is by its cookie. Without any keys it is
// everybody, with a session or without.
func (k Keys) signedIn(r *http.Request, now time.Time) (who identity, known bool) {
	var text string
	if cookie, err := r.Cookie(sessionCookie); err == nil {
		text = cookie.Value
	}
	if k.Empty() {
		s, _ := readSession(text, openSecret, now)
		return identity{scope: everything, session: s, secret: openSecret}, true
	}
	for _, entry := range k.entries {
		if s, ok := readSession(text, entry.digest[:], now); ok {
			who, known = identity{scope: entry.scope, who: entry.name(), session: s, secret: entry.digest[:]}, true
		}
	}
	if known && who.session.name != "" {
		who.who = who.session.name + ", " + who.who
	}
	return who, known
}

// setSession hands the browser its cookie. Scripts do not see it, and requests
// that other sites cause do not carry it.
func setSession(w http.ResponseWriter, r *http.Request, text string, life time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Value: text, Path: "/", MaxAge: int(life.Seconds()),
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: encrypted(r),
	})
}

// encrypted reports whether the browser's connection is, here or at the proxy.
func encrypted(r *http.Request) bool {
	return r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

// base is how the person's browser reaches us, as a URL.
func base(r *http.Request) string {
	if encrypted(r) {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}
