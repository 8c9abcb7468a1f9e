package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/delivery"
)

// sendFlags are one job as flags.
type sendFlags struct {
	job              delivery.Job
	sendAt, expires  string
	category         string
	priority, unsure string
	vars, metadata   map[string]string
	wait, json       bool
}

func newSend(p *program) *cobra.Command {
	var f sendFlags
	cmd := &cobra.Command{
		Use: "send", Short: "Sends one job from flags", Args: cobra.NoArgs,
		Long: `Sends one job through the HTTP API (SLUICE_API_URL, SLUICE_API_KEY) and prints
its id and status.`,
		Example: `  sluice send --from whatsapp:+15550001111 --to +15552223333 --content-sid HX… --var 1=Ana
  sluice send --id order-17 --from whatsapp:+15550001111 --to +15552223333 --body "On its way" --wait`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().NFlag() == 0 {
				_ = cmd.Usage()
				return usageError{errors.New("no job given: see the example above")}
			}
			job, err := f.build()
			if err != nil {
				return usageError{err}
			}
			return p.send(cmd.Context(), job, f.wait, f.json)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.job.ID, "id", "", "idempotency key (default: a new one)")
	flags.StringVar(&f.job.From, "from", "", "sender, whatsapp:+15550001111")
	flags.StringVar(&f.job.MessagingServiceSID, "messaging-service-sid", "", "messaging service, instead of --from")
	flags.StringVar(&f.job.To, "to", "", "customer, whatsapp:+15552223333 or +15552223333")
	flags.StringVar(&f.job.ContentSID, "content-sid", "", "template, HX…")
	flags.StringToStringVar(&f.vars, "var", nil, "template variable, name=value (repeatable)")
	flags.StringVar(&f.job.Body, "body", "", "free-form text")
	flags.StringSliceVar(&f.job.MediaURL, "media-url", nil, "media (repeatable)")
	flags.StringVar(&f.category, "category", "", "authentication, utility, marketing or service")
	flags.StringVar(&f.priority, "priority", "", "high, normal or low")
	flags.StringVar(&f.sendAt, "send-at", "", "not before, RFC 3339")
	flags.StringVar(&f.expires, "expires-at", "", "not after, RFC 3339")
	flags.StringVar(&f.unsure, "on-unknown", "", "resend or hold")
	flags.StringToStringVar(&f.metadata, "metadata", nil, "handed back in state and events, name=value (repeatable)")
	flags.BoolVar(&f.wait, "wait", false, "wait until the job has ended")
	flags.BoolVar(&f.json, "json", false, "print JSON")
	return cmd
}

// build is the job that the flags describe; the API checks it.
func (f sendFlags) build() (delivery.Job, error) {
	job := f.job
	job.From, job.To = address(job.From), address(job.To)
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

// address takes a bare number too.
func address(a string) string {
	if strings.HasPrefix(a, "+") {
		return "whatsapp:" + a
	}
	return a
}

type sent struct {
	ID     string          `json:"id"`
	Status delivery.Status `json:"status"`
}

func (p *program) send(ctx context.Context, job delivery.Job, wait, asJSON bool) error {
	api := p.api()
	var answer sent
	if err := api.call(ctx, http.MethodPost, "/v1/jobs", job, &answer); err != nil {
		return err
	}
	for wait && !answer.Status.Ended() && answer.Status != delivery.StatusHeld {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(250 * time.Millisecond):
		}
		var record delivery.Record
		if err := api.call(ctx, http.MethodGet, "/v1/jobs/"+answer.ID, nil, &record); err != nil {
			return err
		}
		answer.Status = record.Status
	}
	if asJSON {
		return json.NewEncoder(p.out).Encode(answer)
	}
	_, err := fmt.Fprintf(p.out, "%s %s\n", answer.ID, answer.Status)
	return err
}
