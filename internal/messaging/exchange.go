package messaging

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"time"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 1 << 20

// maxRetryAfter bounds what a Retry-After header can ask for.
const maxRetryAfter = 24 * time.Hour

var errTooLong = errors.New("the answer is longer than 1 MiB")

// reply is what is known after one call: an answer, part of one, or none.
type reply struct {
	written    bool // a POST was begun on a connection
	status     int  // 0: no answer
	requestID  string
	retryAfter time.Duration
	body       []byte
	err        error // why there is no answer, or none that could be read whole
}

// exchange makes one call within the client's time-out and reads the answer
// whole. It uses the transport itself: no redirect is ever followed, and no
// error repeats the URL, whose query may hold a customer's address.
func (c *caller) exchange(ctx context.Context, what call) reply {
	late := fmt.Errorf("not answered within %s: %w", c.timeout, context.DeadlineExceeded)
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, late)
	defer cancel()

	// Waiting is part of the call's time: a message whose turn does not come in
	// it has certainly not been sent.
	mine, err := c.throttle.begin(ctx)
	if err != nil {
		return reply{err: fmt.Errorf("wait for others of the account's calls to end: %w", err)}
	}
	refused := false
	defer func() { c.throttle.end(mine, refused) }()
	if err := c.limiter.Wait(ctx); err != nil {
		return reply{err: fmt.Errorf("wait for the local request rate: %w", err)}
	}
	req, err := http.NewRequestWithContext(ctx, what.method, what.target, nil)
	if err != nil {
		return reply{err: errors.New("the URL of the API is malformed: check its base URL")}
	}
	req.Header.Set("Authorization", c.authorization)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "sluice")
	if what.method != http.MethodPost {
		r := c.roundTrip(req)
		refused = r.status == http.StatusTooManyRequests
		return r
	}

	// No Idempotency-Key: the provider ignores it, and net/http takes it as a
	// licence to repeat the POST.
	p := &post{form: what.body, maySend: func() error { return c.stillInTime(ctx) }}
	req = req.WithContext(httptrace.WithClientTrace(ctx, p.trace()))
	req.Header.Set("Content-Type", what.contentType)
	req.Body, req.GetBody, req.ContentLength = p.body(), p.again, int64(len(what.body))
	r := c.roundTrip(req)
	refused = r.status == http.StatusTooManyRequests
	unsent, refusal := p.withdraw()
	r.written, r.err = !unsent, cmp.Or(refusal, r.err)
	return r
}

// stillInTime refuses a call whose deadline has passed on the wall clock too:
// in suspend the monotonic clock of the context stands still.
func (c *caller) stillInTime(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if deadline, _ := ctx.Deadline(); !c.now().Round(0).Before(deadline.Round(0)) {
		return fmt.Errorf("the time for sending had passed when a connection was ready: %w", context.DeadlineExceeded)
	}
	return nil
}

func (c *caller) roundTrip(req *http.Request) reply {
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return reply{err: err}
	}
	defer resp.Body.Close()
	// Read to its end, the body gives its connection back; cut off, it costs it.
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = errTooLong
	}
	return reply{
		status:     resp.StatusCode,
		requestID:  resp.Header.Get("Twilio-Request-Id"),
		retryAfter: parseRetryAfter(resp.Header.Get("Retry-After"), c.now()),
		body:       body,
		err:        err,
	}
}

// parseRetryAfter reads a Retry-After header, seconds or an HTTP date. It is 0
// when the header is absent, malformed or past, and at most a day.
func parseRetryAfter(value string, now time.Time) time.Duration {
	seconds, err := strconv.ParseUint(value, 10, 31)
	if err == nil || errors.Is(err, strconv.ErrRange) {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(0, at.Sub(now)), maxRetryAfter)
}
