package dashboard

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/forecast"
	"github.com/sluicehq/sluice/internal/senders"
	"github.com/sluicehq/sluice/ratelimit"
)

// Bounds of one plan.
const (
	MaxPlan     = 1_000_000 // customers
	maxPlanBody = 64 << 20  // bytes
)

// planRequest asks what would become of one message to each customer.
type planRequest struct {
	From     string            `json:"from"` // a sender's address, or MG…
	To       []string          `json:"to"`
	Category delivery.Category `json:"category"` // default utility
}

// plan is what would become of them. New + Known + InWindow + OptedOut is the
// number of customers asked about.
type plan struct {
	New      int `json:"new"`       // need a place in the messaging limit
	Known    int `json:"known"`     // have one: counted in this window already
	InWindow int `json:"in_window"` // may be written to freely, and count nowhere
	OptedOut int `json:"opted_out"` // get nothing
	// FreeNow is how many places are left for new ones now, after what waits
	// before them.
	FreeNow senders.Limit `json:"free_now"`
	// FinishesAt is when the last one is out; null if never, or not within ten
	// years, or if there is nothing to send.
	FinishesAt *time.Time `json:"finishes_at"`
}

func (a *API) plan(r *http.Request) (any, error) {
	request, err := readPlan(r)
	if err != nil {
		return nil, err
	}
	sender := senderToken(request.From)
	pool, first, again := a.cfg.DefaultPool(sender), []string{}, []string{}
	seen := make(map[string]struct{}, len(request.To))
	for _, to := range request.To {
		customer := delivery.CustomerKey(to)
		if _, repeated := seen[customer]; repeated {
			again = append(again, customer)
			continue
		}
		seen[customer] = struct{}{}
		first = append(first, customer)
	}
	repeated, err := a.cfg.Limits.Preview(r.Context(), sender, pool, again)
	if err != nil {
		return nil, err
	}
	preview, err := a.cfg.Limits.Preview(r.Context(), sender, pool, first)
	if err != nil {
		return nil, err
	}
	limits, err := a.cfg.Limits.Limits(r.Context(), preview.Pool.Pool)
	if err != nil {
		return nil, err
	}
	parked, err := a.cfg.Room.Counts(r.Context())
	if err != nil {
		return nil, err
	}
	// The first message to a customer makes the customer known to the next.
	p := plan{
		New: preview.New, Known: preview.Known + repeated.Known + repeated.New,
		InWindow: preview.InWindow + repeated.InWindow, OptedOut: preview.OptedOut + repeated.OptedOut,
	}
	return a.schedule(r, p, joined(limits, preview), parked, delivery.Job{Category: request.Category}.WithDefaults("").Priority)
}

// schedule works out when the plan's jobs would be out, if they were published
// now, behind all that waits already.
func (a *API) schedule(r *http.Request, p plan, pool ratelimit.PoolLimits, parked parkedJobs, priority delivery.Priority) (plan, error) {
	waiting, rank := lanesOf(pool, parked), rankOf(priority)
	mine := []forecast.Lane{
		{Priority: rank, After: true, Jobs: int64(p.New)},
		{Priority: rank, After: true, Jobs: int64(p.Known + p.InWindow), Placed: true},
	}
	lanes := append(mine, waiting...)
	p.FreeNow = freeNow(pool, waiting, rank)
	if pool.Paused || pool.Closed {
		return p, nil
	}
	f, err := a.forecast(r.Context(), pool, lanes)
	if err != nil {
		return plan{}, err
	}
	p.FinishesAt = orNull(forecast.Last(mine, f.Drain(lanes)))
	return p, nil
}

// freeNow is how many new customers find a place now: the plan's sender is the
// pool's first one.
func freeNow(pool ratelimit.PoolLimits, waiting []forecast.Lane, rank int) senders.Limit {
	own, shared := pool.Senders[0].Free, pool.Free
	if shared != ratelimit.Unlimited && rank > 0 {
		shared = max(0, shared-pool.Reserved)
	}
	for _, l := range waiting {
		if l.Priority > rank {
			continue
		}
		if shared != ratelimit.Unlimited {
			shared = max(0, shared-int(min(l.Jobs, int64(shared))))
		}
		if own != ratelimit.Unlimited && l.Sender == 0 {
			own = max(0, own-int(min(l.Jobs, int64(own))))
		}
	}
	if own == ratelimit.Unlimited || shared == ratelimit.Unlimited {
		return senders.Limit(max(own, shared))
	}
	return senders.Limit(min(own, shared))
}

// joined is a pool with the plan's sender as its first, whether or not that
// one has ever sent.
func joined(pool ratelimit.PoolLimits, p ratelimit.Preview) ratelimit.PoolLimits {
	all := []ratelimit.SenderLimits{p.Sender}
	for _, s := range pool.Senders {
		if s.Sender != p.Sender.Sender {
			all = append(all, s)
		}
	}
	pool = p.Pool
	pool.Senders = all
	return pool
}

func rankOf(priority delivery.Priority) int {
	for rank, p := range delivery.Priorities() {
		if p == priority {
			return rank
		}
	}
	return len(delivery.Priorities())
}

// readPlan reads and checks the body. Numbers without "whatsapp:" are
// understood.
func readPlan(r *http.Request) (planRequest, error) {
	var p planRequest
	if !isJSON(r.Header.Get("Content-Type")) {
		return p, problem{http.StatusUnsupportedMediaType, "unsupported_media_type", "send Content-Type: application/json", ""}
	}
	body := http.MaxBytesReader(nil, r.Body, maxPlanBody)
	decoder := json.NewDecoder(body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&p); err != nil {
		return p, badField("", "must be one JSON object as in {\"from\":\"whatsapp:+15550001111\",\"to\":[\"whatsapp:+15552223333\"]}, at most 64 MiB")
	}
	if _, err := decoder.Token(); err != io.EOF {
		return p, badField("", "must be one JSON object and nothing after it")
	}
	return p, p.check()
}

func (p *planRequest) check() error {
	switch {
	case senderToken(p.From) == "":
		return badField("from", "must be a sender as in whatsapp:+15550001111 or a messaging service sid")
	case len(p.To) == 0:
		return badField("to", "must name at least one customer")
	case len(p.To) > MaxPlan:
		return badField("to", "must name at most 1,000,000 customers")
	}
	switch p.Category {
	case "", delivery.Authentication, delivery.Utility, delivery.Marketing, delivery.Service:
	default:
		return badField("category", "must be authentication, utility, marketing or service")
	}
	for i, to := range p.To {
		if p.To[i] = address(to); !delivery.ValidCustomer(p.To[i]) {
			return badField("to", fmt.Sprintf("entry %d is not an address as in whatsapp:+15551234567", i+1))
		}
	}
	return nil
}
