package main

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/delivery"
)

// planRequest is a mailing as POST /v1/plan takes it.
type planRequest struct {
	From     string   `json:"from"`
	To       []string `json:"to"`
	Category string   `json:"category,omitempty"`
}

// planned is what POST /v1/plan says of it.
type planned struct {
	New        int         `json:"new"`
	Known      int         `json:"known"`
	InWindow   int         `json:"in_window"`
	OptedOut   int         `json:"opted_out"`
	FreeNow    limitNumber `json:"free_now"`
	FinishesAt *time.Time  `json:"finishes_at"`
}

func newPlan(p *program) *cobra.Command {
	var request planRequest
	var file campaignFlags
	var defaults delivery.Job
	var asJSON bool
	cmd := &cobra.Command{
		Use: "plan", Short: "Says how much of a mailing could go now, and when the last one would be out", Args: cobra.NoArgs,
		Annotations: map[string]string{whenInterrupted: "nothing was sent, run it again"},
		Long: `Says what one message to each customer would need, how many could go now, and
when the last one would be out behind everything that waits already. Nothing is
sent and nothing reserved.`,
		Example: `  sluice plan --from +15550001111 --to +15552223333,+15552224444 --category marketing
  sluice plan --csv customers.csv --from +15550001111 --content-sid HX00000000000000000000000000000001`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file.csv != "" {
				if len(request.To) > 0 {
					return usageError{errors.New("give either --csv or --to, not both")}
				}
				file.name = "plan" // ids matter to a mailing that is sent
				defaults.From, defaults.Category = delivery.WithChannel(request.From), delivery.Category(request.Category)
				if strings.HasPrefix(request.From, "MG") {
					defaults.From, defaults.MessagingServiceSID = "", request.From
				}
				return p.planFile(cmd.Context(), file, defaults, asJSON)
			}
			if request.From == "" || len(request.To) == 0 {
				return usageError{errors.New("a plan needs --from and --to, or --csv FILE; see `sluice plan --help`")}
			}
			return ask(cmd.Context(), p, http.MethodPost, "/v1/plan", request, asJSON, planned.rows)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&request.From, "from", "", "sender, whatsapp:+15550001111, +15550001111 or MG…")
	flags.StringSliceVar(&request.To, "to", nil, "customers, +15552223333,+15552224444 (repeatable)")
	flags.StringVar(&request.Category, "category", "", "authentication, utility, marketing or service")
	flags.StringVar(&file.csv, "csv", "", "file with one job a row, as for sluice send; - for standard input")
	flags.StringVar(&defaults.ContentSID, "content-sid", "", "template of rows that name none")
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// now is how many could go at once, the rate aside.
func (p planned) now() int {
	n := p.New
	if free, err := strconv.Atoi(string(p.FreeNow)); err == nil { // else unlimited
		n = min(n, free)
	}
	return p.Known + p.InWindow + n
}

func (p planned) rows() [][]string {
	last := localTime(p.FinishesAt)
	if last == "" {
		last = neverOut
	}
	return [][]string{
		{"CUSTOMERS", strconv.Itoa(p.New + p.Known + p.InWindow + p.OptedOut)},
		{"  new", strconv.Itoa(p.New)},
		{"  known in this window", strconv.Itoa(p.Known)},
		{"  in a service window", strconv.Itoa(p.InWindow)},
		{"  opted out", strconv.Itoa(p.OptedOut)},
		{"COULD GO NOW", fmt.Sprintf("%d (%s places free)", p.now(), p.FreeNow)},
		{"LAST ONE OUT", last},
	}
}
