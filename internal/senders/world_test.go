package senders_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/senders"
	"github.com/sluicehq/sluice/ratelimit"
)

// The gate of the product is one of the registry's.
var _ senders.Gate = (*ratelimit.Gate)(nil)

const (
	sender   = "15550001111"
	customer = "whatsapp:+491700000001"
)

var noon = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// world is a registry over facts in memory and a gate that keeps what it was
// told, by the rules of [senders.Gate].
type world struct {
	*senders.Registry
	facts *facts
	gate  *gate
	now   time.Time
}

func newWorld(t *testing.T, cfg senders.Config) *world {
	t.Helper()
	w := &world{facts: &facts{stored: map[string]senders.Fact{}}, gate: newGate(), now: noon}
	cfg.Now = func() time.Time { return w.now }
	w.Registry = senders.New(w.facts, w.gate, cfg)
	return w
}

// refill tells a new, empty gate everything, as a follower of the facts does.
func (w *world) refill(t *testing.T, cfg senders.Config) *gate {
	t.Helper()
	fresh := newGate()
	r := senders.New(w.facts, fresh, cfg)
	all, err := w.facts.List(t.Context(), "")
	require.NoError(t, err)
	for _, f := range all {
		require.NoError(t, r.Restore(t.Context(), f.Key, f.Data, f.Revision))
	}
	return fresh
}

type facts struct {
	mu     sync.Mutex
	last   uint64
	stored map[string]senders.Fact
	// race, when set, runs between a caller's Get and its Put.
	race func()
	// fail, when set, is every operation's error.
	fail error
}

func (f *facts) Get(_ context.Context, key string) ([]byte, uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fact := f.stored[key]
	return fact.Data, fact.Revision, f.fail
}

func (f *facts) Put(_ context.Context, key string, data []byte, expected uint64) (uint64, error) {
	if race := f.race; race != nil {
		f.race = nil
		race()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return 0, f.fail
	}
	if rev := f.stored[key].Revision; rev != expected {
		return 0, fmt.Errorf("key %s at %d: %w", key, rev, senders.ErrStale)
	}
	f.last++
	f.stored[key] = senders.Fact{Key: key, Data: data, Revision: f.last}
	return f.last, nil
}

func (f *facts) List(_ context.Context, prefix string) ([]senders.Fact, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []senders.Fact
	for key, fact := range f.stored {
		if strings.HasPrefix(key, prefix) {
			found = append(found, fact)
		}
	}
	return found, f.fail
}

type consent struct {
	Choice ratelimit.Choice
	At     time.Time
}

type gate struct {
	mu       sync.Mutex
	versions map[string]uint64
	told     int
	down     error

	senders  map[string]ratelimit.SenderPolicy
	pools    map[string]ratelimit.PoolPolicy
	consents map[string]consent
	aliases  map[string]string
	paused   string
}

func newGate() *gate {
	return &gate{
		versions: map[string]uint64{}, senders: map[string]ratelimit.SenderPolicy{},
		pools: map[string]ratelimit.PoolPolicy{}, consents: map[string]consent{}, aliases: map[string]string{},
	}
}

// newer runs set when version is above the one known for key.
func (g *gate) newer(ctx context.Context, key string, version uint64, set func()) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if g.down != nil {
		return g.down
	}
	g.told++
	if version > g.versions[key] {
		g.versions[key] = version
		set()
	}
	return nil
}

func (g *gate) SetSender(ctx context.Context, sender string, p ratelimit.SenderPolicy, version uint64) error {
	return g.newer(ctx, "sender "+sender, version, func() { g.senders[sender] = p })
}

func (g *gate) SetPool(ctx context.Context, pool string, p ratelimit.PoolPolicy, version uint64) error {
	return g.newer(ctx, "pool "+pool, version, func() { g.pools[pool] = p })
}

func (g *gate) SetAlias(ctx context.Context, alias, customer string, version uint64) error {
	return g.newer(ctx, "alias "+alias, version, func() { g.aliases[alias] = customer })
}

func (g *gate) SetConsent(ctx context.Context, customer, sender string, c ratelimit.Choice, at time.Time, version uint64) error {
	key := customer + " " + sender
	return g.newer(ctx, key, version, func() { g.consents[key] = consent{c, at} })
}

func (g *gate) SetPause(ctx context.Context, paused bool, reason string, version uint64) error {
	return g.newer(ctx, "pause", version, func() { g.paused = fmt.Sprint(paused, " ", reason) })
}
