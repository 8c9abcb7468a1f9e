package senders

import (
	"context"
	"errors"
	"time"

	"github.com/sluicehq/sluice/ratelimit"
)

var (
	// ErrStale is what [Facts.Put] returns when the fact has another revision
	// than the one expected.
	ErrStale = errors.New("fact has changed in the meantime")
	// ErrNotFound: no such sender or pool is registered.
	ErrNotFound = errors.New("not registered")
	// ErrBusy: others kept changing the same fact. Nothing was stored; try again.
	ErrBusy = errors.New("changed by others all the time: try again")
	// ErrUntold: the change is stored, but the gate could not be told. It holds
	// as soon as the follower of the facts has told it; putting it again is
	// harmless and tells it too.
	ErrUntold = errors.New("stored, but the gate could not be told yet")
	// ErrUnannounced: the change is stored and holds, but its event is not in the
	// log. Putting it again is harmless and announces it under the same id.
	ErrUnannounced = errors.New("stored, but its event could not be put into the log")
	// ErrOlder: a later statement of the customer stands.
	ErrOlder = errors.New("a later statement stands")
	// ErrMalformed: a stored fact cannot be read. It was not applied.
	ErrMalformed = errors.New("malformed fact")
)

// Fact is the last value stored under a key.
type Fact struct {
	Key      string
	Data     []byte
	Revision uint64 // grows with every change of any fact, from 1
}

// Facts stores the last value per key, durably before Put returns. Keys are of
// the characters [A-Za-z0-9_.-]. Safe for concurrent use.
type Facts interface {
	// Get returns the last value and its revision; revision 0 and no error
	// where there is none.
	Get(ctx context.Context, key string) (data []byte, rev uint64, err error)
	// Put stores data if the key's revision still is expected (0: none yet),
	// else it returns an error that is [ErrStale]. On any other error the value
	// may or may not have been stored.
	Put(ctx context.Context, key string, data []byte, expected uint64) (rev uint64, err error)
	// List returns every fact whose key starts with prefix, in any order.
	List(ctx context.Context, prefix string) ([]Fact, error)
}

// Gate is told what holds from its next admission on. A version is the
// revision of the fact behind it, and a version that is not above the one the
// gate has changes nothing, so that facts may be told late, twice and in any
// order. A consent is ordered by its time before its version.
type Gate interface {
	SetSender(ctx context.Context, sender string, p ratelimit.SenderPolicy, version uint64) error
	SetPool(ctx context.Context, pool string, p ratelimit.PoolPolicy, version uint64) error
	SetConsent(ctx context.Context, customer, sender string, c ratelimit.Choice, at time.Time, version uint64) error
	SetAlias(ctx context.Context, alias, customer string, version uint64) error
	SetPause(ctx context.Context, paused bool, reason string, version uint64) error
}
