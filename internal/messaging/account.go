package messaging

import (
	"encoding/base64"
	"log/slog"
	"net/http"
)

// Account is one provider account and how to sign in to it. SID always stands
// in the path of a call; the sign-in is the API key where both of its halves
// are set, else the SID with its AuthToken.
//
// However an Account is printed, logged or marshalled, its secrets are masked.
type Account struct {
	SID       string // AC…
	AuthToken string
	KeySID    string // SK…
	KeySecret string
}

// String names the account and its way to sign in, without secrets.
func (a Account) String() string {
	if a.usesKey() {
		return "account " + a.SID + " with API key " + a.KeySID
	}
	if a.AuthToken != "" {
		return "account " + a.SID + " with its auth token"
	}
	return "account " + a.SID + " without credentials"
}

// GoString keeps the secrets out of %#v.
func (a Account) GoString() string { return "messaging.Account{" + a.String() + "}" }

// LogValue keeps the secrets out of structured logs.
func (a Account) LogValue() slog.Value { return slog.StringValue(a.String()) }

// MarshalText keeps the secrets out of encoders that meet an Account inside
// something larger.
func (a Account) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// SignIn puts the account's credentials into a request.
func (a Account) SignIn(r *http.Request) { r.Header.Set("Authorization", a.authorization()) }

func (a Account) usesKey() bool { return a.KeySID != "" && a.KeySecret != "" }

// authorization is the value of the Authorization header.
func (a Account) authorization() string {
	pair := a.SID + ":" + a.AuthToken
	if a.usesKey() {
		pair = a.KeySID + ":" + a.KeySecret
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(pair))
}
