package ledger

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sluicehq/sluice/delivery"
)

// Bounds of one page.
const (
	DefaultLimit = 100
	MaxLimit     = 1000
	maxScan      = 10_000 // index entries looked at for one page
)

// Query chooses records; the zero value chooses all.
type Query struct {
	From, To string // addresses; From also a messaging service sid
	SID      string
	Status   []delivery.Status // any of these
	// Since and Until bound created_at: Since included, Until not.
	Since, Until time.Time
	Limit        int    // default 100, at most 1000
	Cursor       string // from the page before
}

// matches reports whether a record is chosen; every index only narrows down.
func (q Query) matches(r delivery.Record) bool {
	return (q.From == "" || r.From == q.From) &&
		(q.To == "" || r.To == q.To) &&
		(len(q.Status) == 0 || slices.Contains(q.Status, r.Status)) &&
		(q.Since.IsZero() || !r.CreatedAt.Before(q.Since)) &&
		(q.Until.IsZero() || r.CreatedAt.Before(q.Until))
}

func (q Query) limit() int {
	if q.Limit <= 0 {
		return DefaultLimit
	}
	return min(q.Limit, MaxLimit)
}

// List reads a page of records without their timelines, newest first by
// creation, and the cursor of the next page: empty after the last. Jobs
// created meanwhile do not shift the pages. A page may be short, even empty,
// and still have a next one, where a filter passes few of many records. A
// cursor not made here is [ErrBadCursor].
func (l *Ledger) List(ctx context.Context, q Query) (records []delivery.Record, next string, err error) {
	from, err := q.start()
	if err != nil {
		return nil, "", err
	}
	if q.SID != "" {
		records, err = l.listSID(ctx, q)
	} else {
		records, next, err = l.listIndex(ctx, q, from)
	}
	if err != nil {
		return nil, "", fmt.Errorf("ledger: list jobs: %w", err)
	}
	return records, next, nil
}

func (l *Ledger) listSID(ctx context.Context, q Query) ([]delivery.Record, error) {
	job, _, ok, err := l.BySID(ctx, q.SID)
	if err != nil || !ok || q.Cursor != "" {
		return nil, err
	}
	found, err := l.pick(ctx, q, []place{{id: job}})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return []delivery.Record{found[job]}, nil
}

// listIndex walks the narrowest index from a place on.
func (l *Ledger) listIndex(ctx context.Context, q Query, from place) (records []delivery.Record, next string, err error) {
	keys, err := l.narrowest(ctx, q)
	if err != nil {
		return nil, "", err
	}
	for scanned := 0; scanned < maxScan; {
		// One more than the page holds, to know whether it is the last.
		want := q.limit() + 1
		places, err := l.after(ctx, keys, from, q.Since, want)
		if err != nil {
			return nil, "", err
		}
		chosen, err := l.pick(ctx, q, places)
		if err != nil {
			return nil, "", err
		}
		for _, p := range places {
			if len(records) == q.limit() {
				return records, from.cursor(), nil
			}
			if r, ok := chosen[p.id]; ok {
				records = append(records, r)
			}
			from = p
		}
		if len(places) < want {
			return records, "", nil
		}
		scanned += len(places)
	}
	return records, from.cursor(), nil
}

// pick reads the records at the places and returns those that the query
// chooses, by id.
func (l *Ledger) pick(ctx context.Context, q Query, places []place) (map[string]delivery.Record, error) {
	ids := make([]string, len(places))
	for i, p := range places {
		ids[i] = p.id
	}
	entries, err := l.loadHeads(ctx, ids)
	if err != nil {
		return nil, err
	}
	now := l.now()
	chosen := make(map[string]delivery.Record)
	for id, e := range entries {
		if e.record.Status != "" && !e.gone(now) && q.matches(e.record) {
			chosen[id] = e.record
		}
	}
	return chosen, nil
}

// narrowest names the indexes to walk: of those that cover the query, the ones
// with the fewest entries.
func (l *Ledger) narrowest(ctx context.Context, q Query) ([]string, error) {
	var choices [][]string
	if q.To != "" {
		choices = append(choices, []string{customerIndex(q.To).key})
	}
	if q.From != "" {
		choices = append(choices, []string{senderIndex(delivery.SenderToken(q.From)).key})
	}
	if len(q.Status) > 0 {
		var keys []string
		for _, s := range q.Status {
			keys = append(keys, statusIndex(s).key)
		}
		choices = append(choices, keys)
	}
	switch len(choices) {
	case 0:
		return []string{createdKey}, nil
	case 1:
		return choices[0], nil
	}
	best, fewest := choices[0], int64(-1)
	for _, keys := range choices {
		n, err := l.size(ctx, keys)
		if err != nil {
			return nil, err
		}
		if fewest < 0 || n < fewest {
			best, fewest = keys, n
		}
	}
	return best, nil
}

func (l *Ledger) size(ctx context.Context, keys []string) (total int64, err error) {
	cards, err := l.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, key := range keys {
			pipe.ZCard(ctx, key)
		}
		return nil
	})
	for _, card := range cards {
		total += card.(*redis.IntCmd).Val()
	}
	return total, err
}

// after reads the first n places after from in the union of some indexes. Each
// index gives its own first n, so the first n of all are among them.
func (l *Ledger) after(ctx context.Context, keys []string, from place, since time.Time, n int) ([]place, error) {
	var union []place
	for _, key := range keys {
		places, err := l.afterIn(ctx, key, from, since, n)
		if err != nil {
			return nil, err
		}
		union = append(union, places...)
	}
	slices.SortFunc(union, func(a, b place) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(b.id, a.id))
	})
	union = slices.Compact(union) // a job that changed status between two reads
	return union[:min(n, len(union))], nil
}

// afterIn reads the first n places after from in one index.
func (l *Ledger) afterIn(ctx context.Context, key string, from place, since time.Time, n int) ([]place, error) {
	floor := "-inf"
	if !since.IsZero() {
		floor = strconv.FormatInt(score(since), 10)
	}
	for count := n; ; count *= 2 {
		found, err := l.rdb.ZRangeArgsWithScores(ctx, redis.ZRangeArgs{
			Key: key, ByScore: true, Rev: true, Count: int64(count),
			Start: strconv.FormatInt(from.score, 10), Stop: floor,
		}).Result()
		if err != nil {
			return nil, err
		}
		places := make([]place, 0, len(found))
		for _, z := range found {
			if p := (place{score: int64(z.Score), id: z.Member.(string)}); from.before(p) {
				places = append(places, p)
			}
		}
		// Short of n only because jobs of the same µs stand before from.
		if len(places) >= n || len(found) < count {
			return places[:min(n, len(places))], nil
		}
	}
}
