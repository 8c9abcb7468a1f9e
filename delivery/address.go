package delivery

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
)

// channel is the prefix that the Messages API puts before WhatsApp addresses.
const channel = "whatsapp:"

// maxAddress is the longest address the Messages API takes, prefix included.
const maxAddress = 140

var (
	phonePattern   = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
	opaquePattern  = regexp.MustCompile(`^[A-Z]{2}(\.[A-Za-z0-9]+)+$`)
	digitsPattern  = regexp.MustCompile(`^[1-9][0-9]{6,14}$`)
	servicePattern = regexp.MustCompile(`^MG[0-9a-fA-F]{32}$`)
)

// ValidPhone reports whether address is a WhatsApp phone address:
// "whatsapp:+" and 7 to 15 digits, the first not 0. Numbering plans are not
// consulted: WhatsApp's own forms (+549…, +521…) differ from them.
func ValidPhone(address string) bool {
	phone, ok := strings.CutPrefix(address, channel)
	return ok && phonePattern.MatchString(phone)
}

// ValidCustomer reports whether address can be written to: a phone address,
// or the opaque business-scoped form "whatsapp:CC.xxxx" of customers who hide
// their number, at most 140 characters.
func ValidCustomer(address string) bool {
	id, ok := strings.CutPrefix(address, channel)
	return ok && len(address) <= maxAddress &&
		(phonePattern.MatchString(id) || opaquePattern.MatchString(id))
}

// WithChannel takes a bare number for an address: "+15552223333" is
// "whatsapp:+15552223333". Anything else is returned as it is.
func WithChannel(address string) string {
	if strings.HasPrefix(address, "+") {
		return channel + address
	}
	return address
}

// SenderToken is the name of a sender in subjects, paths and keys: the digits
// of its number, or the sid of a messaging service. It is empty for anything
// else.
func SenderToken(sender string) string {
	if servicePattern.MatchString(sender) {
		return sender
	}
	if ValidPhone(sender) {
		return strings.TrimPrefix(sender, channel+"+")
	}
	return ""
}

// ValidSenderToken reports whether token names a sender.
func ValidSenderToken(token string) bool {
	return digitsPattern.MatchString(token) || servicePattern.MatchString(token)
}

// SenderAddress is the address behind a sender token, the inverse of
// [SenderToken].
func SenderAddress(token string) string {
	if servicePattern.MatchString(token) {
		return token
	}
	return channel + "+" + token
}

// CustomerKey is the form under which a customer is counted: the digits of a
// phone address, or the opaque id as it stands. Mobile numbers of Argentina and
// Mexico go by two forms, +54 9… and +54…, +52 1… and +52…, of which WhatsApp
// shows the longer one whatever was dialled; both have the shorter one's key.
func CustomerKey(address string) string {
	id, phone := strings.CutPrefix(strings.TrimPrefix(address, channel), "+")
	if phone && len(id) == len("549")+10 && (id[:3] == "549" || id[:3] == "521") {
		return id[:2] + id[3:]
	}
	return id
}

// CustomerToken names a customer where an address must not stand, as in
// subjects: a digest, one way.
func CustomerToken(address string) string { return digest(CustomerKey(address)) }

// EarlierToken is the token of a customer of Argentina or Mexico before both
// forms of their numbers had one key; ok is false for all others. Something may
// be stored under it.
func EarlierToken(address string) (token string, ok bool) {
	key := CustomerKey(address)
	if strings.Contains(key, ".") || len(key) != len("54")+10 {
		return "", false
	}
	switch key[:2] {
	case "54":
		return digest("549" + key[2:]), true
	case "52":
		return digest("521" + key[2:]), true
	}
	return "", false
}

func digest(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:16])
}

// Mask shortens an address for logs: enough to recognise it beside a known
// one, not enough to write to it.
func Mask(address string) string {
	id := strings.TrimPrefix(address, channel)
	if len(id) <= 6 {
		return "…"
	}
	return id[:3] + "…" + id[len(id)-2:]
}
