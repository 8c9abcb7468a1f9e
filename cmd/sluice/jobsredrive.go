package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/delivery"
)

// redriveFilter is the body of POST /v1/jobs/redrive.
type redriveFilter struct {
	Status string `json:"status,omitempty"`
	Code   string `json:"code,omitempty"`
	From   string `json:"from,omitempty"`
	Since  string `json:"since,omitempty"`
	Until  string `json:"until,omitempty"`
	Cursor string `json:"cursor,omitempty"`
}

// redriveAnswer is its answer.
type redriveAnswer struct {
	Redriven int            `json:"redriven"`
	Refused  int            `json:"refused"`
	Results  []redriveEntry `json:"results"`
	Next     string         `json:"next_cursor"`
}

type redriveEntry struct {
	ID     string          `json:"id"`
	Status delivery.Status `json:"status,omitempty"`
	Error  *apiProblem     `json:"error,omitempty"`
}

func newJobsRedrive(p *program) *cobra.Command {
	var filter redriveFilter
	var asJSON bool
	cmd := &cobra.Command{
		Use: "redrive [ID...]", Short: "Sends failed, undelivered or held jobs again",
		Long: `Sends failed, undelivered or held jobs again, each under its id as a new attempt.
Name jobs, or choose them by a filter. A filter takes failed and undelivered
jobs; held ones, whose messages may have arrived, only with --status held.`,
		Example: `  sluice jobs redrive order-17 order-18
  sluice jobs redrive --code 63018 --since 2026-01-31T09:00:00Z
  sluice jobs redrive --status held --from 15550001111`,
		RunE: func(cmd *cobra.Command, ids []string) error {
			filtered := filter != redriveFilter{}
			switch {
			case filtered == (len(ids) > 0):
				return usageError{errors.New("name jobs, or choose them by --status, --code, --from, --since or --until")}
			case filtered:
				return p.redriveMany(cmd.Context(), filter, asJSON)
			}
			return p.redriveEach(cmd.Context(), ids, asJSON)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&filter.Status, "status", "", "of failed, undelivered, held; one or more, comma-separated")
	flags.StringVar(&filter.Code, "code", "", "error code, one or more, comma-separated")
	flags.StringVar(&filter.From, "from", "", "sender")
	flags.StringVar(&filter.Since, "since", "", "created at this time or later, RFC 3339")
	flags.StringVar(&filter.Until, "until", "", "created before this time, RFC 3339")
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// redriveMany asks until nothing that matches is left.
func (p *program) redriveMany(ctx context.Context, filter redriveFilter, asJSON bool) error {
	var all redriveAnswer
	for {
		var answer redriveAnswer
		if err := p.api().call(ctx, http.MethodPost, "/v1/jobs/redrive", filter, &answer); err != nil {
			return err
		}
		all.Redriven += answer.Redriven
		all.Refused += answer.Refused
		all.Results = append(all.Results, answer.Results...)
		if filter.Cursor = answer.Next; filter.Cursor == "" {
			return p.printRedriven(all, asJSON)
		}
	}
}

// redriveEach goes on with the others when one is refused.
func (p *program) redriveEach(ctx context.Context, ids []string, asJSON bool) error {
	var all redriveAnswer
	for _, id := range ids {
		var record delivery.Record
		err := p.api().call(ctx, http.MethodPost, "/v1/jobs/"+url.PathEscape(id)+"/redrive", nil, &record)
		var refused *apiProblem
		switch {
		case errors.As(err, &refused):
			all.Refused++
			all.Results = append(all.Results, redriveEntry{ID: id, Error: refused})
		case err != nil:
			return err
		default:
			all.Redriven++
			all.Results = append(all.Results, redriveEntry{ID: id, Status: record.Status})
		}
	}
	return p.printRedriven(all, asJSON)
}

func (p *program) printRedriven(all redriveAnswer, asJSON bool) error {
	if asJSON {
		if err := json.NewEncoder(p.out).Encode(all); err != nil {
			return err
		}
	} else {
		for _, r := range all.Results {
			if r.Error != nil {
				fmt.Fprintf(p.out, "%s refused: %s\n", r.ID, r.Error)
			}
		}
		fmt.Fprintf(p.out, "%d redriven, %d refused\n", all.Redriven, all.Refused)
	}
	if all.Refused > 0 {
		return fmt.Errorf("%d jobs could not be redriven", all.Refused)
	}
	return nil
}
