package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/delivery"
)

func newJobs(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use: "jobs", Short: "Looks at jobs, cancels them and sends them again", Args: cobra.NoArgs,
		Example: "  sluice jobs get order-17",
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newJobsGet(p), newJobsList(p), newJobsCancel(p), newJobsRedrive(p))
	return cmd
}

func newJobsGet(p *program) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "get ID", Short: "Shows where one job is, and how it got there", Args: cobra.ExactArgs(1),
		Example: "  sluice jobs get order-17\n  sluice jobs get order-17 --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			var raw json.RawMessage
			if err := p.api().call(cmd.Context(), http.MethodGet, "/v1/jobs/"+url.PathEscape(args[0]), nil, &raw); err != nil {
				return err
			}
			if asJSON {
				_, err := fmt.Fprintf(p.out, "%s\n", raw)
				return err
			}
			var record delivery.Record
			if err := json.Unmarshal(raw, &record); err != nil {
				return err
			}
			return printRecord(p.out, record)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printRecord(w io.Writer, r delivery.Record) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintf(t, "job\t%s\nstatus\t%s\nattempt\t%d\nfrom\t%s\nto\t%s\n", r.ID, r.Status, r.Attempt, r.From, r.To)
	if r.Category != "" {
		fmt.Fprintf(t, "category\t%s\n", r.Category)
	}
	if r.SID != "" {
		fmt.Fprintf(t, "sid\t%s\n", r.SID)
	}
	if r.Reason != "" {
		fmt.Fprintf(t, "reason\t%s\n", r.Reason)
	}
	if r.Error != nil {
		fmt.Fprintf(t, "error\t%d %s\n", r.Error.Code, r.Error.Message)
	}
	fmt.Fprintln(t)
	for _, e := range r.Timeline {
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\n", e.At.Local().Format(time.DateTime+".000"), e.Attempt, e.Type, e.Reason)
	}
	return t.Flush()
}
