package senders

import "github.com/sluicehq/sluice/ratelimit"

// Pool is a pool as it stands: senders that share one messaging limit, as the
// numbers of one Meta business portfolio do.
type Pool struct {
	Name      string   `json:"pool"`
	Limit     Limit    `json:"limit"`
	LimitFrom Origin   `json:"limit_from"`
	Reserve   float64  `json:"reserve"` // share of the limit kept for high priority, 0 to 1
	Senders   []string `json:"senders"` // tokens
}

// PoolPatch changes the fields that are set and keeps the rest.
type PoolPatch struct {
	Limit   *Limit // may be [Unlimited] or [FromProvider]
	Reserve *float64
}

// poolFact is what is stored: what was put by hand and nothing else.
type poolFact struct {
	Limit   *Limit  `json:"limit,omitempty"`
	Reserve float64 `json:"reserve,omitempty"`
}

func (p PoolPatch) check() error {
	switch {
	case p.Limit != nil && (*p.Limit < FromProvider || *p.Limit > MaxLimit):
		return refuse("limit", mustLimit)
	case p.Reserve != nil && !(*p.Reserve >= 0 && *p.Reserve <= 1): // NaN fails both
		return refuse("reserve", mustShare)
	}
	return nil
}

func (p PoolPatch) apply(f poolFact) poolFact {
	f.Limit = merged(f.Limit, p.Limit)
	set(&f.Reserve, p.Reserve)
	return f
}

func (f poolFact) policy() ratelimit.PoolPolicy {
	return ratelimit.PoolPolicy{Limit: (*int)(f.Limit), Reserve: f.Reserve}
}

// pool is the view of a fact with the senders that belong to it.
func (c Config) pool(name string, f poolFact, members []Sender) Pool {
	p := Pool{Name: name, Limit: c.DefaultLimit, LimitFrom: ByDefault, Reserve: f.Reserve, Senders: []string{}}
	for i, s := range members {
		p.Senders = append(p.Senders, s.Token)
		if i == 0 {
			p.Limit = s.Limit
		}
		if s.Registered {
			p.LimitFrom = BySenders
		}
		p.Limit = larger(p.Limit, s.Limit)
	}
	if f.Limit != nil {
		p.Limit, p.LimitFrom = *f.Limit, ByHand
	}
	return p
}
