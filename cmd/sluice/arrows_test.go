package main

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/sluicehq/sluice"

// importRule is the README's map: what of ours each
// package may import, and which import the standard library alone.
type importRule struct {
	arrows       map[string][]string
	standardOnly []string
}

var backquoted = regexp.MustCompile("`([^`]+)`")

// readMap reads the last column of the README's map. Packages below internal are
// named there without it.
func readMap(t *testing.T) importRule {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	_, table, found := strings.Cut(string(text), "| package | one job | imports |\n")
	require.True(t, found, "the README has its map")
	table, _, _ = strings.Cut(table, "\n\n")
	h := importRule{arrows: map[string][]string{}}
	for _, line := range strings.Split(table, "\n")[1:] {
		cells := strings.Split(strings.Trim(line, "|"), "|")
		require.Len(t, cells, 3, line)
		name, imports := strings.Trim(cells[0], " `"), strings.TrimSpace(cells[2])
		switch imports {
		case "no Go", "a module of its own":
			continue
		case "everything":
			h.arrows[name] = []string{"*"}
			continue
		case "standard library":
			h.standardOnly = append(h.standardOnly, name)
		}
		h.arrows[name] = []string{}
		for _, m := range backquoted.FindAllStringSubmatch(imports, -1) {
			h.arrows[name] = append(h.arrows[name], m[1], "internal/"+m[1])
		}
	}
	return h
}

type listed struct {
	ImportPath string
	Imports    []string
	Standard   bool
}

// TestImportArrows holds the import rule over what the go command itself says.
func TestImportArrows(t *testing.T) {
	t.Parallel()
	rule := readMap(t)
	for _, p := range listPackages(t) {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		allowed, known := rule.arrows[name]
		require.True(t, known, "package %s is not in the README's map: add it there", name)
		for _, imported := range p.Imports {
			if ours, ok := strings.CutPrefix(imported, module+"/"); ok {
				require.True(t, slices.Contains(allowed, "*") || slices.Contains(allowed, ours),
					"%s must not import %s", name, ours)
			} else if slices.Contains(rule.standardOnly, name) {
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
