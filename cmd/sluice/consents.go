package main

import (
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sluicehq/sluice/delivery"
)

// consentLine is what a customer said, as the API tells it.
type consentLine struct {
	From   string    `json:"from"`
	State  string    `json:"state"`
	Source string    `json:"source"`
	At     time.Time `json:"at"`
}

func newConsents(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use: "consents", Short: "Shows and sets what customers agreed to", Args: cobra.NoArgs, Example: "  sluice consents get +15552223333",
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var asJSON bool
	cmd.PersistentFlags().BoolVar(&asJSON, "json", false, "print JSON")
	path := func(customer string) string { return "/v1/consents/" + url.PathEscape(delivery.WithChannel(customer)) }
	row := func(c consentLine) []string { return []string{c.From, c.State, c.Source, localTime(&c.At)} }
	header := []string{"FROM", "STATE", "SOURCE", "AT"}
	cmd.AddCommand(
		&cobra.Command{
			Use: "get CUSTOMER", Short: "Shows what a customer agreed to", Args: cobra.ExactArgs(1), Example: "  sluice consents get +15552223333",
			RunE: func(cmd *cobra.Command, args []string) error {
				return show(cmd.Context(), p, path(args[0]), asJSON, func(all struct {
					Consents []consentLine `json:"consents"`
				}) [][]string {
					rows := [][]string{header}
					for _, c := range all.Consents {
						rows = append(rows, row(c))
					}
					return rows
				})
			},
		},
		newPut("set CUSTOMER", "Records what a customer agreed to", "  sluice consents set +15552223333 --state out\n  sluice consents set +15552223333 --from 15550001111 --state in --source web",
			func(flags *pflag.FlagSet) {
				flags.String("from", "", "sender it holds for; default all")
				flags.String("state", "", "in or out")
				flags.String("source", "", "where it was said")
			},
			func(cmd *cobra.Command, customer string, body map[string]any) error {
				return ask(cmd.Context(), p, http.MethodPut, path(customer), body, asJSON, func(c consentLine) [][]string {
					return [][]string{header, row(c)}
				})
			}),
	)
	return cmd
}
