package main

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// poolPolicy is a pool's policy as the API tells it.
type poolPolicy struct {
	Pool    string      `json:"pool"`
	Limit   limitNumber `json:"limit"`
	From    string      `json:"limit_from"`
	Reserve float64     `json:"reserve"`
	Senders []string    `json:"senders"`
}

func poolRows(pools ...poolPolicy) [][]string {
	rows := [][]string{{"POOL", "LIMIT", "SET BY", "RESERVE", "SENDERS"}}
	for _, pool := range pools {
		rows = append(rows, []string{pool.Pool, string(pool.Limit), pool.From,
			strconv.FormatFloat(pool.Reserve, 'g', -1, 64), strings.Join(pool.Senders, " ")})
	}
	return rows
}

func newPools(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use: "pools", Short: "Shows and sets pools: senders that share one messaging limit", Args: cobra.NoArgs, Example: "  sluice pools list",
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var asJSON bool
	cmd.PersistentFlags().BoolVar(&asJSON, "json", false, "print JSON")
	one := func(pool poolPolicy) [][]string { return poolRows(pool) }
	path := func(name string) string { return "/v1/pools/" + url.PathEscape(name) }
	cmd.AddCommand(
		&cobra.Command{
			Use: "list", Short: "Lists pools", Args: cobra.NoArgs, Example: "  sluice pools list --json",
			RunE: func(cmd *cobra.Command, _ []string) error {
				return show(cmd.Context(), p, "/v1/pools", asJSON, func(all struct {
					Pools []poolPolicy `json:"pools"`
				}) [][]string {
					return poolRows(all.Pools...)
				})
			},
		},
		&cobra.Command{
			Use: "get POOL", Short: "Shows one pool", Args: cobra.ExactArgs(1), Example: "  sluice pools get shop",
			RunE: func(cmd *cobra.Command, args []string) error {
				return show(cmd.Context(), p, path(args[0]), asJSON, one)
			},
		},
		newPut("set POOL", "Sets what is given of a pool", "  sluice pools set shop --limit 2000 --reserve 0.1",
			func(flags *pflag.FlagSet) {
				flags.String("limit", "", "different customers per window: a number, unlimited, or provider")
				flags.Float64("reserve", 0, "share of the limit kept for high priority, 0 to 1")
			},
			func(cmd *cobra.Command, name string, body map[string]any) error {
				return ask(cmd.Context(), p, http.MethodPut, path(name), body, asJSON, one)
			}),
	)
	return cmd
}
