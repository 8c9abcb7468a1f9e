package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// senderLine is a sender as the API tells it.
type senderLine struct {
	Sender  string      `json:"sender"`
	Known   bool        `json:"registered"`
	Account string      `json:"account"`
	Pool    string      `json:"pool"`
	Limit   limitNumber `json:"limit"`
	From    string      `json:"limit_from"`
	MPS     float64     `json:"mps"`
	OptIn   bool        `json:"require_opt_in"`
	State   string      `json:"state"`
	Status  string      `json:"status"`
	Quality string      `json:"quality"`
}

func senderRows(senders ...senderLine) [][]string {
	rows := [][]string{{"SENDER", "POOL", "LIMIT", "SET BY", "MPS", "OPT-IN", "STATE", "QUALITY", "PROVIDER", "REGISTERED"}}
	for _, s := range senders {
		rows = append(rows, []string{s.Sender, s.Pool, string(s.Limit), s.From,
			strconv.FormatFloat(s.MPS, 'g', -1, 64), yesOrNo(s.OptIn), s.State, s.Quality, s.Status, yesOrNo(s.Known)})
	}
	return rows
}

func newSenders(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use: "senders", Short: "Shows, sets and registers senders", Args: cobra.NoArgs, Example: "  sluice senders list",
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var asJSON bool
	cmd.PersistentFlags().BoolVar(&asJSON, "json", false, "print JSON")
	one := func(s senderLine) [][]string { return senderRows(s) }
	path := func(token string) string { return "/v1/senders/" + url.PathEscape(token) }
	cmd.AddCommand(
		&cobra.Command{
			Use: "list", Short: "Lists registered senders", Args: cobra.NoArgs, Example: "  sluice senders list",
			RunE: func(cmd *cobra.Command, _ []string) error {
				return show(cmd.Context(), p, "/v1/senders", asJSON, func(all struct {
					Senders []senderLine `json:"senders"`
				}) [][]string {
					return senderRows(all.Senders...)
				})
			},
		},
		&cobra.Command{
			Use: "get SENDER", Short: "Shows one sender", Args: cobra.ExactArgs(1), Example: "  sluice senders get 15550001111",
			RunE: func(cmd *cobra.Command, args []string) error {
				return show(cmd.Context(), p, path(args[0]), asJSON, one)
			},
		},
		newPut("set SENDER", "Sets what is given of a sender, and registers it", "  sluice senders set 15550001111 --limit 1000 --mps 80",
			func(flags *pflag.FlagSet) {
				flags.String("limit", "", "different customers per window: a number, unlimited, or provider")
				flags.Float64("mps", 0, "messages a second")
				flags.String("pool", "", "pool whose limit it shares")
				flags.String("account", "", "provider account")
				flags.Bool("require-opt-in", false, "send only to customers who opted in")
			},
			func(cmd *cobra.Command, name string, body map[string]any) error {
				return ask(cmd.Context(), p, http.MethodPut, path(name), body, asJSON, one)
			}),
	)
	cmd.AddCommand(newSendersRegister(p, &asJSON), newSendersVerify(p, &asJSON))
	for _, verb := range []string{"pause", "resume"} {
		cmd.AddCommand(&cobra.Command{
			Use: verb + " SENDER", Short: "Makes a sender's jobs " + map[string]string{"pause": "wait", "resume": "go again"}[verb],
			Args: cobra.ExactArgs(1), Example: "  sluice senders " + verb + " 15550001111",
			RunE: func(cmd *cobra.Command, args []string) error {
				return ask(cmd.Context(), p, http.MethodPost, path(args[0])+"/"+verb, nil, asJSON, one)
			},
		})
	}
	return cmd
}

// newPut is a command that sets the fields whose flags are given.
func newPut(use, short, example string, declare func(*pflag.FlagSet), put func(*cobra.Command, string, map[string]any) error) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(1), Example: example}
	declare(cmd.Flags())
	own := map[string]bool{}
	cmd.Flags().VisitAll(func(f *pflag.Flag) { own[f.Name] = true })
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		body := map[string]any{}
		cmd.Flags().Visit(func(f *pflag.Flag) {
			if own[f.Name] {
				body[settingName(f.Name)] = flagValue(f)
			}
		})
		if len(body) == 0 {
			return usageError{fmt.Errorf("nothing to set: see `%s --help`", cmd.CommandPath())}
		}
		return put(cmd, args[0], body)
	}
	return cmd
}

// flagValue is a flag's value as JSON has it. A number is only what is one by its
// kind: a pool, an account or a source may be called 2024.
func flagValue(f *pflag.Flag) any {
	text := f.Value.String()
	switch {
	case f.Value.Type() == "bool":
		return text == "true"
	case f.Value.Type() == "float64":
		if n, err := strconv.ParseFloat(text, 64); err == nil {
			return n
		}
	case f.Name == "limit": // or a word
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n
		}
	}
	return text
}
