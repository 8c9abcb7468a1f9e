package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"
)

// streams are the process's standard streams.
type streams struct {
	in  io.Reader
	out io.Writer
	err io.Writer
}

// terminal reports whether a person is at the other end: progress may be drawn
// over itself, and questions are answered.
func terminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// program is what every command gets: the environment it was started in.
type program struct {
	env environment
	streams
}

// usageError is a mistake in how the command was called: exit status 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// run executes one command line and returns its exit status: 0 done, 1 failed,
// 2 wrong usage.
func run(ctx context.Context, args []string, env environment, s streams) int {
	root := newRoot(&program{env: env, streams: s})
	root.SetArgs(args)
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	cmd, err := root.ExecuteContextC(ctx)
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = interrupted(cmd)
	}
	if err == nil {
		return 0
	}
	fmt.Fprintf(s.err, "sluice: %s\n", oneLine(err))
	var usage usageError
	if errors.As(err, &usage) {
		return 2
	}
	return 1
}

// What a command's annotations say of its end by a signal.
const (
	servesUntilStopped = "serves until stopped" // that is how it is meant to end
	whenInterrupted    = "when interrupted"     // what to do next
)

// interrupted is what a signal means to a command: the end of what serves, and a
// failure of what had something to finish.
func interrupted(cmd *cobra.Command) error {
	if cmd.Annotations[servesUntilStopped] != "" {
		return nil
	}
	return errors.New("interrupted: " + cmp.Or(cmd.Annotations[whenInterrupted], "nothing is known of the outcome, run it again"))
}

func oneLine(err error) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(err.Error(), "\n", "; ")), " ")
}

func init() { cobra.EnableCommandSorting = false } // commands stand in the order of their use

func newRoot(p *program) *cobra.Command {
	root := &cobra.Command{
		Use:   "sluice",
		Short: "Lets WhatsApp notifications out exactly as fast as the platform allows",
		Long: `Sluice takes send jobs from NATS JetStream, asks a Redis-backed gate whether
each may go now, sends it through Twilio's Messages API, and correlates the
status callbacks back to the job. It never exceeds a messaging limit, never
loses a job and never sends one twice.`,
		Example: `  sluice demo                       see it work, with nothing installed
  sluice up                         everything in one process
  sluice send --from +15550001111 --to +15552223333 --content-sid HX… --var 1=Ana`,
		Version:       currentVersion(),
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see `%s --help`", plainer(err), cmd.CommandPath())}
	})
	addGroup(root, "Try it and run it:",
		newDemo(p), newUp(p),
		newRole(p, "dispatcher", "Takes jobs, asks the gate and sends", dispatcherRole),
		newRole(p, "callbacks", "Receives status callbacks and inbound messages", callbacksRole),
		newRole(p, "api", "Serves the HTTP API", apiRole),
		newRole(p, "tracker", "Keeps gate and delivery state up to date with the log", trackerRole),
		newSandbox(p))
	addGroup(root, "Send:", newSend(p), newPlan(p))
	addGroup(root, "Look and operate:",
		newJobs(p), newLimits(p), newSenders(p), newPools(p), newConsents(p),
		newPause(p, "pause", "Parks everything", "Jobs are still accepted, and wait"),
		newPause(p, "resume", "Lets everything go again", "Senders that were paused one by one stay paused"))
	addGroup(root, "Set up and mend:", newDoctor(p), newConfig(p), newBench(p), newRebuild(p))
	root.AddCommand(newVersion(p), newMan(p))
	root.SetOut(p.out)
	completeShells(root)
	usageErrors(root)
	return root
}

// completeShells adds cobra's completion command, which would take the name of
// a shell it does not know for a call for help.
func completeShells(root *cobra.Command) {
	root.InitDefaultCompletionCmd() // binds the output of now
	for _, cmd := range root.Commands() {
		if cmd.Name() != "completion" {
			continue
		}
		cmd.Args, cmd.Example = cobra.NoArgs, "  sluice completion bash > ~/.local/share/bash-completion/completions/sluice"
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		for _, shell := range cmd.Commands() {
			shell.Example = "  sluice completion " + shell.Name() + " > sluice." + shell.Name()
		}
	}
}

// kindsOfValue says what a flag of a type takes.
var kindsOfValue = map[string]string{
	"int": "a whole number", "int64": "a whole number", "float64": "a number",
	"duration": "a duration as in 90s, 5m or 24h", "bool": "true or false",
}

// plainer is the error of a bad flag in the words of the other complaints.
func plainer(err error) error {
	var bad *pflag.InvalidValueError
	if !errors.As(err, &bad) {
		return err
	}
	kind, known := kindsOfValue[bad.GetFlag().Value.Type()]
	if !known {
		return err
	}
	return fmt.Errorf("--%s: %q is not %s", bad.GetFlag().Name, bad.GetValue(), kind)
}

// addGroup adds commands that the help shows together.
func addGroup(root *cobra.Command, title string, commands ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: title, Title: title})
	for _, command := range commands {
		command.GroupID = title
	}
	root.AddCommand(commands...)
}

// usageErrors marks cobra's own complaints about arguments as wrong usage.
func usageErrors(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usageError{fmt.Errorf("%w; see `%s --help`", err, cmd.CommandPath())}
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		usageErrors(sub)
	}
}
