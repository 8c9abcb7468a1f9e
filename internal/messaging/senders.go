package messaging

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
)

const (
	// sendersPage keeps a page of senders, some 2 KiB each, below maxAnswer.
	// (Twilio allows 1000.)
	sendersPage = 100

	// maxSenders bounds what a provider that never ends its list can cost.
	maxSenders = 100_000
)

// SendersClient calls the Senders API (v2) for one account. It is safe for
// concurrent use. Reading may always be repeated; registering a sender is not
// idempotent, so look for it in the list after an unclear outcome.
type SendersClient struct {
	*caller
	senders string // URL of the senders
}

// NewSendersClient returns a client for account. It makes no call.
func NewSendersClient(account Account, cfg Config) *SendersClient {
	c := newCaller("senders api", SendersURL, account, cfg)
	return &SendersClient{caller: c, senders: c.baseURL + "/v2/Channels/Senders"}
}

// Register creates a sender. It is CREATING then and online some minutes
// later, or PENDING_VERIFICATION if its number is not the provider's. On error,
// always a *Failure.
func (c *SendersClient) Register(ctx context.Context, r SenderRequest) (ChannelSender, error) {
	return c.one(c.exchange(ctx, call{http.MethodPost, c.senders, jsonType, r.encode()}))
}

// Fetch returns the sender sid as it stands. On error, always a *Failure.
func (c *SendersClient) Fetch(ctx context.Context, sid string) (ChannelSender, error) {
	return c.one(c.exchange(ctx, get(c.sender(sid))))
}

// Update changes what r sets of a sender and keeps the rest. On error, always
// a *Failure.
func (c *SendersClient) Update(ctx context.Context, sid string, r SenderRequest) (ChannelSender, error) {
	r.Address = ""
	return c.one(c.exchange(ctx, call{http.MethodPost, c.sender(sid), jsonType, r.encode()}))
}

// Verify hands in the code that the sender's number received. On error, always
// a *Failure.
func (c *SendersClient) Verify(ctx context.Context, sid, code string) (ChannelSender, error) {
	return c.Update(ctx, sid, SenderRequest{Configuration: &SenderConfiguration{VerificationCode: code}})
}

// RequestCode has a new code sent by sms or voice. On error, always a
// *Failure.
func (c *SendersClient) RequestCode(ctx context.Context, sid, method string) (ChannelSender, error) {
	return c.Update(ctx, sid, SenderRequest{Configuration: &SenderConfiguration{VerificationMethod: method}})
}

// Delete removes a sender. On error, always a *Failure.
func (c *SendersClient) Delete(ctx context.Context, sid string) error {
	r := c.exchange(ctx, call{method: http.MethodDelete, target: c.sender(sid)})
	if f := c.judge(r); f != nil {
		return f
	}
	return nil
}

// List returns every WhatsApp sender of the account, in the provider's order.
// On error, always a *Failure, there is no partial list, which could pass for
// proof that a sender does not exist. Each page is a call with a time-out of
// its own.
func (c *SendersClient) List(ctx context.Context) ([]ChannelSender, error) {
	var all []ChannelSender
	query := url.Values{"Channel": {"whatsapp"}, "PageSize": {strconv.Itoa(sendersPage)}}.Encode()
	for query != "" {
		r := c.exchange(ctx, get(c.senders+"?"+query))
		if f := c.judge(r); f != nil {
			return nil, f
		}
		page, err := decodeSenderPage(r.body)
		if err == nil && len(all) > maxSenders {
			err = errors.New("the list does not end")
		}
		if err != nil {
			return nil, c.unreadable(r, err)
		}
		all = append(all, page.senders...)
		query = page.next
		if len(page.senders) == 0 {
			query = ""
		}
	}
	return all, nil
}

func (c *SendersClient) sender(sid string) string { return c.senders + "/" + url.PathEscape(sid) }

func (c *SendersClient) one(r reply) (ChannelSender, error) {
	if f := c.judge(r); f != nil {
		return ChannelSender{}, f
	}
	s, err := decodeSender(r.body)
	if err != nil {
		return ChannelSender{}, c.unreadable(r, err)
	}
	return s, nil
}
