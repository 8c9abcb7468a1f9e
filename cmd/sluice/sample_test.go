package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// sampleParts are the headings of docs/sluice.yaml, by the setting below each.
var sampleParts = map[string]string{
	"nats_url": "Engines", "nats_addr": "Addresses", "window": "Behaviour", "twilio_account_sid": "Provider",
}

const sampleHead = `# Settings of Sluice. Each key may as well be given as a variable, nats_url as
# SLUICE_NATS_URL, or as a flag, --nats-url; flags win over variables, variables
# over this file. Secrets may be put into files: SLUICE_NATS_TOKEN_FILE=/path.
# The values are the defaults. Use it with --config sluice.yaml.

`

const sampleFoot = `# Further accounts and subaccounts. The auth token signs their callbacks and is
# needed beside an API key; the secondary one is accepted too, so that tokens
# can be changed while callbacks are under way. An entry with the sid of the
# account above adds to it. Each secret may be given as a file: auth_token_file.
#accounts:
#  - sid: AC00000000000000000000000000000002
#    auth_token_file: /run/secrets/second_auth_token
#    secondary_token: ""
#    api_key: ""
#    api_secret: ""
`

// samplePage is docs/sluice.yaml: each setting stands in it once, commented out,
// with its default.
func samplePage() string {
	var page strings.Builder
	page.WriteString(sampleHead)
	cfg := defaultConfig()
	for _, s := range cfg.settings() {
		if part, begins := sampleParts[s.name]; begins {
			fmt.Fprintf(&page, "# --- %s ---\n\n", part)
		}
		fmt.Fprintf(&page, "# %s\n#%s: %s\n\n", s.usage, s.name, sampleValue(s))
	}
	page.WriteString(sampleFoot)
	return page.String()
}

// TestSampleSettingsFile reads what docs/sluice.yaml comments out: a file of
// defaults changes nothing.
func TestSampleSettingsFile(t *testing.T) {
	t.Parallel()
	uncommented := regexp.MustCompile(`(?m)^#([a-z])`).ReplaceAllString(samplePage(), "$1")
	path := filepath.Join(t.TempDir(), "sluice.yaml")
	require.NoError(t, os.WriteFile(path, []byte(uncommented), 0o600))
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	addFlags(flags)
	require.NoError(t, flags.Set("config", path))
	loaded, origins, warnings, err := load(flags, environment{})
	require.NoError(t, err)
	require.Empty(t, warnings)
	require.Equal(t, defaultConfig(), loaded)
	require.Equal(t, "file", origins["window"])
}

func sampleValue(s setting) string {
	if text := s.text(); text != "" {
		return text
	}
	if _, ok := s.field.(*string); ok {
		return `""`
	}
	return "0s"
}
