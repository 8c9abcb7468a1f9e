// Package onboarding registers WhatsApp senders with the provider, one after
// another: the first alone, until its display name was seen not to be rejected,
// then each of the others once the one before is online.
//
// It keeps no state of its own. What has been done is what the provider lists,
// so a run that was interrupted is simply started again, from anywhere.
package onboarding

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/sluicehq/sluice/internal/messaging"
)

// Plan is the senders to register, checked, in order.
type Plan struct {
	Account string // whose they are; empty: the one of the settings
	Senders []messaging.SenderRequest
}

// file is a plan as a person writes it: what stands above the list holds for
// every sender that does not say otherwise.
type file struct {
	Account            string  `yaml:"account"`
	WABA               string  `yaml:"waba_id"`
	VerificationMethod string  `yaml:"verification_method"`
	AccountType        string  `yaml:"account_type"`
	Webhook            webhook `yaml:"webhook"`
	Senders            []entry `yaml:"senders"`
}

type entry struct {
	Sender             string  `yaml:"sender"`
	WABA               string  `yaml:"waba_id"`
	VerificationMethod string  `yaml:"verification_method"`
	Webhook            webhook `yaml:"webhook"`
	Profile            profile `yaml:"profile"`
}

type webhook struct {
	CallbackURL    string `yaml:"callback_url"`
	CallbackMethod string `yaml:"callback_method"`
	FallbackURL    string `yaml:"fallback_url"`
	FallbackMethod string `yaml:"fallback_method"`
	StatusURL      string `yaml:"status_callback_url"`
	StatusMethod   string `yaml:"status_callback_method"`
}

type profile struct {
	Name        string   `yaml:"name"`
	About       string   `yaml:"about"`
	Address     string   `yaml:"address"`
	Description string   `yaml:"description"`
	LogoURL     string   `yaml:"logo_url"`
	Vertical    string   `yaml:"vertical"`
	Websites    []string `yaml:"websites"`
	Emails      []string `yaml:"emails"`
}

// Read reads a plan (YAML) and checks everything that can be checked without
// the provider. ours are the webhooks of senders that name none; without a
// CallbackURL each has to. The error names the entry and the field.
func Read(text []byte, ours messaging.SenderWebhook) (Plan, error) {
	var f file
	if err := yaml.UnmarshalWithOptions(text, &f, yaml.Strict()); err != nil {
		line, _, _ := strings.Cut(err.Error(), "\n")
		return Plan{}, fmt.Errorf("not readable: %s", line)
	}
	if len(f.Senders) == 0 {
		return Plan{}, errors.New("senders: is empty, list at least one")
	}
	p := Plan{Account: f.Account}
	seen := map[string]bool{}
	for i, e := range f.Senders {
		r, err := f.request(e, ours)
		if err == nil && seen[r.Address] {
			err = fmt.Errorf("sender: %s is listed twice", e.Sender)
		}
		if err != nil {
			return Plan{}, fmt.Errorf("senders[%d].%w", i, err)
		}
		seen[r.Address] = true
		p.Senders = append(p.Senders, r)
	}
	return p, nil
}

func (f file) request(e entry, ours messaging.SenderWebhook) (messaging.SenderRequest, error) {
	number, err := CheckNumber(e.Sender)
	if err != nil {
		return messaging.SenderRequest{}, fmt.Errorf("sender: %w", err)
	}
	if strings.TrimSpace(e.Profile.Name) == "" {
		return messaging.SenderRequest{}, errors.New("profile.name: is required, it is the display name that Meta reviews")
	}
	config := messaging.SenderConfiguration{
		WABA: cmp.Or(e.WABA, f.WABA), VerificationMethod: cmp.Or(e.VerificationMethod, f.VerificationMethod), AccountType: f.AccountType,
	}
	if !slices.Contains([]string{"", "sms", "voice"}, config.VerificationMethod) {
		return messaging.SenderRequest{}, fmt.Errorf("verification_method: is %q, use sms or voice", config.VerificationMethod)
	}
	if !slices.Contains([]string{"", "ISV", "ISVSubAccount"}, config.AccountType) {
		return messaging.SenderRequest{}, fmt.Errorf("account_type: is %q, use ISV or ISVSubAccount", config.AccountType)
	}
	hook := e.Webhook.over(f.Webhook).request(ours)
	if err := checkWebhook(hook); err != nil {
		return messaging.SenderRequest{}, fmt.Errorf("webhook.%w", err)
	}
	look := e.Profile.request()
	return messaging.SenderRequest{Address: "whatsapp:" + number, Configuration: &config, Webhook: &hook, Profile: &look}, nil
}

// over is the webhook with the gaps filled from another.
func (w webhook) over(under webhook) webhook {
	return webhook{
		cmp.Or(w.CallbackURL, under.CallbackURL), cmp.Or(w.CallbackMethod, under.CallbackMethod),
		cmp.Or(w.FallbackURL, under.FallbackURL), cmp.Or(w.FallbackMethod, under.FallbackMethod),
		cmp.Or(w.StatusURL, under.StatusURL), cmp.Or(w.StatusMethod, under.StatusMethod),
	}
}

func (w webhook) request(ours messaging.SenderWebhook) messaging.SenderWebhook {
	return messaging.SenderWebhook{
		CallbackURL: cmp.Or(w.CallbackURL, ours.CallbackURL), CallbackMethod: cmp.Or(w.CallbackMethod, "POST"),
		FallbackURL: cmp.Or(w.FallbackURL, ours.FallbackURL), FallbackMethod: cmp.Or(w.FallbackMethod, "POST"),
		StatusURL: cmp.Or(w.StatusURL, ours.StatusURL), StatusMethod: cmp.Or(w.StatusMethod, "POST"),
	}
}

func checkWebhook(w messaging.SenderWebhook) error {
	if w.CallbackURL == "" {
		return errors.New("callback_url: is required while SLUICE_PUBLIC_URL is not set")
	}
	for _, f := range []struct{ name, address, method string }{
		{"callback", w.CallbackURL, w.CallbackMethod}, {"fallback", w.FallbackURL, w.FallbackMethod},
		{"status_callback", w.StatusURL, w.StatusMethod},
	} {
		u, err := url.Parse(f.address)
		if f.address != "" && (err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https")) {
			return fmt.Errorf("%s_url: is not an http or https URL", f.name)
		}
		if f.address != "" && strings.Contains(u.Hostname(), "_") {
			return fmt.Errorf("%s_url: has an underscore in its host, which the provider refuses", f.name)
		}
		if f.method != "POST" && f.method != "PUT" {
			return fmt.Errorf("%s_method: is %q, use POST or PUT", f.name, f.method)
		}
	}
	return nil
}

func (p profile) request() messaging.SenderProfile {
	look := messaging.SenderProfile{
		Name: strings.TrimSpace(p.Name), About: p.About, Address: p.Address, Description: p.Description,
		LogoURL: p.LogoURL, Vertical: p.Vertical,
	}
	for _, site := range p.Websites {
		look.Websites = append(look.Websites, messaging.ProfileWebsite{Website: site, Label: "Website"})
	}
	for _, mail := range p.Emails {
		look.Emails = append(look.Emails, messaging.ProfileEmail{Email: mail, Label: "Email"})
	}
	return look
}
