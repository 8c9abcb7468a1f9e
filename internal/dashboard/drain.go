package dashboard

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/forecast"
	"github.com/sluicehq/sluice/ratelimit"
)

// parkedJobs counts the waiting room by sender and priority.
type parkedJobs map[string]map[delivery.Priority]int64

// drainsAt estimates when the last job that waits for a pool goes out: zero
// when none waits, and when they never will or not within ten years. It takes
// every parked job to be for a customer of its own, so it is late rather than
// early where customers wait for several.
func (a *API) drainsAt(ctx context.Context, p ratelimit.PoolLimits, parked parkedJobs) (time.Time, error) {
	if p.Paused || p.Closed {
		return time.Time{}, nil
	}
	lanes := lanesOf(p, parked)
	if len(lanes) == 0 {
		return time.Time{}, nil
	}
	pool, err := a.forecast(ctx, p, lanes)
	if err != nil {
		return time.Time{}, err
	}
	return forecast.Last(lanes, pool.Drain(lanes)), nil
}

// lanesOf is what waits for a pool.
func lanesOf(p ratelimit.PoolLimits, parked parkedJobs) (lanes []forecast.Lane) {
	for i, s := range p.Senders {
		for rank, priority := range delivery.Priorities() {
			if n := parked[s.Sender][priority]; n > 0 {
				lanes = append(lanes, forecast.Lane{Sender: i, Priority: rank, Jobs: n})
			}
		}
	}
	return lanes
}

// forecast is a pool as the forecast needs it for some lanes: with the places
// that come back, as far as jobs wait for them.
func (a *API) forecast(ctx context.Context, p ratelimit.PoolLimits, lanes []forecast.Lane) (forecast.Pool, error) {
	var all int64
	bySender := make([]int64, len(p.Senders))
	for _, l := range lanes {
		if !l.Placed {
			all += l.Jobs
			bySender[l.Sender] += l.Jobs
		}
	}
	shared, err := a.window(ctx, p.Pool, "", p.Limit, p.Used, all)
	if err != nil {
		return forecast.Pool{}, err
	}
	f := forecast.Pool{Window: shared, Reserved: int64(p.Reserved), Span: a.cfg.Window + a.cfg.Margin, Now: p.Now}
	for i, s := range p.Senders {
		own, err := a.window(ctx, p.Pool, s.Sender, s.Limit, s.Used, bySender[i])
		if err != nil {
			return forecast.Pool{}, err
		}
		f.Senders = append(f.Senders, forecast.Sender{
			Window: own, From: s.TrippedUntil, Stopped: s.Paused && s.TrippedUntil.IsZero(),
			MPS: s.MPS, Share: s.EffectiveMPS / s.MPS, Regain: ratelimit.CutRegain,
		})
	}
	return f, nil
}

// window reads the places of a limit that jobs may have to wait for. Where all
// of them find one, none is read: how many are taken is enough.
func (a *API) window(ctx context.Context, pool, sender string, limit, used int, jobs int64) (forecast.Window, error) {
	w := forecast.Window{Limit: int64(limit)}
	if limit == ratelimit.Unlimited || jobs == 0 || used == 0 {
		return w, nil
	}
	returns, err := a.cfg.Limits.Returns(ctx, pool, sender, used)
	if err != nil {
		return forecast.Window{}, err
	}
	for _, r := range returns {
		w.Returns = append(w.Returns, forecast.Return{At: r.At, Places: int64(r.Places)})
	}
	return w, nil
}
