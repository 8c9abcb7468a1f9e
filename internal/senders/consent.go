package senders

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/ratelimit"
)

// ConsentState is what a customer has said about being written to.
type ConsentState string

// The states of a consent. A customer who has said nothing may be written to,
// unless the sender requires an opt-in.
const (
	OptedIn  = ConsentState(ratelimit.In)
	OptedOut = ConsentState(ratelimit.Out)
)

// AllSenders stands for every sender in a consent.
const AllSenders = "all"

const maxText = 256 // characters of a source or a reason

// Consent is one statement of a customer, about one sender or all of them.
type Consent struct {
	From   string       `json:"from"` // a sender's address, or [AllSenders], the default
	State  ConsentState `json:"state"`
	Source string       `json:"source"` // where it was given, for people
	At     time.Time    `json:"at"`     // when it was given; default now
}

// consentFact carries the address because its key has only a digest of it.
type consentFact struct {
	Address string `json:"address"`
	Consent
}

func consentKey(address, sender string) string {
	return keyOfConsent(delivery.CustomerToken(address), sender)
}

func keyOfConsent(customer, sender string) string { return kindConsent + "." + customer + "." + sender }

// consentKeys are all keys that what a customer said may be stored under, the
// present one first.
func consentKeys(address, sender string) []string {
	keys := []string{consentKey(address, sender)}
	if earlier, ok := delivery.EarlierToken(address); ok {
		keys = append(keys, keyOfConsent(earlier, sender))
	}
	return keys
}

// target is the sender the gate is told the consent for. A fact that is not
// about the customer and sender of its key was not stored by a registry.
func (f consentFact) target(key string) (string, error) {
	about, err := f.about()
	if err != nil || !slices.Contains(consentKeys(f.Address, about), key) || !f.State.valid() {
		return "", fmt.Errorf("%w: %s does not fit its key", ErrMalformed, key)
	}
	if about == AllSenders {
		return ratelimit.Everyone, nil
	}
	return about, nil
}

func (s ConsentState) valid() bool { return s == OptedIn || s == OptedOut }

// about is the token a consent is stored under: a sender's, or [AllSenders].
func (c Consent) about() (string, error) {
	if c.From == "" || c.From == AllSenders {
		return AllSenders, nil
	}
	if token := delivery.SenderToken(c.From); token != "" {
		return token, nil
	}
	if delivery.ValidSenderToken(c.From) {
		return c.From, nil
	}
	return "", refuse("from", mustFrom)
}

// complete checks a consent and fills what was left open.
func (c Consent) complete(now time.Time) (Consent, error) {
	about, err := c.about()
	if err != nil {
		return c, err
	}
	c.From = about
	if about != AllSenders {
		c.From = delivery.SenderAddress(about)
	}
	if c.At.IsZero() {
		c.At = now
	}
	switch {
	case !c.State.valid():
		return c, refuse("state", mustState)
	case utf8.RuneCountInString(c.Source) > maxText:
		return c, refuse("source", mustText)
	case c.At.After(now.Add(clockSkew)):
		return c, refuse("at", mustTime)
	}
	c.At = c.At.UTC()
	return c, nil
}

// clockSkew is how far ahead of ours another system's clock may be.
const clockSkew = time.Minute

// PutConsent stores what a customer has said and returns it as stored. A
// statement older than the one that stands changes nothing and returns
// [ErrOlder], so that replayed messages and imported lists cannot undo a later
// word. address must be a customer's; otherwise, and for a bad field, the error
// is a [*delivery.FieldError].
func (r *Registry) PutConsent(ctx context.Context, address string, c Consent) (Consent, error) {
	if !delivery.ValidCustomer(address) {
		return Consent{}, refuse("address", mustTo)
	}
	c, err := c.complete(r.cfg.Now())
	if err != nil {
		return Consent{}, err
	}
	about, _ := c.about()
	keys := consentKeys(address, about)
	var earlier consentFact
	for _, key := range keys[1:] {
		if earlier, err = read[consentFact](ctx, r, key); err != nil && !errors.Is(err, ErrNotFound) {
			return Consent{}, err
		}
	}
	_, err = change(ctx, r, keys[0], put[consentFact](c.event(address)), func(old consentFact) (consentFact, error) {
		if earlier.At.After(old.At) {
			old = earlier
		}
		if c.At.Before(old.At) {
			return old, fmt.Errorf("%w: the one of %s says %s; leave out at to override it",
				ErrOlder, old.At.Format(time.RFC3339), old.State)
		}
		return consentFact{Address: address, Consent: c}, nil
	})
	return c, err
}

// Consents lists what a customer has said, by sender; none is no error.
func (r *Registry) Consents(ctx context.Context, address string) ([]Consent, error) {
	if !delivery.ValidCustomer(address) {
		return nil, refuse("address", mustTo)
	}
	last := map[string]Consent{}
	for _, prefix := range consentKeys(address, "") {
		facts, err := listed[consentFact](ctx, r, prefix)
		if err != nil {
			return nil, err
		}
		for _, f := range facts {
			if known, ok := last[f.about]; !ok || known.At.Before(f.value.At) {
				last[f.about] = f.value.Consent
			}
		}
	}
	consents := make([]Consent, 0, len(last))
	for _, about := range slices.Sorted(maps.Keys(last)) {
		consents = append(consents, last[about])
	}
	return consents, nil
}
