package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/sluicehq/sluice/internal/messaging"
)

// accountEntry is one further account, or subaccount, in the settings file.
type accountEntry struct {
	SID                string `yaml:"sid"`
	AuthToken          string `yaml:"auth_token"`
	AuthTokenFile      string `yaml:"auth_token_file"`
	SecondaryToken     string `yaml:"secondary_token"` // signs callbacks once it is promoted
	SecondaryTokenFile string `yaml:"secondary_token_file"`
	APIKey             string `yaml:"api_key"`
	APISecret          string `yaml:"api_secret"`
	APISecretFile      string `yaml:"api_secret_file"`
}

var accountPattern = regexp.MustCompile(`^AC[0-9a-fA-F]{32}$`)

// readAccounts reads the list under `accounts:`, the secrets' files included.
// Errors name the entry and the field.
func readAccounts(raw any) ([]accountEntry, error) {
	data, err := yaml.Marshal(raw)
	if err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	var entries []accountEntry
	if err := yaml.UnmarshalWithOptions(data, &entries, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("accounts: must be a list of sid, auth_token, secondary_token, api_key, api_secret: %s", firstLine(err.Error()))
	}
	seen := map[string]bool{}
	for i := range entries {
		if err := entries[i].complete(); err != nil {
			return nil, fmt.Errorf("accounts[%d].%w", i, err)
		}
		if seen[entries[i].SID] {
			return nil, fmt.Errorf("accounts[%d].sid: %s is listed twice", i, entries[i].SID)
		}
		seen[entries[i].SID] = true
	}
	return entries, nil
}

func (a *accountEntry) complete() error {
	if !accountPattern.MatchString(a.SID) {
		return errors.New("sid: must be AC and 32 hexadecimal digits")
	}
	for _, secret := range []struct {
		name        string
		value, file *string
	}{
		{"auth_token", &a.AuthToken, &a.AuthTokenFile},
		{"secondary_token", &a.SecondaryToken, &a.SecondaryTokenFile},
		{"api_secret", &a.APISecret, &a.APISecretFile},
	} {
		if *secret.file == "" {
			continue
		}
		if *secret.value != "" {
			return fmt.Errorf("%s: is given twice, as it is and as a file: keep one", secret.name)
		}
		data, err := os.ReadFile(*secret.file)
		if err != nil {
			return fmt.Errorf("%s_file: %w", secret.name, err)
		}
		*secret.value = strings.TrimSpace(string(data))
	}
	if (a.APIKey == "") != (a.APISecret == "") {
		return errors.New("api_key: give api_key and api_secret, or neither")
	}
	return nil
}

// checkAccounts wants a token of every account: nothing else signs callbacks.
func (c Config) checkAccounts() error {
	var errs []error
	if len(c.Accounts) > 0 && c.AccountSID == "" {
		errs = append(errs, wrong("accounts", "are further ones: name the first by TWILIO_ACCOUNT_SID"))
	}
	for i, a := range c.Accounts {
		if a.AuthToken == "" && a.SID != c.AccountSID {
			errs = append(errs, fmt.Errorf("accounts[%d].auth_token: is required, it signs the callbacks", i))
		}
	}
	return errors.Join(errs...)
}

// providerAccount is an account and every token that may sign its callbacks.
type providerAccount struct {
	messaging.Account
	tokens []string
}

// accounts is every account of the settings, the main one first. An entry of
// the file that names the main one adds to it.
func (c Config) accounts() []providerAccount {
	main := providerAccount{Account: messaging.Account{
		SID: c.account(), AuthToken: c.token(), KeySID: c.APIKey, KeySecret: c.APISecret,
	}}
	main.tokens = []string{main.AuthToken}
	if !c.live() {
		// The sandbox knows no tokens, and signs with what it was called with.
		main.tokens = append(main.tokens, c.APISecret)
	}
	all := []providerAccount{main}
	for _, a := range c.Accounts {
		if a.SID == main.SID {
			all[0].tokens = append(all[0].tokens, a.AuthToken, a.SecondaryToken)
			continue
		}
		all = append(all, providerAccount{
			Account: messaging.Account{SID: a.SID, AuthToken: a.AuthToken, KeySID: a.APIKey, KeySecret: a.APISecret},
			tokens:  []string{a.AuthToken, a.SecondaryToken},
		})
	}
	return all
}

// forceSandbox leaves nothing by which the provider could be reached: no address
// and no secret. The accounts keep their names, which senders and pools go by. A
// public URL elsewhere belongs to what is live, and would get the sandbox's
// callbacks instead of this process.
func (c *Config) forceSandbox() {
	if !onThisMachine(c.PublicURL) {
		c.PublicURL = ""
	}
	c.MessagesURL, c.SendersURL, c.ContentURL = "", "", ""
	c.AuthToken, c.APIKey, c.APISecret = sandboxToken, "", ""
	for i, a := range c.Accounts {
		c.Accounts[i] = accountEntry{SID: a.SID, AuthToken: sandboxToken}
	}
}

// verifiers are the accounts' tokens as callbacks are checked with.
func (c Config) verifiers() accountTokens {
	all := accountTokens{}
	for _, a := range c.accounts() {
		all[a.SID] = messaging.NewVerifier(a.tokens...)
	}
	return all
}

// baseURL is where one of the provider's APIs is: as set, else the vendor's or
// the sandbox. A stand-in for messages on this machine stands in for all.
func (c Config) baseURL(set, vendor string) string {
	switch {
	case set != "":
		return set
	case c.MessagesURL != "" && (!c.live() || onThisMachine(c.MessagesURL)):
		return c.MessagesURL
	case c.live():
		return vendor
	default:
		return "http://" + c.SandboxAddr
	}
}

func onThisMachine(address string) bool {
	u, err := url.Parse(address)
	return err == nil && loopback(net.JoinHostPort(u.Hostname(), "0"))
}

func (c Config) messagesURL() string { return c.baseURL(c.MessagesURL, messaging.MessagesURL) }
func (c Config) sendersURL() string  { return c.baseURL(c.SendersURL, messaging.SendersURL) }
func (c Config) contentURL() string  { return c.baseURL(c.ContentURL, messaging.ContentURL) }
