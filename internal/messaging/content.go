package messaging

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
)

// ContentClient reads templates through the Content API (v1) for one account.
// It is safe for concurrent use. Every call may be repeated.
type ContentClient struct {
	*caller
	contents string // URL of the templates
}

// NewContentClient returns a client for account. It makes no call.
func NewContentClient(account Account, cfg Config) *ContentClient {
	c := newCaller("content api", ContentURL, account, cfg)
	return &ContentClient{caller: c, contents: c.baseURL + "/v1/Content/"}
}

// Content is a template: its variables with their sample values, which stand
// in where a message leaves a variable out. An empty value is no sample.
type Content struct {
	SID       string // HX…
	Name      string
	Language  string
	Variables map[string]string
	Types     map[string]json.RawMessage // the parts by kind, as in "twilio/text"
}

// Approval is Meta's word about a template.
type Approval struct {
	Name     string `json:"name"`
	Status   string `json:"status"`   // unsubmitted, received, pending, approved, rejected, paused, disabled
	Category string `json:"category"` // UTILITY, MARKETING, AUTHENTICATION; Meta may change it
	Reason   string `json:"rejection_reason"`
}

// Fetch returns the template sid. On error, always a *Failure.
func (c *ContentClient) Fetch(ctx context.Context, sid string) (Content, error) {
	r := c.exchange(ctx, get(c.contents+url.PathEscape(sid)))
	if f := c.judge(r); f != nil {
		return Content{}, f
	}
	content, err := decodeContent(r.body)
	if err != nil {
		return Content{}, c.unreadable(r, err)
	}
	return content, nil
}

// Approval returns how the template stands with WhatsApp; without a status it
// was never submitted. On error, always a *Failure.
func (c *ContentClient) Approval(ctx context.Context, sid string) (Approval, error) {
	r := c.exchange(ctx, get(c.contents+url.PathEscape(sid)+"/ApprovalRequests"))
	if f := c.judge(r); f != nil {
		return Approval{}, f
	}
	var wire struct {
		SID      string   `json:"sid"`
		WhatsApp Approval `json:"whatsapp"`
	}
	err := json.Unmarshal(r.body, &wire)
	if err == nil && wire.SID == "" {
		err = errors.New("the answer names no content SID")
	}
	if err != nil {
		return Approval{}, c.unreadable(r, err)
	}
	return wire.WhatsApp, nil
}

func decodeContent(body []byte) (Content, error) {
	var wire struct {
		SID       string                     `json:"sid"`
		Name      string                     `json:"friendly_name"`
		Language  string                     `json:"language"`
		Variables map[string]any             `json:"variables"`
		Types     map[string]json.RawMessage `json:"types"`
	}
	if err := json.Unmarshal(body, &wire); err != nil {
		return Content{}, fmt.Errorf("the answer is not JSON: %w", err)
	}
	if wire.SID == "" {
		return Content{}, errors.New("the answer names no content SID")
	}
	c := Content{SID: wire.SID, Name: wire.Name, Language: wire.Language, Types: wire.Types, Variables: map[string]string{}}
	for name, value := range wire.Variables {
		if value == nil {
			value = ""
		}
		c.Variables[name] = fmt.Sprint(value)
	}
	return c, nil
}
