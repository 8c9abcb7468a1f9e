package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// SenderPolicy is what is set for one sender. It holds for the very next
// admission, everywhere.
type SenderPolicy struct {
	// Pool is the portfolio whose limit the sender shares; empty: the pool
	// that its requests name. The customers that the sender has counted come
	// with it, and until the last of them is counted in the new pool, that
	// parks jobs that need a place in it. The pool it leaves keeps counting
	// them until they age out.
	Pool string
	// Limit is how many different customers per window. Nil: the default;
	// 0: no new ones; Unlimited.
	Limit *int
	// MPS is the messages a second, may be fractional. 0: the default.
	MPS float64
	// Paused parks every job of the sender, with PausedReason.
	Paused       bool
	PausedReason string
	// RequireOptIn suppresses jobs for customers who have not said "in".
	RequireOptIn bool
}

// PoolPolicy is what is set for one pool.
type PoolPolicy struct {
	// Limit is shared by the pool's senders. Nil: the largest of theirs.
	Limit *int
	// Reserve is the share of the limit, 0 to 1, that only jobs of high
	// priority may use. The reserved number is rounded up.
	Reserve float64
	// Paused parks every job of the pool, with PausedReason.
	Paused       bool
	PausedReason string
	// Closed parks every job of the pool while its window is incomplete.
	Closed bool
}

// SetSender sets a sender's policy. A version that is not above the stored one
// changes nothing, so the policies' stream may be replayed at any time: use
// the stream sequence. It works while the gate is closed.
func (g *Gate) SetSender(ctx context.Context, sender string, p SenderPolicy, version uint64) error {
	switch {
	case sender == "":
		return errors.New("set sender: sender must be set")
	case !validMPS(p.MPS):
		return fmt.Errorf("set sender: mps %v: give messages a second, or 0 for the default", p.MPS)
	case !validLimit(p.Limit):
		return fmt.Errorf("set sender: limit %d: give a number of customers, or Unlimited", *p.Limit)
	}
	reply, err := g.ask(ctx, g.scripts.sender, []string{senderKey(sender)}, sender, p.Pool, limitText(p.Limit),
		mpsText(p.MPS), flag(p.Paused), p.PausedReason, flag(p.RequireOptIn), versionText(version))
	if err != nil {
		return err
	}
	if p.Pool != "" && reply == int64(2) {
		return g.moveOn(ctx, p.Pool)
	}
	return nil
}

// moveOn brings the customers of senders that have joined a pool into its
// window. A crash on the way, or an error, leaves the rest to the admissions and
// reservations that ask for the pool: each takes the move a step further.
func (g *Gate) moveOn(ctx context.Context, pool string) error {
	for {
		reply, err := g.ask(ctx, g.scripts.moveOn, []string{poolKey(pool)}, pool)
		if err != nil {
			return err
		}
		moving, err := decodeBool(reply)
		if err != nil || !moving {
			return err
		}
	}
}

// SetPool sets a pool's policy, with versions as in SetSender.
func (g *Gate) SetPool(ctx context.Context, pool string, p PoolPolicy, version uint64) error {
	switch {
	case pool == "":
		return errors.New("set pool: pool must be set")
	case !validLimit(p.Limit):
		return fmt.Errorf("set pool: limit %d: give a number of customers, or Unlimited", *p.Limit)
	case !(p.Reserve >= 0 && p.Reserve <= 1):
		return fmt.Errorf("set pool: reserve %v: give a share from 0 to 1", p.Reserve)
	}
	keys := []string{poolKey(pool), keyPools}
	_, err := g.ask(ctx, g.scripts.pool, keys, pool, limitText(p.Limit),
		strconv.FormatFloat(p.Reserve, 'f', -1, 64),
		flag(p.Paused), p.PausedReason, flag(p.Closed), versionText(version))
	return err
}

// SetPause parks everything, or lets it go on, with versions as in SetSender.
func (g *Gate) SetPause(ctx context.Context, paused bool, reason string, version uint64) error {
	_, err := g.ask(ctx, g.scripts.pause, []string{keyGate}, flag(paused), reason, versionText(version))
	return err
}

// Choice is what a customer has said.
type Choice string

// In allows messages, Out forbids them.
const (
	In  Choice = "in"
	Out Choice = "out"
)

// Everyone stands for all senders in a consent.
const Everyone = "*"

// SetConsent records what a customer has said to a sender, or to Everyone. The
// newest at wins, at the same time the higher version. An Out for all holds
// whatever was said to a single sender, and the other way round: two records,
// and either may forbid.
func (g *Gate) SetConsent(ctx context.Context, customer, sender string, c Choice, at time.Time, version uint64) error {
	if customer == "" || sender == "" || at.IsZero() || (c != In && c != Out) {
		return errors.New(`set consent: customer, sender (or "*"), in or out, and a time must be given`)
	}
	_, err := g.ask(ctx, g.scripts.consent, []string{customerKey(customer)},
		customer, sender, string(c), micros(at), versionText(version))
	return err
}

// Trip parks a sender's jobs until the given time, for a fault that is the
// sender's or the account's and not the job's. It is not a policy: the last
// call wins, a time in the past lifts it, and a Redis that loses its data
// forgets it until the next fault.
func (g *Gate) Trip(ctx context.Context, sender, reason string, until time.Time) error {
	if sender == "" {
		return errors.New("trip: sender must be set")
	}
	_, err := g.ask(ctx, g.scripts.trip, []string{senderKey(sender)}, reason, micros(until))
	return err
}

// CutRegain is how long a cut rate would take to grow back from nothing to all that
// is set.
const CutRegain = 8 * time.Minute

// CutRate halves the rate of a sender that the provider found too fast, never
// below an eighth of what is set. From then on it grows by an eighth of what is
// set each minute, until all is back. sent is when the message that the provider
// objected to was granted, on the gate's clock: one from before the last cut went
// at the rate of before, and cuts nothing. It returns the rate that is left,
// messages a second, and whether it was cut. Like a trip it is no policy: a Redis
// that loses its data forgets it.
func (g *Gate) CutRate(ctx context.Context, sender string, sent time.Time) (mps float64, cut bool, err error) {
	if sender == "" || sent.IsZero() {
		return 0, false, errors.New("cut rate: sender and the time of a grant must be set")
	}
	reply, err := g.ask(ctx, g.scripts.cut, []string{senderKey(sender)}, sender, micros(sent))
	if err != nil {
		return 0, false, err
	}
	return decodeCut(reply)
}

func validLimit(limit *int) bool { return limit == nil || *limit >= Unlimited }

// limitText is a limit as the scripts take it, empty for the default.
func limitText(limit *int) string {
	if limit == nil {
		return ""
	}
	return strconv.Itoa(*limit)
}

// mpsText is a rate as the scripts take it, empty for the default.
func mpsText(mps float64) string {
	if mps == 0 {
		return ""
	}
	return strconv.FormatFloat(mps, 'f', -1, 64)
}

// versionText pads a version so that the scripts can compare it as text: a
// uint64 does not fit Lua's numbers.
func versionText(v uint64) string { return fmt.Sprintf("%020d", v) }
