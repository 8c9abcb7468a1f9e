package ledger

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	trimChunk = 500         // records removed at a time
	trimEvery = time.Minute // how often an idle look is taken for more
)

// Trim removes up to 500 records that are past their retention, with all that
// points at them, and returns how many it removed. Apply trims as it goes, so
// this is for a ledger that nothing is applied to.
//
// The records are removed here and not by an expiry of their keys because only
// the record knows the indexes it stands in: a key that vanished by itself
// would leave entries and counts that nothing could correct.
func (l *Ledger) Trim(ctx context.Context) (int, error) {
	n, err := l.trim(ctx)
	if err != nil {
		return n, fmt.Errorf("ledger: trim ended jobs: %w", err)
	}
	return n, nil
}

// trimIfDue trims one chunk if the last look left some, or is a minute old.
func (l *Ledger) trimIfDue(ctx context.Context) error {
	now := l.now()
	due := l.nextTrim.Load()
	if now.UnixMilli() < due || !l.nextTrim.CompareAndSwap(due, now.Add(trimEvery).UnixMilli()) {
		return nil
	}
	n, err := l.trim(ctx)
	if n == trimChunk {
		l.nextTrim.Store(0)
	}
	return err
}

func (l *Ledger) trim(ctx context.Context) (int, error) {
	now := l.now()
	ids, err := l.rdb.ZRangeArgs(ctx, redis.ZRangeArgs{
		Key: endsKey, ByScore: true, Start: "-inf", Stop: strconv.FormatInt(now.UnixMilli(), 10), Count: trimChunk,
	}).Result()
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	entries, err := l.load(ctx, ids)
	if err != nil {
		return 0, err
	}
	var calls []call
	for _, id := range ids {
		// A record that lives again since ends was read is left alone.
		if e := entries[id]; e.version == "" || e.gone(now) {
			calls = append(calls, removal(id, e))
		}
	}
	replies, err := l.runAll(ctx, removeScript, calls)
	removed := 0
	for _, reply := range replies {
		if done, _ := reply.Int(); done == 1 {
			removed++
		}
	}
	return removed, err
}

// removal is the run of remove.lua that takes an entry away.
func removal(id string, e entry) call {
	all := indexes(e.record)
	c := call{
		keys: []string{jobKey(id), endsKey, codesKey},
		args: []any{id, e.version, len(all)},
	}
	c.name(all)
	for sid, owner := range e.owners() {
		c.keys = append(c.keys, sidKey(sid))
		c.args = append(c.args, owner)
	}
	return c
}
