package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// apiClient talks to a running API on behalf of the commands.
type apiClient struct {
	base, key string
	fault     error // of its settings, told by the first request
	http      *http.Client
}

func (p *program) api() *apiClient {
	c := &apiClient{base: "http://127.0.0.1:8080", http: &http.Client{Timeout: 60 * time.Second}}
	_, c.fault = setting{name: "api_key", field: &c.key, secret: true}.fromEnv(p.env)
	if base := p.env["SLUICE_API_URL"]; base != "" {
		c.base = strings.TrimRight(base, "/")
	}
	return c
}

// apiProblem is an error as the API tells it.
type apiProblem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Field   string `json:"field"`
}

func (e *apiProblem) Error() string {
	if e.Field != "" {
		return e.Field + ": " + e.Message
	}
	return e.Message
}

// call sends one request and decodes the answer into out, unless out is nil.
func (c *apiClient) call(ctx context.Context, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	resp, data, err := c.exchange(ctx, method, path, "application/json", body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return problem(resp, data)
	}
	if out == nil {
		return nil
	}
	return c.decode(data, out)
}

func (c *apiClient) decode(data []byte, out any) error {
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("answer of the API at %s is not what this version knows: %w", redactURL(c.base), err)
	}
	return nil
}

// exchange sends one request and reads the whole answer, whatever its status.
func (c *apiClient) exchange(ctx context.Context, method, path, contentType string, body []byte) (*http.Response, []byte, error) {
	if c.fault != nil {
		return nil, nil, c.fault
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, fmt.Errorf("SLUICE_API_URL: %w", cause(err))
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", contentType)
	}
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, nil, fmt.Errorf("the API at %s does not answer: %w (see that `sluice up` or `sluice api` runs; SLUICE_API_URL)", redactURL(c.base), err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return nil, nil, fmt.Errorf("answer of the API: %w", err)
	}
	return resp, data, nil
}

func problem(resp *http.Response, data []byte) error {
	var answer struct{ Error apiProblem }
	if json.Unmarshal(data, &answer) != nil || answer.Error.Message == "" {
		return fmt.Errorf("the API answered %s", resp.Status)
	}
	if resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden {
		return errors.Join(&answer.Error, errors.New("set SLUICE_API_KEY"))
	}
	return &answer.Error
}
