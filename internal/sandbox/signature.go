package sandbox

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// sign returns the X-Twilio-Signature of a form posted to address: HMAC-SHA1
// over the URL without its fragment, followed by every field name and value in
// bytewise order, repeated values once each.
//
// It is written here although the product has a verifier of its own: a judge
// that shared that code would share its mistakes.
func sign(token, address string, form url.Values) string {
	address, _, _ = strings.Cut(address, "#")
	mac := hmac.New(sha1.New, []byte(token))
	mac.Write([]byte(address))
	for _, name := range slices.Sorted(maps.Keys(form)) {
		values := slices.Compact(slices.Sorted(slices.Values(form[name])))
		for _, value := range values {
			mac.Write([]byte(name + value))
		}
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
