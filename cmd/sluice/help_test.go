package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// eachCommand visits the tree of commands.
func eachCommand(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, sub := range cmd.Commands() {
		eachCommand(sub, visit)
	}
}

// TestEveryCommandExplainsItself with a sentence and examples that would run as
// they stand.
func TestEveryCommandExplainsItself(t *testing.T) {
	t.Parallel()
	eachCommand(newRoot(&program{}), func(cmd *cobra.Command) {
		require.NotEmpty(t, cmd.Short, cmd.CommandPath())
		require.NotEmpty(t, cmd.Example, cmd.CommandPath())
		own := 0
		for _, line := range strings.Split(cmd.Example, "\n") {
			args, ours := commandLine(line)
			if !ours {
				continue
			}
			require.NoError(t, parses(args), "%s: %s", cmd.CommandPath(), line)
			if found, _, err := newRoot(&program{}).Find(args); err == nil && strings.HasPrefix(found.CommandPath(), cmd.CommandPath()) {
				own++
			}
		}
		require.Positive(t, own, "no example of %s is one", cmd.CommandPath())
	})
}

// parses checks a command line as far as that is possible without running it.
func parses(args []string) error {
	root := newRoot(&program{})
	cmd, rest, err := root.Find(args)
	if err != nil {
		return err
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}

// commandLine is what a line of an example gives to sluice: what the shell and
// remarks at its end add is cut off.
func commandLine(line string) (args []string, ours bool) {
	line, _, _ = strings.Cut(strings.TrimSpace(line), "   ")
	var words []string
	quoted, word := false, ""
	for _, r := range line + " " {
		switch {
		case r == '"' || r == '\'':
			quoted = !quoted
		case r == ' ' && !quoted:
			if word != "" {
				words = append(words, word)
			}
			word = ""
		default:
			word += string(r)
		}
	}
	for len(words) > 0 && words[0] != "sluice" {
		name, _, set := strings.Cut(words[0], "=")
		if !set || name != strings.ToUpper(name) {
			return nil, false
		}
		words = words[1:]
	}
	if len(words) == 0 {
		return nil, false
	}
	for i, w := range words {
		if w == "<" || w == ">" || w == "|" {
			return words[1:i], true
		}
	}
	return words[1:], true
}

// withoutAnswer are the commands that answer nobody: they serve until they are
// stopped, and say in one line of JSON where, or they write files and scripts.
var withoutAnswer = []string{"up", "dispatcher", "callbacks", "api", "tracker", "sandbox", "man", "completion"}

// TestEveryAnswerCanBeJSON: a command takes --json unless it groups others or
// answers nobody.
func TestEveryAnswerCanBeJSON(t *testing.T) {
	t.Parallel()
	answers := 0
	eachCommand(newRoot(&program{}), func(cmd *cobra.Command) {
		if cmd.HasSubCommands() || slices.Contains(withoutAnswer, cmd.Name()) || slices.Contains(withoutAnswer, cmd.Parent().Name()) {
			return
		}
		answers++
		require.NotNil(t, cmd.Flag("json"), "%s lacks --json", cmd.CommandPath())
	})
	require.Greater(t, answers, 20)
}

func TestManualPages(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "man1")
	root := newRoot(&program{})
	root.SetArgs([]string{"man", dir})
	require.NoError(t, root.Execute())
	eachCommand(newRoot(&program{}), func(cmd *cobra.Command) {
		if cmd.Hidden {
			return
		}
		page, err := os.ReadFile(filepath.Join(dir, strings.ReplaceAll(cmd.CommandPath(), " ", "-")+".1"))
		require.NoError(t, err)
		require.Contains(t, string(page), ".SH EXAMPLE", cmd.CommandPath())
	})
}

func TestCompletionScripts(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		var out strings.Builder
		require.Zero(t, run(t.Context(), []string{"completion", shell}, newEnvironment(nil), streams{out: &out, err: &out}))
		require.Contains(t, out.String(), "sluice", shell)
	}
}

// TestFlagsNameTheirValues by their kind, as people say it: a backquote in a usage text would make
// what it quotes the name.
func TestFlagsNameTheirValues(t *testing.T) {
	t.Parallel()
	eachCommand(newRoot(&program{}), func(cmd *cobra.Command) {
		cmd.InitDefaultHelpFlag()
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			name, usage := pflag.UnquoteUsage(f)
			require.Regexp(t, `^(string|strings|int|float|duration|name=value|[A-Z]+)?$`, name, "%s --%s", cmd.CommandPath(), f.Name)
			require.NotContains(t, usage, "`", "%s --%s", cmd.CommandPath(), f.Name)
		})
	})
}
