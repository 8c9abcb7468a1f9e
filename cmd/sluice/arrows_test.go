package main

import (
	"encoding/json"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/sluicehq/sluice"

// arrows is the import rule of the house: what of ours each package may
// import. The README's map shows the same tree.
var arrows = map[string][]string{
	"delivery":           {},
	"ratelimit":          {},
	"internal/messaging": {},
	"internal/embedded":  {},
	"internal/forecast":  {},
	"internal/plot":      {},
	"internal/redistest": {}, // for tests
	"internal/tracing":   {},

	"delivery/ledger":    {"delivery"},
	"internal/jobstream": {"delivery"},
	"internal/sandbox":   {"delivery", "internal/messaging"},

	"producer":            {"delivery", "internal/tracing"},
	"callbacks":           {"delivery", "internal/tracing"},
	"dispatcher":          {"delivery", "ratelimit", "internal/messaging", "internal/tracing"},
	"internal/senders":    {"delivery", "ratelimit", "internal/messaging"},
	"internal/tracker":    {"delivery", "ratelimit"},
	"internal/templates":  {},
	"internal/onboarding": {"internal/messaging"},
	"internal/dashboard":  {"delivery", "ratelimit", "internal/senders", "internal/forecast", "internal/plot"},
	"internal/campaign":   {"delivery"},

	"cmd/sluice": {"*"},
}

// standardOnly are the packages that import nothing but the standard library.
var standardOnly = []string{"delivery", "internal/plot"}

type listed struct {
	ImportPath string
	Imports    []string
	Standard   bool
}

// TestImportArrows holds the import rule over what the go command itself says.
func TestImportArrows(t *testing.T) {
	t.Parallel()
	for _, p := range listPackages(t) {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		allowed, known := arrows[name]
		require.True(t, known, "package %s is not in the map of the house: add it here and to the README", name)
		for _, imported := range p.Imports {
			if ours, ok := strings.CutPrefix(imported, module+"/"); ok {
				require.True(t, slices.Contains(allowed, "*") || slices.Contains(allowed, ours),
					"%s must not import %s", name, ours)
			} else if slices.Contains(standardOnly, name) {
				require.NotContains(t, strings.Split(imported, "/")[0], ".",
					"%s imports only the standard library, not %s", name, imported)
			}
		}
	}
}

func listPackages(t *testing.T) []listed {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,Standard", module+"/...").Output()
	require.NoError(t, err)
	var packages []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); err == io.EOF {
			break
		} else {
			require.NoError(t, err)
		}
		packages = append(packages, p)
	}
	require.NotEmpty(t, packages)
	return packages
}
