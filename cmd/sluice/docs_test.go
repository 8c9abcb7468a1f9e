package main_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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

// TestCommandsInTheDocumentation runs every shell snippet of every page, in
// order, against a house with the sandbox. One that is not run says why.
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
			if s.language == "sh" && s.notRun == "" {
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
		})
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
	script := strings.NewReplacer(
		"go run ./cmd/sluice", "sluice", "localhost:8080", strings.TrimPrefix(h.API, "http://"),
	).Replace(what.text)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = t.TempDir()
	cmd.Env = []string{"PATH=" + s.dir + ":" + os.Getenv("PATH"), "HOME=" + cmd.Dir, "SLUICE_API_URL=" + h.API}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second // should a snippet leave something running
	require.NoError(t, cmd.Run(), "line %d:\n%s\n%s", what.line, script, out.String())
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
