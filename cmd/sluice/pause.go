package main

import (
	"fmt"
	"net/http"

	"github.com/spf13/cobra"
)

func newPause(p *program, verb, short, more string) *cobra.Command {
	var all, asJSON bool
	var reason string
	cmd := &cobra.Command{
		Use: verb + " --all", Short: short, Args: cobra.NoArgs,
		Long:    short + ". " + more + ". One sender: `sluice senders " + verb + " SENDER`.",
		Example: "  sluice " + verb + " --all",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !all {
				return usageError{fmt.Errorf("say --all, or name one sender with `sluice senders %s SENDER`", verb)}
			}
			return ask(cmd.Context(), p, http.MethodPost, "/v1/"+verb, reasonBody(reason), asJSON, func(state struct {
				Paused bool `json:"paused"`
			}) [][]string {
				return [][]string{{"everything paused: " + yesOrNo(state.Paused)}}
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "all senders")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	if verb == "pause" {
		cmd.Flags().StringVar(&reason, "reason", "", "shown to others")
	}
	return cmd
}

func reasonBody(reason string) any {
	if reason == "" {
		return nil
	}
	return map[string]string{"reason": reason}
}
