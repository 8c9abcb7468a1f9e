package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/campaign"
)

// Submit implements [campaign.API]. It sends NDJSON, whose length has no bound.
func (c *apiClient) Submit(ctx context.Context, jobs []delivery.Job) ([]campaign.Result, error) {
	var body bytes.Buffer
	lines := json.NewEncoder(&body)
	for _, job := range jobs {
		if err := lines.Encode(job); err != nil {
			return nil, err
		}
	}
	resp, data, err := c.exchange(ctx, http.MethodPost, "/v1/jobs", "application/x-ndjson", body.Bytes())
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &campaign.Later{Err: err} // taken or not, the ids are the same
	}
	if resp.StatusCode >= 300 {
		err := problem(resp, data)
		if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500 {
			return nil, &campaign.Later{After: retryAfter(resp.Header, time.Now()), Err: err}
		}
		return nil, err
	}
	var answer struct {
		Results []struct {
			sent
			Error apiProblem `json:"error"`
		} `json:"results"`
	}
	if err := c.decode(data, &answer); err != nil {
		return nil, err
	}
	results := make([]campaign.Result, len(answer.Results))
	for i, r := range answer.Results {
		results[i] = campaign.Result{ID: r.ID, Status: r.Status, Code: r.Error.Code, Field: r.Error.Field, Message: r.Error.Message}
		if r.Status == "" && r.Error.Message == "" {
			return nil, fmt.Errorf("answer of the API at %s is not what this version knows: result %d is empty", redactURL(c.base), i+1)
		}
	}
	return results, nil
}

// maxRetryAfter bounds what a server may make us wait for.
const maxRetryAfter = 5 * time.Minute

// retryAfter reads both forms of the header: seconds, or a date.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	wait := time.Duration(0)
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && seconds > 0 {
		wait = time.Duration(min(seconds, maxRetryAfter.Seconds()) * float64(time.Second))
	} else if at, err := http.ParseTime(text); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), maxRetryAfter)
}
