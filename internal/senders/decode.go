package senders

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/delivery"
)

// One sentence per field: it is the whole of what a caller is told.
const (
	mustName   = "must be a string of 1 to 64 of A-Z a-z 0-9 _ -"
	mustLimit  = `must be an integer from 0 to 1000000000, "unlimited" or "provider"`
	mustMPS    = "must be a number above 0 and at most 1000 (messages a second; may be fractional)"
	mustBool   = "must be true or false"
	mustShare  = "must be a number from 0 to 1 (share of the limit kept for high priority)"
	mustFrom   = `must be a sender as in whatsapp:+15551234567, or "all"`
	mustState  = `must be "in" or "out"`
	mustText   = "must be a string of at most 256 characters"
	mustTime   = "must be a time as in 2026-01-31T09:00:00Z (RFC 3339), not in the future"
	mustSender = "must be the digits of a number or a messaging service sid"
	mustOpaque = "must be a phone and a whatsapp:CC.id"
	mustTo     = "must be whatsapp:+ and 7 to 15 digits, the first not 0, or whatsapp:CC.id"
)

// refuse names the field a caller got wrong. The error is a
// [*delivery.FieldError].
func refuse(field, message string) error {
	return &delivery.FieldError{Field: field, Message: message}
}

// slot is where the value of a JSON field goes, and what it must be.
type slot struct {
	place any
	must  string
}

// decodeObject reads one JSON object and nothing else. Names are matched to
// the letter, so a misspelt field is refused instead of ignored; null is no
// value of any field.
func decodeObject(data []byte, known map[string]slot) error {
	var raw map[string]json.RawMessage
	dec := json.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(&raw); err != nil || raw == nil {
		return refuse("", "the body must be one JSON object")
	}
	if _, err := dec.Token(); err != io.EOF {
		return refuse("", "text after the JSON object")
	}
	for _, name := range slices.Sorted(maps.Keys(raw)) { // sorted: the same mistake is always named first
		field, ok := known[name]
		if !ok {
			return refuse(shorten(name, 64), "is not a field here; known are "+list(known))
		}
		if string(raw[name]) == "null" || json.Unmarshal(raw[name], field.place) != nil {
			return refuse(name, field.must)
		}
	}
	return nil
}

// shorten cuts text after a number of characters.
func shorten(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}

func list(known map[string]slot) string {
	return strings.Join(slices.Sorted(maps.Keys(known)), ", ")
}

// DecodePatch reads the body of a change of a sender: pool, limit, mps,
// account, require_opt_in, each optional. The error is a
// [*delivery.FieldError]. Ranges are checked by [Registry.PutSender].
func DecodePatch(data []byte) (Patch, error) {
	var p Patch
	err := decodeObject(data, map[string]slot{
		"pool":           {&p.Pool, mustName},
		"limit":          {&p.Limit, mustLimit},
		"mps":            {&p.MPS, mustMPS},
		"account":        {&p.Account, mustName},
		"require_opt_in": {&p.RequireOptIn, mustBool},
	})
	return p, err
}

// DecodePoolPatch reads the body of a change of a pool: limit, reserve, each
// optional. The error is a [*delivery.FieldError].
func DecodePoolPatch(data []byte) (PoolPatch, error) {
	var p PoolPatch
	err := decodeObject(data, map[string]slot{
		"limit":   {&p.Limit, mustLimit},
		"reserve": {&p.Reserve, mustShare},
	})
	return p, err
}

// DecodeConsent reads the body of a consent: state, and optionally from,
// source and at. The error is a [*delivery.FieldError].
func DecodeConsent(data []byte) (Consent, error) {
	var c Consent
	err := decodeObject(data, map[string]slot{
		"from":   {&c.From, mustFrom},
		"state":  {&c.State, mustState},
		"source": {&c.Source, mustText},
		"at":     {&c.At, mustTime},
	})
	return c, err
}

// DecodeReason reads the body of a pause, {"reason":"…"}; no body at all is no
// reason. The error is a [*delivery.FieldError].
func DecodeReason(data []byte) (string, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return "", nil
	}
	var reason string
	err := decodeObject(data, map[string]slot{"reason": {&reason, mustText}})
	return reason, err
}
