package sandbox

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of the provider's webhook client.
const (
	hookTotal   = 15 * time.Second // for all tries of one webhook
	hookConnect = 5 * time.Second
	hookPause   = 100 * time.Millisecond // before the second try, doubled each time
	maxRetries  = 5
)

// webhook is one signed form post.
type webhook struct {
	address   string // without the fragment
	form      url.Values
	signature string
	token     string // I-Twilio-Idempotency-Token: the same on every try
	retry     retryPolicy
	of        leaving
	life      int // of the schedule it left from

	tries int
	began time.Time // first try
}

func newWebhook(address, secret string, form url.Values, token string) webhook {
	bare, fragment, _ := strings.Cut(address, "#")
	return webhook{
		address: bare, form: form, token: token,
		signature: sign(secret, bare, form), retry: parseRetryPolicy(fragment),
	}
}

// failure says how a try went wrong, in the words of the connection overrides.
type failure string

const (
	succeeded failure = ""
	noConnect failure = "ct"
	noAnswer  failure = "rt"
	client4xx failure = "4xx"
	server5xx failure = "5xx"
	otherwise failure = "other" // never retried
)

// retryPolicy is what the fragment of a webhook's URL asks for.
type retryPolicy struct {
	count int
	on    []string
}

// parseRetryPolicy reads rc and rp of a fragment such as "rc=5&rp=all". The
// provider's default, also for values out of range, is one retry and only when
// no connection was made.
func parseRetryPolicy(fragment string) retryPolicy {
	policy := retryPolicy{count: 1, on: []string{string(noConnect)}}
	overrides, err := url.ParseQuery(fragment)
	if err != nil {
		return policy
	}
	if n, err := strconv.Atoi(overrides.Get("rc")); err == nil && n >= 0 && n <= maxRetries {
		policy.count = n
	}
	if on := overrides.Get("rp"); on != "" {
		policy.on = strings.Split(on, ",")
	}
	return policy
}

func (p retryPolicy) wants(f failure, tries int) bool {
	if f == succeeded || f == otherwise || tries > p.count {
		return false
	}
	return slices.Contains(p.on, "all") || slices.Contains(p.on, string(f))
}

// poster posts webhooks.
type poster struct {
	client *http.Client
	log    *slog.Logger
}

func newPoster(workers int, log *slog.Logger) *poster {
	dialer := &net.Dialer{Timeout: hookConnect}
	return &poster{log: log, client: &http.Client{
		Transport: &http.Transport{
			DialContext:         dialer.DialContext,
			TLSHandshakeTimeout: hookConnect,
			MaxIdleConnsPerHost: workers,
			IdleConnTimeout:     time.Minute,
		},
		Timeout: hookTotal,
		// The provider would follow with a GET and lose the form; here a
		// redirect is a failed callback.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// deliver makes one try and returns when the next one is due, if there is one.
// All tries lie within hookTotal of the first.
func (p *poster) deliver(ctx context.Context, hook webhook) (again webhook, due time.Time, ok bool) {
	if hook.tries == 0 {
		hook.began = time.Now()
	}
	hook.tries++
	end := hook.began.Add(hookTotal)
	attempt, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	result, err := p.try(attempt, hook)
	if result == succeeded || ctx.Err() != nil {
		return webhook{}, time.Time{}, false
	}
	due = time.Now().Add(hookPause << (hook.tries - 1))
	ok = hook.retry.wants(result, hook.tries) && due.Before(end)
	p.log.Debug("webhook failed", "sid", hook.form.Get("MessageSid"),
		"failure", string(result), "try", hook.tries, "again", ok, "error", err)
	return hook, due, ok
}

func (p *poster) try(ctx context.Context, hook webhook) (failure, error) {
	connected := false
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected = true },
	})
	body := strings.NewReader(hook.form.Encode())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, hook.address, body)
	if err != nil {
		return otherwise, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	req.Header.Set("User-Agent", "TwilioProxy/1.1")
	req.Header.Set("X-Twilio-Signature", hook.signature)
	req.Header.Set("I-Twilio-Idempotency-Token", hook.token)
	resp, err := p.client.Do(req)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // without the URL
		}
		if connected {
			return noAnswer, err
		}
		return noConnect, err
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection is used again
	return answered(resp.StatusCode), nil
}

func answered(status int) failure {
	switch {
	case status >= 500:
		return server5xx
	case status >= 400:
		return client4xx
	case status >= 300:
		return otherwise
	default:
		return succeeded
	}
}
