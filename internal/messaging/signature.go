package messaging

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// Signature computes X-Twilio-Signature for a callback to publicURL: HMAC-SHA1,
// keyed with token, of the URL without its fragment followed by the fields of
// form, sorted by name, each as name and value. Of a repeated field the values
// are sorted and each counts once. For a GET or a JSON body form is nil.
func Signature(token, publicURL string, form url.Values) string {
	return sign(token, withoutFragment(publicURL), canonicalForm(form))
}

func sign(token, signedURL, fields string) string {
	mac := hmac.New(sha1.New, []byte(token))
	mac.Write([]byte(signedURL))
	mac.Write([]byte(fields))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func canonicalForm(form url.Values) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(form)) {
		for _, value := range slices.Compact(slices.Sorted(slices.Values(form[name]))) {
			b.WriteString(name)
			b.WriteString(value)
		}
	}
	return b.String()
}

// Verifier checks signatures against a list of tokens, so that a token can be
// changed while callbacks signed with the old one are under way. It is safe
// for concurrent use.
type Verifier struct {
	tokens []string
}

// NewVerifier returns a verifier that accepts any of tokens: the primary auth
// token of the account that owns the message (never an API key's secret,
// Twilio error 57012), or shared keys set for webhooks. Empty tokens are left
// out, as anybody can sign with those; without any token nothing verifies.
func NewVerifier(tokens ...string) *Verifier {
	return &Verifier{tokens: slices.DeleteFunc(slices.Clone(tokens), func(t string) bool { return t == "" })}
}

// Verify reports whether signature is that of a callback to publicURL, which is
// the URL as the provider was given it, path and query included, not one
// rebuilt from the request's Host. A form is passed as form with a nil body; a
// JSON body is passed as body and must match the bodySHA256 of the query.
//
// The provider signs its URL sometimes with and sometimes without the port, and
// with ' in the query as %27; all these are accepted. The time taken does not
// depend on which of them, or which token, matches. The scheme has no time
// stamp: whoever needs protection from replays must remember what was received.
func (v *Verifier) Verify(publicURL string, form url.Values, body []byte, signature string) bool {
	fields, ok := "", 1
	if body == nil {
		fields = canonicalForm(form)
	} else {
		sum := sha256.Sum256(body)
		ok = subtle.ConstantTimeCompare([]byte(bodyDigest(publicURL)), []byte(hex.EncodeToString(sum[:])))
	}
	matched := 0
	for _, candidate := range signedURLs(publicURL) {
		for _, token := range v.tokens {
			matched |= subtle.ConstantTimeCompare([]byte(sign(token, candidate, fields)), []byte(signature))
		}
	}
	return ok&matched == 1
}

func bodyDigest(publicURL string) string {
	_, query, _ := strings.Cut(withoutFragment(publicURL), "?")
	values, _ := url.ParseQuery(query) // what can be read of a malformed query
	return values.Get("bodySHA256")
}

// signedURLs are the spellings of publicURL that the provider may have signed.
// They are made by cutting text, never by parsing and printing a URL, which
// would change its escapes.
func signedURLs(publicURL string) []string {
	given := withoutFragment(publicURL)
	urls := []string{given}
	if scheme, rest, ok := strings.Cut(given, "://"); ok {
		end := strings.IndexAny(rest, "/?")
		if end < 0 {
			end = len(rest)
		}
		host, port := splitPort(rest[:end])
		urls = append(urls, scheme+"://"+host+rest[end:])
		if port == "" && standardPort(scheme) != "" {
			urls = append(urls, scheme+"://"+host+":"+standardPort(scheme)+rest[end:])
		}
	}
	for _, u := range urls {
		if path, query, ok := strings.Cut(u, "?"); ok {
			urls = append(urls, path+"?"+strings.ReplaceAll(query, "'", "%27"))
		}
	}
	slices.Sort(urls)
	return slices.Compact(urls)
}

// splitPort cuts the port off an authority: user:pass@host:port, where host may
// be an IPv6 address in brackets, whose colons are not a port's.
func splitPort(authority string) (host, port string) {
	colon := strings.LastIndexByte(authority, ':')
	if colon < 0 || colon < strings.LastIndexAny(authority, "]@") {
		return authority, ""
	}
	return authority[:colon], authority[colon+1:]
}

func standardPort(scheme string) string {
	switch strings.ToLower(scheme) {
	case "https":
		return "443"
	case "http":
		return "80"
	}
	return ""
}

func withoutFragment(rawURL string) string {
	before, _, _ := strings.Cut(rawURL, "#")
	return before
}
