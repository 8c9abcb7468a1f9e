package senders

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sluicehq/sluice/delivery"
)

// Sender returns a sender by its token: a registered one, or one that jobs
// came from, which follows the defaults; otherwise [ErrNotFound].
func (r *Registry) Sender(ctx context.Context, token string) (Sender, error) {
	if !delivery.ValidSenderToken(token) {
		return Sender{}, refuse("sender", mustSender)
	}
	f, err := read[senderFact](ctx, r, senderKey(token))
	if errors.Is(err, ErrNotFound) {
		return r.seen(ctx, token, err)
	}
	if err != nil {
		return Sender{}, err
	}
	return r.cfg.view(token, f), nil
}

func (r *Registry) seen(ctx context.Context, token string, notFound error) (Sender, error) {
	if r.cfg.Seen == nil {
		return Sender{}, notFound
	}
	tokens, err := r.cfg.Seen(ctx)
	if err != nil {
		return Sender{}, err
	}
	if !slices.Contains(tokens, token) {
		return Sender{}, notFound
	}
	return r.cfg.unregistered(token), nil
}

// Senders lists, by token, the registered senders and those that jobs came
// from without being registered.
func (r *Registry) Senders(ctx context.Context) ([]Sender, error) {
	list, err := r.registered(ctx)
	if err != nil || r.cfg.Seen == nil {
		return list, err
	}
	tokens, err := r.cfg.Seen(ctx)
	if err != nil {
		return nil, err
	}
	known := make(map[string]bool, len(list))
	for _, s := range list {
		known[s.Token] = true
	}
	for _, token := range tokens {
		if !known[token] && delivery.ValidSenderToken(token) {
			known[token] = true
			list = append(list, r.cfg.unregistered(token))
		}
	}
	slices.SortFunc(list, func(a, b Sender) int { return cmp.Compare(a.Token, b.Token) })
	return list, nil
}

func (r *Registry) registered(ctx context.Context) ([]Sender, error) {
	facts, err := listed[senderFact](ctx, r, senderKey(""))
	if err != nil {
		return nil, err
	}
	senders := make([]Sender, 0, len(facts))
	for _, f := range facts {
		senders = append(senders, r.cfg.view(f.about, f.value))
	}
	return senders, nil
}

// PutSender changes a sender and registers it if it was not. A limit put here
// holds until [FromProvider] is put. Refusals are [*delivery.FieldError];
// [ErrUntold] and [ErrUnannounced] come with the sender as stored.
func (r *Registry) PutSender(ctx context.Context, token string, p Patch) (Sender, error) {
	if err := p.check(); err != nil {
		return Sender{}, err
	}
	return r.changeSender(ctx, token, p.event(token), func(f senderFact) (senderFact, error) { return p.apply(f), nil })
}

// PauseSender stops or resumes a sender's jobs, and registers it if it was
// not. The reason, at most 256 characters, is kept while it is paused.
func (r *Registry) PauseSender(ctx context.Context, token string, paused bool, reason string) (Sender, error) {
	if err := checkReason(reason); err != nil {
		return Sender{}, err
	}
	pause := newPause(paused, reason)
	return r.changeSender(ctx, token, pause.event(delivery.SenderAddress(token)), func(f senderFact) (senderFact, error) {
		f.Paused, f.Reason = pause.Paused, pause.Reason
		return f, nil
	})
}

func (r *Registry) changeSender(ctx context.Context, token string, event delivery.Event, merge func(senderFact) (senderFact, error)) (Sender, error) {
	if !delivery.ValidSenderToken(token) {
		return Sender{}, refuse("sender", mustSender)
	}
	f, err := change(ctx, r, senderKey(token), put[senderFact](event), merge)
	return r.cfg.view(token, f), err
}

// Pool returns a pool that was put or has senders, as [Registry.Senders] lists
// them, else [ErrNotFound].
func (r *Registry) Pool(ctx context.Context, name string) (Pool, error) {
	if !ValidPool(name) {
		return Pool{}, refuse("pool", mustName)
	}
	pools, err := r.Pools(ctx)
	if err != nil {
		return Pool{}, err
	}
	i, found := slices.BinarySearchFunc(pools, name, func(p Pool, name string) int { return cmp.Compare(p.Name, name) })
	if !found {
		return Pool{}, fmt.Errorf("pool %s: %w", name, ErrNotFound)
	}
	return pools[i], nil
}

// Pools lists, by name, the pools that were put or have senders, as
// [Registry.Senders] lists them.
func (r *Registry) Pools(ctx context.Context) ([]Pool, error) {
	members, err := r.members(ctx)
	if err != nil {
		return nil, err
	}
	put, err := listed[poolFact](ctx, r, poolKey(""))
	if err != nil {
		return nil, err
	}
	facts := make(map[string]poolFact, len(put))
	for name := range members {
		facts[name] = poolFact{}
	}
	for _, f := range put {
		facts[f.about] = f.value
	}
	pools := make([]Pool, 0, len(facts))
	for _, name := range slices.Sorted(maps.Keys(facts)) {
		pools = append(pools, r.cfg.pool(name, facts[name], members[name]))
	}
	return pools, nil
}

// members is the senders of each pool: also those that nobody registered have
// their part in its limit.
func (r *Registry) members(ctx context.Context) (map[string][]Sender, error) {
	all, err := r.Senders(ctx)
	if err != nil {
		return nil, err
	}
	members := make(map[string][]Sender)
	for _, s := range all {
		members[s.Pool] = append(members[s.Pool], s)
	}
	return members, nil
}

// PutPool changes a pool and registers it if it was not. A limit put here
// holds until [FromProvider] is put. Refusals are [*delivery.FieldError];
// [ErrUntold] and [ErrUnannounced] come with the pool as stored.
func (r *Registry) PutPool(ctx context.Context, name string, p PoolPatch) (Pool, error) {
	if !ValidPool(name) {
		return Pool{}, refuse("pool", mustName)
	}
	if err := p.check(); err != nil {
		return Pool{}, err
	}
	members, err := r.members(ctx)
	if err != nil {
		return Pool{}, err
	}
	f, err := change(ctx, r, poolKey(name), put[poolFact](p.event(name)), func(f poolFact) (poolFact, error) { return p.apply(f), nil })
	return r.cfg.pool(name, f, members[name]), err
}

// Pause is whether everything is paused, and why.
type Pause struct {
	Paused bool   `json:"paused"`
	Reason string `json:"reason,omitempty"`
}

func newPause(paused bool, reason string) Pause {
	if !paused {
		reason = ""
	}
	return Pause{Paused: paused, Reason: reason}
}

// Pause stops or resumes everything. The reason, at most 256 characters, is
// kept while it is paused.
func (r *Registry) Pause(ctx context.Context, paused bool, reason string) (Pause, error) {
	if err := checkReason(reason); err != nil {
		return Pause{}, err
	}
	next := newPause(paused, reason)
	return change(ctx, r, kindPause, put[Pause](next.event("")), func(Pause) (Pause, error) { return next, nil })
}

// Standing tells whether everything is paused.
func (r *Registry) Standing(ctx context.Context) (Pause, error) {
	pause, err := read[Pause](ctx, r, kindPause)
	if errors.Is(err, ErrNotFound) {
		return Pause{}, nil // nobody has ever paused everything
	}
	return pause, err
}

func checkReason(reason string) error {
	if utf8.RuneCountInString(reason) > maxText {
		return refuse("reason", mustText)
	}
	return nil
}

func senderKey(token string) string { return kindSender + "." + token }
func poolKey(name string) string    { return kindPool + "." + name }

// read returns the fact under key, [ErrNotFound] if there is none.
func read[F any](ctx context.Context, r *Registry, key string) (f F, err error) {
	data, rev, err := r.facts.Get(ctx, key)
	if err != nil {
		return f, fmt.Errorf("read %s: %w", key, err)
	}
	if rev == 0 {
		return f, fmt.Errorf("%s: %w", strings.Replace(key, ".", " ", 1), ErrNotFound)
	}
	return decode[F](key, data)
}
