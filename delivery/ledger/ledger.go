package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sluicehq/sluice/delivery"
)

// DefaultRetention is how long the record of an ended job is kept, see [Options].
const DefaultRetention = 168 * time.Hour

// Options adjust a ledger; the zero value is ready to use.
type Options struct {
	// Retention is how long a record is kept after its job's end, or after the
	// last news of a message that the provider has, and an event whose SID no job
	// has named after it came. Default 168h.
	Retention time.Duration
	// Twice, if set, is told of every message that a job has beyond its first
	// one, see [delivery.Record.Twice], until the record has its duplicate event;
	// that may be more than once.
	Twice func(ctx context.Context, r delivery.Record, sid string) error
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Ledger is the state of all jobs. It is safe for concurrent use, by any
// number of processes on one Redis.
type Ledger struct {
	rdb       redis.UniversalClient
	retention time.Duration
	now       func() time.Time
	twice     func(ctx context.Context, r delivery.Record, sid string) error
	nextTrim  atomic.Int64 // ms; see trimIfDue
}

// New makes a ledger on rdb, which stays the caller's to close.
func New(rdb redis.UniversalClient, o Options) *Ledger {
	l := &Ledger{rdb: rdb, retention: cmp.Or(o.Retention, DefaultRetention), now: o.Now, twice: o.Twice}
	if l.now == nil {
		l.now = time.Now
	}
	return l
}

// Get reads one record with its timeline. It is not ok for a job that nothing
// is known of, or no more.
func (l *Ledger) Get(ctx context.Context, id string) (record delivery.Record, ok bool, err error) {
	entries, err := l.load(ctx, []string{id})
	if err != nil {
		return delivery.Record{}, false, fmt.Errorf("ledger: read job: %w", err)
	}
	e := entries[id]
	if e.record.Status == "" || e.gone(l.now()) {
		return delivery.Record{}, false, nil
	}
	return e.record, true, nil
}

// BySID finds the job, and the attempt of it, that the provider's SID belongs
// to.
func (l *Ledger) BySID(ctx context.Context, sid string) (job string, attempt int, ok bool, err error) {
	owner, err := l.rdb.Get(ctx, sidKey(sid)).Result()
	if errors.Is(err, redis.Nil) {
		return "", 0, false, nil
	}
	if err == nil {
		job, attempt, err = parseOwner(owner)
	}
	if err != nil {
		return "", 0, false, fmt.Errorf("ledger: find sid: %w", err)
	}
	return job, attempt, true, nil
}

// Counts says how many jobs have each status now; a status without jobs is
// left out. Records past their retention count until they are trimmed, which
// takes about a minute.
func (l *Ledger) Counts(ctx context.Context) (map[delivery.Status]int64, error) {
	cards := make(map[delivery.Status]*redis.IntCmd)
	_, err := l.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, s := range delivery.Statuses() {
			cards[s] = pipe.ZCard(ctx, statusIndex(s).key)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("ledger: count jobs: %w", err)
	}
	counts := make(map[delivery.Status]int64)
	for s, n := range cards {
		if n.Val() > 0 {
			counts[s] = n.Val()
		}
	}
	return counts, nil
}

// Oldest is when the oldest job that is still kept was created, false if there
// is none.
func (l *Ledger) Oldest(ctx context.Context) (at time.Time, ok bool, err error) {
	first, err := l.rdb.ZRangeWithScores(ctx, createdKey, 0, 0).Result()
	if err != nil {
		return time.Time{}, false, fmt.Errorf("ledger: find the oldest job: %w", err)
	}
	if len(first) == 0 {
		return time.Time{}, false, nil
	}
	return time.UnixMicro(int64(first[0].Score)).UTC(), true, nil
}

// ErrMoved is the answer to an applier whose position is not the ledger's:
// Redis was emptied or is an older copy, or another applier was faster. Read
// the position again and apply from there.
var ErrMoved = errors.New("ledger: the position is not where it was left: read it again and apply from there")

// Advance notes that every event of the log from the sequence after from up to
// and including upTo was applied, on top of those up to from. It returns
// ErrMoved unless the ledger stands at from: upon a Redis that lost its records
// in the meantime, the position must not pass entries that are not in it.
//
// Once it returns nil, an applier that starts anew begins after upTo; so it is
// called after Apply. A crash between the two applies events again, to no
// effect.
func (l *Ledger) Advance(ctx context.Context, from, upTo uint64) error {
	if upTo < from {
		return fmt.Errorf("ledger: the position must not go back from %d to %d", from, upTo)
	}
	replies, err := l.runAll(ctx, advanceScript, []call{{
		keys: []string{positionKey},
		args: []any{strconv.FormatUint(from, 10), strconv.FormatUint(upTo, 10)},
	}})
	if err != nil {
		return fmt.Errorf("ledger: advance position: %w", err)
	}
	moved, err := replies[0].Int()
	if err != nil {
		return fmt.Errorf("ledger: advance position: %w", err)
	}
	if moved == 0 {
		return ErrMoved
	}
	return nil
}

// Position is the log sequence up to which events were applied, 0 at first.
func (l *Ledger) Position(ctx context.Context) (uint64, error) {
	at, err := l.rdb.Get(ctx, positionKey).Uint64()
	if err != nil && !errors.Is(err, redis.Nil) {
		return 0, fmt.Errorf("ledger: read position: %w", err)
	}
	return at, nil
}

// owner is the value kept under a SID.
func owner(job string, attempt int) string { return strconv.Itoa(attempt) + ":" + job }

func parseOwner(s string) (job string, attempt int, err error) {
	number, job, _ := strings.Cut(s, ":")
	if attempt, err = strconv.Atoi(number); err != nil {
		return "", 0, fmt.Errorf("owner %q of a sid is not <attempt>:<job>: rebuild the ledger from the log", s)
	}
	return job, attempt, nil
}
