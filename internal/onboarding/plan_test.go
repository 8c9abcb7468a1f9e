package onboarding_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/messaging"
	"github.com/sluicehq/sluice/internal/onboarding"
)

var ours = messaging.SenderWebhook{CallbackURL: "https://us/in", FallbackURL: "https://us/fallback", StatusURL: "https://us/status"}

func TestPlanIsRead(t *testing.T) {
	t.Parallel()
	p, err := onboarding.Read([]byte(`
account: AC1
waba_id: "12"
verification_method: voice
webhook: {fallback_url: "https://them/fallback", fallback_method: PUT}
senders:
  - sender: "+15550001111"
    profile: {name: " Shop ", about: Hi, vertical: RETAIL, websites: ["https://shop"], emails: [a@shop]}
  - sender: whatsapp:+5491123456789
    waba_id: "13"
    verification_method: sms
    webhook: {callback_url: "https://them/in"}
    profile: {name: Shop}
`), ours)
	require.NoError(t, err)
	require.Equal(t, onboarding.Plan{Account: "AC1", Senders: []messaging.SenderRequest{
		{
			Address:       "whatsapp:+15550001111",
			Configuration: &messaging.SenderConfiguration{WABA: "12", VerificationMethod: "voice"},
			Webhook: &messaging.SenderWebhook{CallbackURL: "https://us/in", CallbackMethod: "POST", FallbackURL: "https://them/fallback",
				FallbackMethod: "PUT", StatusURL: "https://us/status", StatusMethod: "POST"},
			Profile: &messaging.SenderProfile{Name: "Shop", About: "Hi", Vertical: "RETAIL",
				Websites: []messaging.ProfileWebsite{{Website: "https://shop", Label: "Website"}},
				Emails:   []messaging.ProfileEmail{{Email: "a@shop", Label: "Email"}}},
		},
		{
			Address:       "whatsapp:+5491123456789",
			Configuration: &messaging.SenderConfiguration{WABA: "13", VerificationMethod: "sms"},
			Webhook: &messaging.SenderWebhook{CallbackURL: "https://them/in", CallbackMethod: "POST", FallbackURL: "https://them/fallback",
				FallbackMethod: "PUT", StatusURL: "https://us/status", StatusMethod: "POST"},
			Profile: &messaging.SenderProfile{Name: "Shop"},
		},
	}}, p)
}

func TestBadPlans(t *testing.T) {
	t.Parallel()
	one := func(rest string) string { return "senders: [{sender: \"+15550001111\", " + rest + "}]" }
	for name, c := range map[string]struct{ text, names string }{
		"no yaml":            {"senders: [", "not readable"},
		"empty":              {"", "senders"},
		"none":               {"senders: []", "senders"},
		"unknown field":      {"sender: x", "sender"},
		"unknown in a list":  {one("profile: {name: a, nickname: b}"), "nickname"},
		"no number":          {"senders: [{profile: {name: a}}]", "senders[0].sender"},
		"no name":            {one("waba_id: x"), "senders[0].profile.name"},
		"blank name":         {one("profile: {name: \" \"}"), "senders[0].profile.name"},
		"method":             {one("verification_method: fax, profile: {name: a}"), "senders[0].verification_method"},
		"account type":       {"account_type: x\n" + one("profile: {name: a}"), "account_type"},
		"webhook":            {one("webhook: {callback_url: nowhere}, profile: {name: a}"), "senders[0].webhook.callback_url"},
		"webhook underscore": {one("webhook: {status_callback_url: \"https://a_b/\"}, profile: {name: a}"), "webhook.status_callback_url"},
		"webhook method":     {one("webhook: {callback_method: GET}, profile: {name: a}"), "webhook.callback_method"},
		"twice":              {"senders: [{sender: \"+15550001111\", profile: {name: a}}, {sender: \"whatsapp:+15550001111\", profile: {name: a}}]", "senders[1].sender"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := onboarding.Read([]byte(c.text), ours)
			require.ErrorContains(t, err, c.names)
			require.NotContains(t, err.Error(), "\n")
		})
	}
	_, err := onboarding.Read([]byte(one("profile: {name: a}")), messaging.SenderWebhook{})
	require.ErrorContains(t, err, "SLUICE_PUBLIC_URL")
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"+15550001111": "+15550001111", "whatsapp:+15550001111": "+15550001111", "15550001111": "+15550001111",
		" +4915112345678 ": "+4915112345678", "+5491123456789": "+5491123456789", "+5215512345678": "+5215512345678",
	} {
		got, err := onboarding.CheckNumber(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got)
	}
	for text, names := range map[string]string{
		"": "E.164", "+0155500011": "E.164", "+1 555 000 1111": "E.164", "+1555": "E.164", "me": "E.164", "+1234567890123456": "E.164",
		"+541123456789": "+549", "+54111523456789": "+549", "+525512345678": "+521", "+521551234567": "digits",
		"+1555000111": "digits", "+9991234567890": "digits",
	} {
		_, err := onboarding.CheckNumber(text)
		require.ErrorContains(t, err, names, text)
	}
}

// FuzzRead: whatever is written, it is a plan whose senders can be registered,
// or one line that says what is wrong.
func FuzzRead(f *testing.F) {
	f.Add([]byte("senders: [{sender: \"+15550001111\", profile: {name: a}}]"))
	f.Add([]byte("webhook: {callback_url: \"https://x\"}\nsenders:\n- sender: 5491123456789\n  profile: {name: b}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := onboarding.Read(text, ours)
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		require.NotEmpty(t, p.Senders)
		for _, s := range p.Senders {
			require.True(t, strings.HasPrefix(s.Address, "whatsapp:+"))
			require.NotEmpty(t, s.Profile.Name)
			require.NotEmpty(t, s.Webhook.CallbackURL)
		}
	})
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	plan := func(n, wabas int) (p onboarding.Plan) {
		for i := range n {
			p.Senders = append(p.Senders, messaging.SenderRequest{
				Address: fmt.Sprintf("whatsapp:+1555%07d", i), Configuration: &messaging.SenderConfiguration{WABA: fmt.Sprint("W", i%wabas)},
			})
		}
		return p
	}
	for _, c := range []struct {
		n, wabas int
		says     string
	}{
		{3, 1, "not verified 2"}, {21, 1, "verified business 20"}, {51, 1, "50 by exception"},
		{30, 21, "verified business 20"}, {1100, 1001, "official account 1000"}, {3, 2, "one per account"},
	} {
		require.Contains(t, strings.Join(onboarding.Warnings(plan(c.n, c.wabas), nil), "\n"), c.says)
	}
	said := onboarding.Warnings(plan(2, 1), nil)
	require.Len(t, said, 1)
	require.Contains(t, said[0], "250")
	there := []messaging.ChannelSender{{Address: "whatsapp:+1"}, {Address: "whatsapp:+15550000000"}}
	require.Len(t, onboarding.Warnings(plan(2, 1), there), 2, "those that are there count, once")
}
