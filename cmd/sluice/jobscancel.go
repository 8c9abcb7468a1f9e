package main

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/delivery"
)

func newJobsCancel(p *program) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "cancel ID", Short: "Cancels a job that has not been sent", Args: cobra.ExactArgs(1),
		Long:    "Cancels a job that waits, whatever for. Once its send has begun it is too late, and that is said.",
		Example: "  sluice jobs cancel order-17",
		RunE: func(cmd *cobra.Command, args []string) error {
			path := "/v1/jobs/" + url.PathEscape(args[0]) + "/cancel"
			return ask(cmd.Context(), p, http.MethodPost, path, nil, asJSON, func(r delivery.Record) [][]string {
				return [][]string{{fmt.Sprintf("%s %s", r.ID, r.Status)}}
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
