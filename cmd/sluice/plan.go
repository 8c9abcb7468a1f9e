package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

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
	var f planFlags
	cmd := &cobra.Command{
		Use: "plan [--csv FILE | -]", Short: "Says how much of a mailing could go now, and when the last one would be out", Args: cobra.MaximumNArgs(1),
		Annotations: map[string]string{whenInterrupted: "nothing was sent, run it again"},
		Long: `Says what one message to each customer would need, how many could go now, and
when the last one would be out behind everything that waits already. Nothing is
sent and nothing reserved.

It takes what sluice send takes: put plan in the place of send to see first what
would become of a mailing.`,
		Example: `  sluice plan --from +15550001111 --to +15552223333,+15552224444 --category marketing
  sluice plan --csv customers.csv --from +15550001111 --content-sid HX00000000000000000000000000000001`,
		RunE: func(cmd *cobra.Command, args []string) error {
			job, err := f.build()
			if err != nil {
				return usageError{err}
			}
			if len(args) > 0 || f.file.csv != "" {
				if err := f.checkFile(args, job); err != nil {
					return usageError{err}
				}
				return p.planFile(cmd.Context(), f.file, job, f.asJSON)
			}
			request, err := f.request()
			if err != nil {
				return usageError{err}
			}
			return ask(cmd.Context(), p, http.MethodPost, "/v1/plan", request, f.asJSON, planned.rows)
		},
	}
	f.add(cmd.Flags())
	return cmd
}

// planFlags are those of a mailing that would be sent.
type planFlags struct {
	jobFlags
	to           []string
	file         campaignFlags
	wait, asJSON bool
}

func (f *planFlags) add(flags *pflag.FlagSet) {
	f.jobFlags.add(flags)
	flags.StringSliceVar(&f.to, "to", nil, "customers, +15552223333,+15552224444 (repeatable)")
	f.file.add(flags)
	flags.BoolVar(&f.wait, "wait", false, "as of sluice send: a plan has nothing to wait for")
	flags.BoolVar(&f.asJSON, "json", false, "print JSON")
}

// build is what every row of a file begins with.
func (f *planFlags) build() (delivery.Job, error) {
	job, err := f.jobFlags.build()
	if strings.HasPrefix(f.job.From, "MG") {
		job.From, job.MessagingServiceSID = "", f.job.From
	}
	return job, err
}

func (f *planFlags) checkFile(args []string, job delivery.Job) error {
	if len(f.to) > 0 {
		return errors.New("give either a file or --to, not both")
	}
	f.file.name = cmp.Or(f.file.name, "plan") // ids matter to a mailing that is sent
	return f.file.check(args, job)
}

// request is the plan of the customers that flags name.
func (f *planFlags) request() (planRequest, error) {
	if err := f.file.unused(); err != nil {
		return planRequest{}, err
	}
	switch from, service := f.job.From, f.job.MessagingServiceSID; {
	case from != "" && service != "":
		return planRequest{}, errors.New("give either --from or --messaging-service-sid, not both")
	case from+service == "" || len(f.to) == 0:
		return planRequest{}, errors.New("a plan needs --from and --to, or --csv FILE; see `sluice plan --help`")
	default:
		return planRequest{From: from + service, To: f.to, Category: f.category}, nil
	}
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
