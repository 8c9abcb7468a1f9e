package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// TestSampleSettingsFile holds docs/sluice.yaml to the settings there are: each
// stands in it once, commented out, with its default.
func TestSampleSettingsFile(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/sluice.yaml")
	require.NoError(t, err)
	cfg := defaultConfig()
	for _, s := range cfg.settings() {
		line := "\n#" + s.name + ": " + sampleValue(s) + "\n"
		require.Equal(t, 1, strings.Count(string(text), line), "docs/sluice.yaml lacks %q", line)
	}

	uncommented := regexp.MustCompile(`(?m)^#([a-z])`).ReplaceAll(text, []byte("$1"))
	path := filepath.Join(t.TempDir(), "sluice.yaml")
	require.NoError(t, os.WriteFile(path, uncommented, 0o600))
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	addFlags(flags)
	require.NoError(t, flags.Set("config", path))
	loaded, origins, warnings, err := load(flags, environment{})
	require.NoError(t, err)
	require.Empty(t, warnings)
	require.Equal(t, defaultConfig(), loaded, "a file of defaults changes nothing")
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
