package senders

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/sluicehq/sluice/delivery"
)

// announceTimeout bounds telling the log after a change was stored.
const announceTimeout = 5 * time.Second

// Silent is the same registry without [Config.Announce], for those who tell
// the log themselves.
func (r *Registry) Silent() *Registry {
	quiet := *r
	quiet.cfg.Announce = nil
	return &quiet
}

// announce tells the log what was put. The id is that of the stored fact, so
// the same put told twice is one event, and has no address in it, because keys
// have none. Like [Registry.tell] it goes on when the caller gives up.
func (r *Registry) announce(ctx context.Context, key string, rev uint64, event delivery.Event) error {
	if r.cfg.Announce == nil {
		return nil
	}
	event.ID = fmt.Sprintf("fact:%s:%d", key, rev)
	event.At = r.cfg.Now().UTC()
	event.Reason = words(event.Reason, by(ctx))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), announceTimeout)
	defer cancel()
	if err := r.cfg.Announce(ctx, event); err != nil {
		return fmt.Errorf("%w: %w", ErrUnannounced, err)
	}
	return nil
}

// The events say in words what was put, not what came of it: the same put
// says the same whenever it is repeated.

func (p Patch) event(token string) delivery.Event {
	said := words(
		field("pool", p.Pool), field("limit", p.Limit), field("mps", p.MPS),
		field("account", p.Account), field("require_opt_in", p.RequireOptIn),
	)
	if said == "" {
		said = "registered"
	}
	return delivery.Event{Type: delivery.EventSender, From: delivery.SenderAddress(token), Reason: said}
}

func (p PoolPatch) event(name string) delivery.Event {
	return delivery.Event{
		Type:   delivery.EventPool,
		Reason: words(field("pool", &name), field("limit", p.Limit), field("reserve", p.Reserve)),
	}
}

// event names no sender where the pause is of everything.
func (p Pause) event(sender string) delivery.Event {
	said := words(field("paused", &p.Paused), field("reason", given(p.Reason)))
	if sender == "" {
		said = "everything " + said
	}
	return delivery.Event{Type: delivery.EventSender, From: sender, Reason: said}
}

func (c Consent) event(address string) delivery.Event {
	at := c.At.Format(time.RFC3339)
	event := delivery.Event{Type: delivery.EventConsent, From: c.From, To: address}
	var all *string
	if c.From == AllSenders {
		all, event.From = &c.From, ""
	}
	event.Reason = words(field("from", all), field("state", &c.State), field("source", given(c.Source)), field("at", &at))
	return event
}

func given(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// field is name=value, the value in quotes where it is not one plain word;
// empty for a field that was not put.
func field[T any](name string, value *T) string {
	if value == nil {
		return ""
	}
	text := fmt.Sprint(*value)
	if text == "" || strings.ContainsFunc(text, special) {
		text = strconv.Quote(text)
	}
	return name + "=" + text
}

func special(r rune) bool { return r == '"' || r == '=' || unicode.IsSpace(r) || !unicode.IsPrint(r) }

// words joins the fields that there are.
func words(fields ...string) string {
	var there []string
	for _, f := range fields {
		if f != "" {
			there = append(there, f)
		}
	}
	return strings.Join(there, " ")
}
