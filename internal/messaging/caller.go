package messaging

import (
	"cmp"
	"net/http"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// caller makes the calls of one account to one of the provider's APIs. Every
// client rests on it, so that whatever it does to be sure about the fate of a
// message holds for all of them.
type caller struct {
	api           string // its name, for people
	baseURL       string
	authorization string
	timeout       time.Duration
	limiter       *rate.Limiter
	throttle      *throttle
	catalogue     *Catalogue
	transport     *http.Transport
	now           func() time.Time
}

func newCaller(api, vendorURL string, account Account, cfg Config) *caller {
	timeout := cmp.Or(cfg.Timeout, defaultTimeout)
	catalogue := cfg.Catalogue
	if catalogue == nil {
		catalogue = DefaultCatalogue()
	}
	conns := cmp.Or(cfg.MaxConns, defaultMaxConns)
	return &caller{
		api:           api,
		baseURL:       strings.TrimRight(cmp.Or(cfg.BaseURL, vendorURL), "/"),
		authorization: account.authorization(),
		timeout:       timeout,
		// A burst of one spaces calls evenly: the provider counts concurrent
		// requests, so a burst after a pause is what it would refuse.
		limiter:   rate.NewLimiter(cmp.Or(cfg.RequestsPerSecond, rate.Inf), 1),
		throttle:  newThrottle(conns),
		catalogue: catalogue,
		transport: newTransport(conns, timeout, cfg.DialContext),
		now:       time.Now,
	}
}

// Close drops the idle connections. Calls under way are not disturbed.
func (c *caller) Close() { c.transport.CloseIdleConnections() }

// call is one request: a form or JSON in the body of a POST, nothing in that of
// any other.
type call struct {
	method, target    string
	contentType, body string
}

const (
	formType = "application/x-www-form-urlencoded"
	jsonType = "application/json"
)

func get(target string) call { return call{method: http.MethodGet, target: target} }
