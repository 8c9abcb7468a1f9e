// Package messaging speaks Twilio's APIs: it sends a message, fetches one, lists
// them ([Client]), manages WhatsApp senders ([SendersClient]), reads templates
// ([ContentClient]), explains the provider's error codes and checks the
// signature of its callbacks.
//
// Sending a message is not idempotent and the API takes no idempotency key
// (Twilio error 20500). The package is therefore built around one question:
// when a call did not succeed, may the message exist all the same? Every
// *Failure answers it.
package messaging

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"golang.org/x/time/rate"
)

// The vendor's addresses of the Messages, Senders and Content API.
const (
	MessagesURL = "https://api.twilio.com"
	SendersURL  = "https://messaging.twilio.com"
	ContentURL  = "https://content.twilio.com"
)

const (
	defaultTimeout  = 15 * time.Second
	defaultMaxConns = 64

	// maxPageSize keeps a page below maxAnswer: a body of 1600 characters may
	// take 19 KiB of escaped JSON. (Twilio allows 1000.)
	maxPageSize = 40
)

// Config is how a Client reaches the provider. The zero value is ready to use.
type Config struct {
	// BaseURL is scheme and host of the API, optionally with a path prefix.
	// Default the vendor's: [MessagesURL], [SendersURL] or [ContentURL].
	BaseURL string

	// Timeout bounds one call from its start to the last byte of the answer,
	// waiting for the local rate and for a connection included. Default 15 s.
	Timeout time.Duration

	// MaxConns is how many calls may be under way at once at most; further ones
	// wait. Twilio answers 429 to too many concurrent requests of an account and
	// publishes no number: every 429 halves how many there are, and every round
	// of answered calls adds one again. Default 64.
	MaxConns int

	// RequestsPerSecond spaces the calls of this client evenly. 0 is unlimited.
	RequestsPerSecond rate.Limit

	// Catalogue classifies refusals. Default DefaultCatalogue().
	Catalogue *Catalogue

	// DialContext replaces the dialler, for tests.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
}

// Client calls the Messages API for one account. It is safe for concurrent use.
type Client struct {
	*caller
	messages string // URL of the account's messages, without ".json"
}

// NewClient returns a client for account. It makes no call: wrong credentials
// or a wrong BaseURL show in the first one.
func NewClient(account Account, cfg Config) *Client {
	c := newCaller("messages api", MessagesURL, account, cfg)
	return &Client{caller: c, messages: c.baseURL + "/2010-04-01/Accounts/" + url.PathEscape(account.SID) + "/Messages"}
}

// Create sends a message and returns it as the provider stored it, with its
// SID. On error, always a *Failure, the class says whether the message may
// exist all the same.
func (c *Client) Create(ctx context.Context, m Message) (Resource, error) {
	return c.resource(c.exchange(ctx, call{http.MethodPost, c.messages + ".json", formType, m.form().Encode()}))
}

// Fetch returns the message sid as it stands now. On error, always a *Failure:
// HTTPStatus 404 says that the provider has no such message. Fetching may
// always be repeated.
func (c *Client) Fetch(ctx context.Context, sid string) (Resource, error) {
	return c.resource(c.exchange(ctx, get(c.messages+"/"+url.PathEscape(sid)+".json")))
}

// List returns at most limit messages from one address to another, newest first.
// An empty to or from does not filter. It never filters by the date of sending:
// a message still queued has none (Twilio), and the one whose answer was lost
// may be queued. On error, always a *Failure, there is no partial list, which
// could pass for proof that a message does not exist. Each page is a call with
// a time-out of its own; listing may always be repeated.
func (c *Client) List(ctx context.Context, to, from string, limit int) ([]Resource, error) {
	var found []Resource
	next := c.messages + ".json?" + listQuery(to, from, limit)
	for len(found) < limit && next != "" {
		r := c.exchange(ctx, get(next))
		if f := c.judge(r); f != nil {
			return nil, f
		}
		page, err := decodePage(r.body)
		if err != nil {
			return nil, c.unreadable(r, err)
		}
		found = append(found, page.resources...)
		next = ""
		if page.next != "" && len(page.resources) > 0 {
			next = c.baseURL + page.next
		}
	}
	// The order of the provider's list is not documented.
	slices.SortStableFunc(found, func(a, b Resource) int { return b.DateCreated.Compare(a.DateCreated) })
	return found[:min(len(found), max(0, limit))], nil
}

func listQuery(to, from string, limit int) string {
	q := url.Values{"PageSize": {strconv.Itoa(min(limit, maxPageSize))}}
	if to != "" {
		q.Set("To", to)
	}
	if from != "" {
		q.Set("From", from)
	}
	return q.Encode()
}

func (c *Client) resource(r reply) (Resource, error) {
	if f := c.judge(r); f != nil {
		return Resource{}, f
	}
	res, err := decodeResource(r.body)
	if err != nil {
		return Resource{}, c.unreadable(r, err)
	}
	return res, nil
}
