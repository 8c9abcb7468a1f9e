package dashboard

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/sluicehq/sluice/internal/senders"
	"github.com/sluicehq/sluice/ratelimit"
)

// poolUse is how far a pool's messaging limit is used. Durations are seconds.
type poolUse struct {
	Pool       string        `json:"pool"`
	Limit      senders.Limit `json:"limit"`
	Window     float64       `json:"window"`
	Used       int           `json:"used"`
	Free       senders.Limit `json:"free"`
	Reserved   int           `json:"reserved"`
	NextFreeAt *time.Time    `json:"next_free_at"`
	Parked     byPriority    `json:"parked"`
	DrainsAt   *time.Time    `json:"drains_at"` // see drainsAt
	Senders    []senderUse   `json:"senders"`
}

type byPriority struct {
	High   int64 `json:"high"`
	Normal int64 `json:"normal"`
	Low    int64 `json:"low"`
}

type senderUse struct {
	Sender       string        `json:"sender"`
	Limit        senders.Limit `json:"limit"`
	Used         int           `json:"used"`
	Free         senders.Limit `json:"free"`
	MPS          float64       `json:"mps"`
	EffectiveMPS float64       `json:"effective_mps"` // below mps while the rate is cut
	NextFreeAt   *time.Time    `json:"next_free_at"`
	Paused       bool          `json:"paused"`
	PausedReason string        `json:"paused_reason,omitempty"`
	// PausedUntil is set when the pause ends by itself, after a fault of the
	// sender or its account.
	PausedUntil *time.Time `json:"paused_until,omitempty"`
}

func (a *API) listLimits(r *http.Request) (any, error) {
	names, err := a.cfg.Limits.Pools(r.Context())
	if err != nil {
		return nil, err
	}
	parked, err := a.cfg.Room.Counts(r.Context())
	if err != nil {
		return nil, err
	}
	list := make([]poolUse, 0, len(names))
	for _, name := range names {
		use, err := a.use(r.Context(), name, parked)
		if err != nil {
			return nil, err
		}
		list = append(list, use)
	}
	return map[string]any{"limits": list}, nil
}

func (a *API) getLimits(r *http.Request) (any, error) {
	name := r.PathValue("pool")
	names, err := a.cfg.Limits.Pools(r.Context())
	if err != nil {
		return nil, err
	}
	if !slices.Contains(names, name) {
		return nil, notFound("no policy and no job has named this pool; GET /v1/limits lists them all")
	}
	parked, err := a.cfg.Room.Counts(r.Context())
	if err != nil {
		return nil, err
	}
	return a.use(r.Context(), name, parked)
}

func (a *API) use(ctx context.Context, pool string, parked parkedJobs) (poolUse, error) {
	p, err := a.cfg.Limits.Limits(ctx, pool)
	if err != nil {
		return poolUse{}, err
	}
	drains, err := a.drainsAt(ctx, p, parked)
	if err != nil {
		return poolUse{}, err
	}
	u := poolUse{
		Pool: p.Pool, Limit: senders.Limit(p.Limit), Window: a.cfg.Window.Seconds(),
		Used: p.Used, Free: senders.Limit(p.Free), Reserved: p.Reserved,
		NextFreeAt: orNull(p.NextFreeAt), DrainsAt: orNull(drains),
		Parked: byPriority{
			High: p.Waiting[ratelimit.High], Normal: p.Waiting[ratelimit.Normal], Low: p.Waiting[ratelimit.Low],
		},
		Senders: make([]senderUse, 0, len(p.Senders)),
	}
	for _, s := range p.Senders {
		use := senderUse{
			Sender: s.Sender, Limit: senders.Limit(s.Limit), Used: s.Used, Free: senders.Limit(s.Free),
			MPS: s.MPS, EffectiveMPS: s.EffectiveMPS, NextFreeAt: orNull(s.NextFreeAt),
			Paused: s.Paused, PausedReason: s.PausedReason,
		}
		if s.Paused {
			use.PausedUntil = orNull(s.TrippedUntil)
		}
		u.Senders = append(u.Senders, use)
	}
	return u, nil
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
