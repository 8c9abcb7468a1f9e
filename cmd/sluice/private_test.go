package main_test

import (
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// roles are the commands whose stderr is a log. What the others print is an
// answer to the person who asked, who may see an address.
var roles = []string{"up", "demo", "dispatcher", "callbacks", "api", "tracker", "sandbox", "bench"}

// numbers are whole addresses, as they are, in URLs, or of the customers of the
// tests without what stands before them.
var numbers = regexp.MustCompile(`(?i)(?:\+|%2B)[1-9]\d{6,14}\b|\b1555[2-9]\d{6}\b|\bwhatsapp(?::|%3A)[A-Z]{2}\.\w+`)

// ownNumbers are senders: in the tests all of ours begin so, and no customer.
var ownNumbers = regexp.MustCompile(`1555[01]\d{6}$`)

// privateIn are the whole addresses of customers that a text tells.
func privateIn(text string) []string {
	return slices.DeleteFunc(numbers.FindAllString(text, -1), func(found string) bool {
		return ownNumbers.MatchString(found) || found == "whatsapp:CC.id" // what complaints call the opaque form
	})
}

// secrets are the values among the settings that nobody may be told. Short ones
// are words that any text may have.
func secrets(settings env) []string {
	var found []string
	for name, value := range settings {
		if path, isFile := strings.CutSuffix(name, "_FILE"); isFile {
			data, err := os.ReadFile(value)
			if err != nil {
				continue // what some tests are about
			}
			name, value = path, strings.TrimSpace(string(data))
		}
		switch {
		case name == "SLUICE_API_KEYS":
			for _, key := range strings.Split(value, ",") {
				_, bare, scoped := strings.Cut(key, ":")
				if !scoped {
					bare = key
				}
				found = append(found, bare)
			}
		case strings.HasSuffix(name, "_TOKEN"), strings.HasSuffix(name, "_SECRET"), name == "SLUICE_API_KEY":
			found = append(found, value)
		case strings.HasSuffix(name, "_URL"):
			if u, err := url.Parse(value); err == nil && u.User != nil {
				password, _ := u.User.Password()
				found = append(found, password)
			}
		}
	}
	return slices.DeleteFunc(found, func(secret string) bool { return len(secret) < 8 })
}

// requirePrivate holds what a process of the tests has printed to the promise
// that no log tells a customer's whole address, and nothing tells a secret.
func (p *process) requirePrivate(settings env, args []string) {
	p.t.Helper()
	stdout, stderr := p.stdout.String(), p.stderr.String()
	if len(args) == 0 || slices.Contains(roles, args[0]) {
		for _, line := range lines(stderr) {
			if told := privateIn(line); len(told) > 0 {
				p.t.Errorf("the log of %v tells the address %s: %s", args, told[0], line)
				return
			}
		}
	}
	for _, secret := range secrets(settings) {
		if strings.Contains(stdout, secret) || strings.Contains(stderr, secret) {
			p.t.Errorf("%v tells the secret %q", args, secret)
		}
	}
}

// TestAddressesAndSecretsAreSeen: the check that every process of the tests is
// put to finds what it is for.
func TestAddressesAndSecretsAreSeen(t *testing.T) {
	t.Parallel()
	for _, leak := range []string{
		`msg="not sent" to=` + customer(7), `Post "https://x/Messages.json?To=whatsapp%3A%2B15552000007": EOF`,
		`consent of 15552000007 not stored`, `to=whatsapp:DE.a1b2c3`, `from=+4915112345678`,
	} {
		require.Len(t, privateIn(leak), 1, leak)
	}
	for _, fine := range []string{
		`sender=` + alpha + ` from=` + whatsapp(alpha), `to=whatsapp:+15…07`, `time=2026-01-02T15:04:05.123456789+02:00 job=018f0000-1111-7222-8333-123456789012`,
		`sid=SM15552000007aaaaaaaaaaaaaaaaaaaa`,
	} {
		require.Empty(t, privateIn(fine), fine)
	}
	path := t.TempDir() + "/token"
	require.NoError(t, os.WriteFile(path, []byte("from-a-file\n"), 0o600))
	require.ElementsMatch(t, []string{"long-enough", "another-one", "of-an-account", "from-a-file", "of-an-engine"}, secrets(env{
		"SLUICE_API_KEYS": "publish+read:long-enough,another-one,short", "TWILIO_AUTH_TOKEN": "of-an-account",
		"TWILIO_API_SECRET_FILE": path, "SLUICE_REDIS_URL": "redis://user:of-an-engine@127.0.0.1:1", "SLUICE_DATA": "not-a-secret",
	}))
}
