package senders

import (
	"context"
	"errors"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/messaging"
)

// provided is what the provider last said of a sender. A nil one has not been
// asked for.
type provided struct {
	Account string   `json:"account"`
	SID     string   `json:"sid"`
	WABA    string   `json:"waba_id,omitempty"`
	Status  string   `json:"status"`
	Limit   *Limit   `json:"limit,omitempty"` // nil: its words were never understood
	Quality string   `json:"quality,omitempty"`
	Webhook string   `json:"webhook,omitempty"`
	Reasons []string `json:"reasons,omitempty"`
}

// stopped: the provider sends nothing for it. What was never asked for sends.
func (p *provided) stopped() bool {
	return p != nil && !messaging.SenderStatus(p.Status).Sends()
}

// reported is what a report of the provider means, over what was known before:
// a limit whose words are not understood leaves the present one.
func reported(account string, s messaging.ChannelSender, before *provided) *provided {
	p := &provided{
		Account: account, SID: s.SID, WABA: s.Configuration.WABA, Status: string(s.Status),
		Quality: strings.ToUpper(s.Properties.Quality), Webhook: s.Webhook.CallbackURL,
	}
	if limit, ok := ParseMessagingLimit(s.Properties.Limit); ok {
		p.Limit = &limit
	} else if before != nil {
		p.Limit = before.Limit
	}
	for _, r := range s.Reasons {
		p.Reasons = append(p.Reasons, shorten(strings.TrimSpace(r.Code+" "+r.Message), maxText))
	}
	return p
}

var limitWord = regexp.MustCompile(`^(\d+(?:\.\d+)?)([KM]?)$`)

// ParseMessagingLimit reads the free text by which the Senders API tells a
// messaging limit, as in "10K Customers/24hr", "TIER_250" or "UNLIMITED". ok is
// false for anything else, also for "Unavailable": what is not understood must
// never pass for unlimited.
func ParseMessagingLimit(text string) (limit Limit, ok bool) {
	words := strings.Fields(strings.ToUpper(text))
	if len(words) == 0 {
		return 0, false
	}
	word := strings.TrimPrefix(words[0], "TIER_")
	if word == "UNLIMITED" || word == "-1" {
		return Unlimited, true
	}
	parts := limitWord.FindStringSubmatch(word)
	if parts == nil {
		return 0, false
	}
	n, err := strconv.ParseFloat(parts[1], 64)
	if err != nil {
		return 0, false
	}
	n = math.Floor(n * map[string]float64{"": 1, "K": 1e3, "M": 1e6}[parts[2]])
	if n > float64(MaxLimit) {
		return 0, false
	}
	return Limit(n), true
}

var errSame = errors.New("nothing new")

// learn stores what the provider says, if that is news, and reports whether it
// was. Of what is known already nothing is written, told or announced.
func (r *Registry) learn(ctx context.Context, token, account string, said messaging.ChannelSender) (news bool, err error) {
	_, err = change(ctx, r, senderKey(token), func(old, next senderFact) delivery.Event {
		return learned(token, old.Provider, next.Provider)
	}, func(f senderFact) (senderFact, error) {
		next := reported(account, said, f.Provider)
		if reflect.DeepEqual(next, f.Provider) {
			return f, errSame
		}
		f.Provider = next
		return f, nil
	})
	if errors.Is(err, errSame) {
		return false, nil
	}
	return err == nil, err
}

// learned says in words what the provider changed.
func learned(token string, before, now *provided) delivery.Event {
	if before == nil {
		before = &provided{}
	}
	said := []string{"by=provider"}
	differs := func(name, old, value string) {
		if old != value {
			said = append(said, field(name, &value))
		}
	}
	limit := func(p *provided) string {
		if p.Limit == nil {
			return ""
		}
		return p.Limit.String()
	}
	differs("status", before.Status, now.Status)
	differs("limit", limit(before), limit(now))
	differs("quality", before.Quality, now.Quality)
	differs("reasons", strings.Join(before.Reasons, "; "), strings.Join(now.Reasons, "; "))
	differs("account", before.Account, now.Account)
	differs("sid", before.SID, now.SID)
	differs("waba_id", before.WABA, now.WABA)
	differs("webhook", before.Webhook, now.Webhook)
	return delivery.Event{Type: delivery.EventSender, From: delivery.SenderAddress(token), Reason: words(said...)}
}
