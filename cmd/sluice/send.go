package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sluicehq/sluice/delivery"
)

// jobFlags are one job as flags.
type jobFlags struct {
	job              delivery.Job
	sendAt, expires  string
	category         string
	priority, unsure string
	vars, metadata   map[string]string
}

func newSend(p *program) *cobra.Command {
	var f jobFlags
	var c campaignFlags
	var wait, asJSON bool
	cmd := &cobra.Command{
		Use: "send [--csv FILE | -]", Short: "Sends one job from flags, or many from a file", Args: cobra.MaximumNArgs(1),
		Annotations: map[string]string{whenInterrupted: "jobs already taken go on; send the same again with the same --id or --campaign, and nobody is reached twice"},
		Long: `Sends one job through the HTTP API (SLUICE_API_URL, SLUICE_API_KEY) and prints
its id and status; or many, from a CSV file, or from NDJSON on standard input.

The first row of the CSV names the columns: fields of a job, var.NAME for a
template's variables. Flags fill what a row leaves open. A job's id is the
campaign's name and the row's id, or a digest of the row: a file that is sent
twice reaches nobody twice. Good rows are sent, bad ones are told with their line
and field, and the exit status is then 1.`,
		Example: `  sluice send --from whatsapp:+15550001111 --to +15552223333 --content-sid HX00000000000000000000000000000001 --var 1=Ana
  sluice send --id order-17 --from whatsapp:+15550001111 --to +15552223333 --body "On its way" --wait
  sluice send --csv customers.csv --campaign spring --from +15550001111 --content-sid HX00000000000000000000000000000001 --report sent.csv
  sluice send - --campaign spring --yes < jobs.ndjson`,
		RunE: func(cmd *cobra.Command, args []string) error {
			job, err := f.build()
			if err != nil {
				return usageError{err}
			}
			if len(args) == 0 && c.csv == "" {
				if err := c.unused(); err != nil {
					return usageError{err}
				}
				if !f.given(cmd.Flags()) {
					_ = cmd.Usage()
					return usageError{errors.New("no job given: see the example above")}
				}
				return p.send(cmd.Context(), job, wait, asJSON)
			}
			if err := c.check(args, job); err != nil {
				return usageError{err}
			}
			return p.sendMany(cmd.Context(), c, job, wait, asJSON)
		},
	}
	f.add(cmd.Flags())
	cmd.Flags().StringVar(&f.job.To, "to", "", "customer, whatsapp:+15552223333 or +15552223333")
	c.add(cmd.Flags())
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until every job has ended")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// add declares all but --to, of which a plan takes several.
func (f *jobFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.job.ID, "id", "", "idempotency key (default: a new one)")
	flags.StringVar(&f.job.From, "from", "", "sender, whatsapp:+15550001111 or +15550001111")
	flags.StringVar(&f.job.MessagingServiceSID, "messaging-service-sid", "", "messaging service, instead of --from")
	flags.StringVar(&f.job.ContentSID, "content-sid", "", "template, HX…")
	flags.StringToStringVar(&f.vars, "var", nil, "template variable, `name=value` (repeatable)")
	flags.StringVar(&f.job.Body, "body", "", "free-form text")
	flags.StringSliceVar(&f.job.MediaURL, "media-url", nil, "media (repeatable)")
	flags.StringVar(&f.category, "category", "", "authentication, utility, marketing or service")
	flags.StringVar(&f.priority, "priority", "", "high, normal or low")
	flags.StringVar(&f.sendAt, "send-at", "", "not before, RFC 3339")
	flags.StringVar(&f.expires, "expires-at", "", "not after, RFC 3339")
	flags.StringVar(&f.unsure, "on-unknown", "", "resend or hold")
	flags.StringToStringVar(&f.metadata, "metadata", nil, "handed back in state and events, `name=value` (repeatable)")
}

// given reports whether any flag says something of a job.
func (f *jobFlags) given(flags *pflag.FlagSet) bool {
	own := pflag.NewFlagSet("", pflag.ContinueOnError)
	(&jobFlags{}).add(own)
	found := flags.Changed("to")
	own.VisitAll(func(flag *pflag.Flag) { found = found || flags.Changed(flag.Name) })
	return found
}

// build is the job that the flags describe; the API checks it.
func (f jobFlags) build() (delivery.Job, error) {
	job := f.job
	job.From, job.To = delivery.WithChannel(job.From), delivery.WithChannel(job.To)
	job.Category, job.Priority = delivery.Category(f.category), delivery.Priority(f.priority)
	job.OnUnknown = delivery.OnUnknown(f.unsure)
	job.ContentVariables, job.Metadata = f.vars, f.metadata
	for _, t := range []struct {
		name, text string
		field      *time.Time
	}{{"--send-at", f.sendAt, &job.SendAt}, {"--expires-at", f.expires, &job.ExpiresAt}} {
		if t.text == "" {
			continue
		}
		parsed, err := time.Parse(time.RFC3339, t.text)
		if err != nil {
			return job, fmt.Errorf("%s: %q is not a time as in 2026-01-31T09:00:00Z", t.name, t.text)
		}
		*t.field = parsed
	}
	return job, nil
}

type sent struct {
	ID     string          `json:"id"`
	Status delivery.Status `json:"status"`
}

func (p *program) send(ctx context.Context, job delivery.Job, wait, asJSON bool) error {
	api := p.api()
	var answer sent
	err := api.call(ctx, http.MethodPost, "/v1/jobs", job, &answer)
	if err == nil && wait {
		answer.Status, err = api.awaitEnd(ctx, answer.ID, answer.Status)
	}
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(p.out).Encode(answer)
	}
	_, err = fmt.Fprintf(p.out, "%s %s\n", answer.ID, answer.Status)
	return err
}

// awaitEnd asks for a job until nothing more happens to it by itself.
func (c *apiClient) awaitEnd(ctx context.Context, id string, status delivery.Status) (delivery.Status, error) {
	for pause := time.Duration(0); !status.Ended() && status != delivery.StatusHeld; pause = 250 * time.Millisecond {
		select {
		case <-ctx.Done():
			return status, ctx.Err()
		case <-time.After(pause):
		}
		var record delivery.Record
		if err := c.call(ctx, http.MethodGet, "/v1/jobs/"+id, nil, &record); err != nil {
			return status, err
		}
		status = record.Status
	}
	return status, nil
}
