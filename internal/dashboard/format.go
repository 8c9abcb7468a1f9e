package dashboard

import (
	"encoding/json"
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/senders"
	"github.com/sluicehq/sluice/ratelimit"
)

// functions are what the templates write with.
var functions = template.FuncMap{
	"asset":   assetPath,
	"count":   grouped,
	"limit":   limitWords,
	"pct":     func(x float64) string { return fmt.Sprintf("%.1f", x) },
	"whole":   func(x float64) string { return fmt.Sprintf("%.0f", x) },
	"tone":    tone,
	"spell":   spell,
	"sender":  func(address string) string { return strings.TrimPrefix(address, "whatsapp:") },
	"plus":    plusToken,
	"join":    strings.Join,
	"dict":    dict,
	"why":     why,
	"reasons": func() (string, error) { text, err := json.Marshal(reasons); return string(text), err },
	"rfc":     func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"stamp":   func(t time.Time) string { return t.UTC().Format("2 Jan 2006 15:04:05") },
	"clock":   func(t time.Time) string { return t.UTC().Format("15:04:05.000") },
	"until":   func(t, now time.Time) string { return spell(t.Sub(now)) },
	"ahead":   func(t, now time.Time) string { return inTime(t.Sub(now)) },
	"since":   func(t, now time.Time) string { return spell(now.Sub(t)) },
}

// dict hands several values to a template, by name.
func dict(pairs ...any) map[string]any {
	all := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		all[pairs[i].(string)] = pairs[i+1]
	}
	return all
}

// grouped writes a whole number with its thousands apart, as in 12,345.
func grouped(n any) string {
	text := fmt.Sprint(n)
	digits := strings.TrimPrefix(text, "-")
	var out strings.Builder
	out.WriteString(text[:len(text)-len(digits)])
	for i, c := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			out.WriteByte(',')
		}
		out.WriteRune(c)
	}
	return out.String()
}

func limitWords(l senders.Limit) string {
	if l == senders.Unlimited {
		return "unlimited"
	}
	return grouped(int(l))
}

// plusToken is a sender's token as people write the number.
func plusToken(token string) string {
	if strings.HasPrefix(token, "MG") {
		return token
	}
	return "+" + token
}

// spell writes a duration with its two largest units, as in "4 h 12 min".
// What has passed is "now".
func spell(d time.Duration) string {
	if d < time.Second {
		if d > 0 {
			return "under 1 s"
		}
		return "now"
	}
	units := []struct {
		name string
		long time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"min", time.Minute}, {"s", time.Second}}
	for i, u := range units {
		if d < u.long {
			continue
		}
		text := fmt.Sprintf("%d %s", d/u.long, u.name)
		if i+1 < len(units) {
			if rest := d % u.long / units[i+1].long; rest > 0 {
				text += fmt.Sprintf(" %d %s", rest, units[i+1].name)
			}
		}
		return text
	}
	return ""
}

// reasons are the words for the reasons that machines give.
var reasons = map[string]string{
	ratelimit.ReasonSenderLimit: "the sender's limit is used up", ratelimit.ReasonPoolLimit: "the pool's limit is used up",
	ratelimit.ReasonRate: "the sender's rate is used up", ratelimit.ReasonPaused: "everything is paused",
	ratelimit.ReasonSenderPaused: "the sender is paused", ratelimit.ReasonPoolPaused: "the pool is paused",
	ratelimit.ReasonPoolClosed: "the pool's window is being put together", ratelimit.ReasonWaiting: "others wait before it",
	ratelimit.ReasonOptedOut: "the customer opted out", ratelimit.ReasonOptIn: "the customer has not opted in",
	"no_window": "no service window is open",
}

// why is a reason in words, as it is where there are none for it.
func why(reason string) string {
	if words, ok := reasons[reason]; ok {
		return words
	}
	return reason
}

// tone is how good or bad a status, or an event's type, is to the eye.
func tone(status any) string {
	switch delivery.Status(fmt.Sprint(status)) {
	case delivery.StatusDelivered, delivery.StatusRead:
		return "good"
	case delivery.StatusFailed, delivery.StatusUndelivered, delivery.StatusExpired, delivery.StatusRejected:
		return "bad"
	case delivery.StatusUnknown, delivery.StatusHeld:
		return "doubt"
	case delivery.StatusSending, delivery.StatusQueued, delivery.StatusSent:
		return "going"
	default:
		return "calm"
	}
}

// inTime is a duration from now on.
func inTime(d time.Duration) string {
	if d <= 0 {
		return "now"
	}
	return "in " + spell(d)
}

// roughly rounds a duration to what stands at an axis.
func roughly(d time.Duration) time.Duration {
	for _, unit := range []time.Duration{24 * time.Hour, time.Hour, time.Minute, time.Second} {
		if d >= 2*unit {
			return d.Round(unit)
		}
	}
	return d
}
