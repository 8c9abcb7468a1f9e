package ratelimit

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// Return says that places come back at a time.
type Return struct {
	At     time.Time
	Places int
}

// mostReturns is how many entries [Gate.Returns] reads one by one.
const mostReturns = 2000

// Returns reads when the next n places of a window come back, the first to come
// back first: of the sender's own window, or of the pool's if sender is empty.
// Beyond 2,000 they are told in equal portions, each at the return of its last
// place. The reads are not one step: under load they fit together roughly.
func (g *Gate) Returns(ctx context.Context, pool, sender string, n int) ([]Return, error) {
	window := poolWindowKey(pool)
	if sender != "" {
		window = senderWindowKey(sender)
	}
	now, err := g.now(ctx)
	if err != nil {
		return nil, err
	}
	span := g.opts.Window + g.opts.Margin
	past, err := g.rdb.ZCount(ctx, window, "-inf", micros(now.Add(-span))).Result()
	if err != nil {
		return nil, fmt.Errorf("places of a window: %w", err)
	}
	if n <= mostReturns {
		return g.returnsOneByOne(ctx, window, past, n, span)
	}
	return g.returnsInPortions(ctx, window, past, n, span)
}

func (g *Gate) returnsOneByOne(ctx context.Context, window string, past int64, n int, span time.Duration) ([]Return, error) {
	if n < 1 {
		return nil, nil
	}
	places, err := g.rdb.ZRangeWithScores(ctx, window, past, past+int64(n)-1).Result()
	if err != nil {
		return nil, fmt.Errorf("places of a window: %w", err)
	}
	returns := make([]Return, len(places))
	for i, place := range places {
		returns[i] = Return{At: time.UnixMicro(int64(place.Score)).Add(span).UTC(), Places: 1}
	}
	return returns, nil
}

func (g *Gate) returnsInPortions(ctx context.Context, window string, past int64, n int, span time.Duration) ([]Return, error) {
	portion := (n + mostReturns - 1) / mostReturns
	pipe := g.rdb.Pipeline()
	var asked []*redis.ZSliceCmd
	for told := 0; told < n; told += portion {
		rank := past + int64(min(told+portion, n)) - 1
		asked = append(asked, pipe.ZRangeWithScores(ctx, window, rank, rank))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("places of a window: %w", err)
	}
	returns := make([]Return, 0, len(asked))
	for i, cmd := range asked {
		for _, place := range cmd.Val() {
			returns = append(returns, Return{
				At: time.UnixMicro(int64(place.Score)).Add(span).UTC(), Places: min(portion, n-i*portion),
			})
		}
	}
	return returns, nil
}

// Recent counts the customers whose last counted send by a sender, or the last
// proof of it, lies within the given span.
func (g *Gate) Recent(ctx context.Context, sender string, span time.Duration) (int, error) {
	now, err := g.now(ctx)
	if err != nil {
		return 0, err
	}
	n, err := g.rdb.ZCount(ctx, senderWindowKey(sender), micros(now.Add(-span)), "+inf").Result()
	if err != nil {
		return 0, fmt.Errorf("recent sends: %w", err)
	}
	return int(n), nil
}

// now is the gate's clock.
func (g *Gate) now(ctx context.Context) (time.Time, error) {
	if g.opts.Now != nil {
		return g.opts.Now(), nil
	}
	now, err := g.rdb.Time(ctx).Result()
	if err != nil {
		return time.Time{}, fmt.Errorf("gate clock: %w", err)
	}
	return now, nil
}
