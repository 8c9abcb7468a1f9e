package senders

import (
	"encoding/json"
	"errors"
	"strconv"

	"github.com/sluicehq/sluice/ratelimit"
)

// Limit is how many different customers may be written to within a window,
// outside their service windows. 0 lets no new customer in.
type Limit int

const (
	// Unlimited is Meta's highest tier: no bound.
	Unlimited Limit = ratelimit.Unlimited
	// FromProvider stands in a [Patch] or a [PoolPatch] only: forget the limit
	// put by hand.
	FromProvider Limit = -2
	// MaxLimit is the largest number a limit can have. Meta's largest tier
	// below unlimited is 100,000.
	MaxLimit Limit = 1_000_000_000
)

const (
	wordUnlimited = "unlimited"
	wordProvider  = "provider"
)

var errLimit = errors.New("not a limit")

// String is the number, "unlimited" or "provider".
func (l Limit) String() string {
	switch l {
	case Unlimited:
		return wordUnlimited
	case FromProvider:
		return wordProvider
	default:
		return strconv.Itoa(int(l))
	}
}

// MarshalJSON writes a number, "unlimited" or "provider".
func (l Limit) MarshalJSON() ([]byte, error) {
	if l == Unlimited || l == FromProvider {
		return json.Marshal(l.String())
	}
	return json.Marshal(int(l))
}

// UnmarshalJSON takes an integer from 0 to [MaxLimit], "unlimited" and
// "provider".
func (l *Limit) UnmarshalJSON(data []byte) error {
	var word string
	if json.Unmarshal(data, &word) == nil && word != "" {
		switch word {
		case wordUnlimited:
			*l = Unlimited
		case wordProvider:
			*l = FromProvider
		default:
			return errLimit
		}
		return nil
	}
	n, err := strconv.Atoi(string(data))
	if err != nil || n < 0 || Limit(n) > MaxLimit {
		return errLimit
	}
	*l = Limit(n)
	return nil
}

// larger is the looser of two limits.
func larger(a, b Limit) Limit {
	if a == Unlimited || b == Unlimited {
		return Unlimited
	}
	return max(a, b)
}
