package main

import (
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/delivery"
)

func newJobsList(p *program) *cobra.Command {
	var from, to, sid, status, since, until, cursor string
	var limit int
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "Lists jobs, newest first", Args: cobra.NoArgs,
		Example: "  sluice jobs list --status failed,undelivered --limit 20\n  sluice jobs list --to +15552223333 --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			query := url.Values{}
			for name, value := range map[string]string{
				"from": delivery.WithChannel(from), "to": delivery.WithChannel(to), "sid": sid, "status": status,
				"since": since, "until": until, "cursor": cursor, "limit": strconv.Itoa(limit),
			} {
				if value != "" {
					query.Set(name, value)
				}
			}
			return show(cmd.Context(), p, "/v1/jobs?"+query.Encode(), asJSON, func(list struct {
				Jobs []delivery.Record `json:"jobs"`
				Next string            `json:"next_cursor"`
			}) [][]string {
				rows := [][]string{{"JOB", "STATUS", "ATTEMPT", "FROM", "TO", "CREATED", "REASON"}}
				for _, r := range list.Jobs {
					rows = append(rows, []string{r.ID, string(r.Status), strconv.Itoa(r.Attempt), r.From, r.To, localTime(&r.CreatedAt), r.Reason})
				}
				if list.Next != "" {
					rows = append(rows, []string{"more: --cursor " + list.Next})
				}
				return rows
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&from, "from", "", "sender")
	flags.StringVar(&to, "to", "", "customer")
	flags.StringVar(&sid, "sid", "", "the provider's message sid")
	flags.StringVar(&status, "status", "", "one or more, comma-separated")
	flags.StringVar(&since, "since", "", "created at this time or later, RFC 3339")
	flags.StringVar(&until, "until", "", "created before this time, RFC 3339")
	flags.StringVar(&cursor, "cursor", "", "go on where the last page ended")
	flags.IntVar(&limit, "limit", 50, "most jobs to list, up to 1000")
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
