package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDependenciesHaveAReason: each module that is required for itself stands in
// the table of DECISIONS.md, and no other does.
func TestDependenciesHaveAReason(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../DECISIONS.md")
	require.NoError(t, err)
	_, table, found := strings.Cut(string(text), "\n| module | for |\n")
	require.True(t, found)
	var named []string
	for _, line := range strings.Split(strings.TrimSpace(table), "\n")[1:] {
		for _, m := range backquoted.FindAllStringSubmatch(strings.Split(line, "|")[1], -1) {
			named = append(named, m[1])
		}
	}
	modules := directModules(t)
	for _, m := range modules {
		require.True(t, slices.ContainsFunc(named, func(n string) bool { return within(n, m) || within(m, n) }), "DECISIONS.md does not say what %s is for", m)
	}
	for _, n := range named {
		require.True(t, slices.ContainsFunc(modules, func(m string) bool { return within(n, m) }), "DECISIONS.md names %s, which go.mod does not require", n)
	}
}

// within reports whether a package or module path is root or lies below it.
func within(path, root string) bool { return path == root || strings.HasPrefix(path, root+"/") }

// directModules are those of go.mod's first block, without github.com.
func directModules(t *testing.T) (all []string) {
	t.Helper()
	out, err := exec.Command("go", "mod", "edit", "-json", "../../go.mod").Output()
	require.NoError(t, err)
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	require.NoError(t, json.Unmarshal(out, &mod))
	for _, r := range mod.Require {
		if !r.Indirect {
			all = append(all, strings.TrimPrefix(r.Path, "github.com/"))
		}
	}
	require.NotEmpty(t, all)
	return all
}
