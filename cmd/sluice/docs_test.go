package main_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// snippet is a fenced block of a page.
type snippet struct {
	line     int
	language string
	text     string
	notRun   string // why it is not executed, from the comment above it
}

const notRun = "<!-- not run:"

// snippets are the fenced blocks of a page, those in lists without their indent.
func snippets(page string) (all []snippet) {
	var open *snippet
	indent, above := 0, ""
	for i, line := range strings.Split(page, "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case open == nil && strings.HasPrefix(trimmed, "```"):
			open = &snippet{line: i + 1, language: strings.TrimPrefix(trimmed, "```")}
			indent = strings.Index(line, "```")
			if reason, ok := strings.CutPrefix(above, notRun); ok {
				open.notRun = strings.TrimSpace(strings.TrimSuffix(reason, "-->"))
			}
		case open != nil && trimmed == "```":
			all, open = append(all, *open), nil
		case open != nil:
			open.text += line[min(indent, len(line)):] + "\n"
		}
		if trimmed != "" {
			above = trimmed
		}
	}
	return all
}

// executed are the languages whose snippets are run; Go's are compiled.
var executed = []string{"sh", "js", "python"}

// TestCommandsInTheDocumentation runs every snippet of every page, in order,
// against a house with the sandbox. One that is not run says why.
func TestCommandsInTheDocumentation(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../../docs/*.md")
	require.NoError(t, err)
	tools := toolbox(t)
	for _, path := range append(pages, "../../README.md") {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		var run []snippet
		for _, s := range snippets(string(text)) {
			if slices.Contains(executed, s.language) && s.notRun == "" {
				run = append(run, s)
			}
		}
		if len(run) == 0 {
			continue
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			h := startHouse(t, quick(t).with("SLUICE_WINDOW", "24h"))
			for _, s := range run {
				tools.run(t, h, s)
			}
			h.requireSnippetsSent(t, run)
		})
	}
}

var snippetJob = regexp.MustCompile(`"?\bid"?: ?"([A-Za-z0-9._:-]+)"`)

// requireSnippetsSent: each job that a snippet names became one message.
func (h house) requireSnippetsSent(t *testing.T, run []snippet) {
	t.Helper()
	for _, s := range run {
		for _, match := range snippetJob.FindAllStringSubmatch(s.text, -1) {
			h.api.await(match[1], "delivered", "read")
			require.Len(t, h.provider.ledger()[match[1]], 1, "line %d: %s", s.line, match[1])
		}
	}
}

// shell is what the snippets find on their PATH.
type shell struct{ dir string }

func toolbox(t *testing.T) shell {
	t.Helper()
	curl, err := exec.LookPath("curl")
	if err != nil && os.Getenv("CI") == "" {
		t.Skip("no curl on PATH")
	}
	require.NoError(t, err)
	s := shell{t.TempDir()}
	require.NoError(t, os.Symlink(binary, filepath.Join(s.dir, "sluice")))
	strict := fmt.Sprintf("#!/bin/sh\nexec %s --fail-with-body \"$@\"\n", curl) // an error of the API is one of the snippet
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "curl"), []byte(strict), 0o755))
	return s
}

func (s shell) run(t *testing.T, h house, what snippet) {
	t.Helper()
	dir := t.TempDir()
	script := strings.NewReplacer(
		"go run ./cmd/sluice", "sluice", "localhost:8080", strings.TrimPrefix(h.API, "http://"),
		"127.0.0.1:4222", strings.TrimPrefix(h.NATS, "nats://"),
	).Replace(what.text)
	args, runs := command(t, dir, what, script)
	if !runs {
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + s.dir + ":" + os.Getenv("PATH"), "HOME=" + cmd.Dir, "SLUICE_API_URL=" + h.API}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second // should a snippet leave something running
	require.NoError(t, cmd.Run(), "line %d:\n%s\n%s", what.line, script, out.String())
}

// nodeModules names a folder with what snippets for Node import.
const nodeModules = "SLUICE_NODE_MODULES"

var imported = regexp.MustCompile(`(?m)^import .* from "([^n]|n[^o])`) // anything but node:…

// command is how a snippet is run in dir; not at all where the machine lacks
// what its language needs, which is told.
func command(t *testing.T, dir string, what snippet, script string) (args []string, runs bool) {
	t.Helper()
	interpreter := map[string]string{"sh": "bash", "js": "node", "python": "python3"}[what.language]
	path, err := exec.LookPath(interpreter)
	if err != nil && what.language != "sh" {
		t.Logf("line %d not run: no %s on PATH", what.line, interpreter)
		return nil, false
	}
	require.NoError(t, err)
	switch what.language {
	case "sh":
		return []string{path, "-euo", "pipefail", "-c", script}, true
	case "js":
		if imported.MatchString(script) {
			modules := os.Getenv(nodeModules)
			if modules == "" {
				t.Logf("line %d not run: %s names no folder with what it imports", what.line, nodeModules)
				return nil, false
			}
			require.NoError(t, os.Symlink(modules, filepath.Join(dir, "node_modules")))
		}
	}
	file := filepath.Join(dir, "snippet"+map[string]string{"js": ".mjs", "python": ".py"}[what.language])
	require.NoError(t, os.WriteFile(file, []byte(script), 0o600))
	return []string{path, file}, true
}

// TestGoInTheDocumentation: what is shown in Go is part of an example that is
// compiled and run.
func TestGoInTheDocumentation(t *testing.T) {
	t.Parallel()
	examples, err := filepath.Glob("../../*/example_test.go")
	require.NoError(t, err)
	require.NotEmpty(t, examples)
	var compiled string
	for _, path := range examples {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		compiled += squeeze(string(text))
	}
	pages, err := filepath.Glob("../../docs/*.md")
	require.NoError(t, err)
	for _, path := range append(pages, "../../README.md") {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, s := range snippets(string(text)) {
			if s.language == "go" {
				require.Contains(t, compiled, squeeze(s.text), "%s:%d is in no example", path, s.line)
			}
		}
	}
}

// squeeze is a text without its white space.
func squeeze(text string) string { return strings.Join(strings.Fields(text), "") }
