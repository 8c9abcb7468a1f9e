package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// Preview is what messages of one sender to some customers would meet.
type Preview struct {
	// Pool and Sender are as [Gate.Limits] tells them, without names of
	// others: Pool.Senders and Pool.Waiting are empty. Pool.Paused includes the
	// pause of everything.
	Pool   PoolLimits
	Sender SenderLimits
	// OptedOut customers would be suppressed, InWindow ones have an open
	// service window, Known ones are counted already, New ones need a place.
	OptedOut, InWindow, Known, New int
}

// MaxPreview is how many customers one script looks at, for the reason of
// [MaxChanges].
const MaxPreview = 250

// Preview sorts customers by what a message of the sender would need, and
// reads limits and rate with them. It writes nothing. pool is where the sender
// counts unless a policy says otherwise. More than MaxPreview customers are
// looked at one batch after the other, so that jobs are admitted in between;
// the limits are those of the last.
func (g *Gate) Preview(ctx context.Context, sender, pool string, customers []string) (Preview, error) {
	if sender == "" || pool == "" {
		return Preview{}, errors.New("preview: sender and pool must be set")
	}
	var sum Preview
	for {
		n := min(len(customers), MaxPreview)
		p, err := g.preview(ctx, sender, pool, customers[:n])
		if err != nil {
			return Preview{}, err
		}
		p.OptedOut, p.InWindow = p.OptedOut+sum.OptedOut, p.InWindow+sum.InWindow
		p.Known, p.New = p.Known+sum.Known, p.New+sum.New
		sum, customers = p, customers[n:]
		if len(customers) == 0 {
			return sum, nil
		}
	}
}

func (g *Gate) preview(ctx context.Context, sender, pool string, customers []string) (Preview, error) {
	args := make([]any, 0, 2+len(customers))
	args = append(args, sender, pool)
	for _, customer := range customers {
		args = append(args, customer)
	}
	reply, err := g.ask(ctx, g.scripts.preview, []string{senderKey(sender), senderWindowKey(sender)}, args...)
	if err != nil {
		return Preview{}, err
	}
	p, err := decodePreview(sender, reply)
	if err != nil {
		return Preview{}, fmt.Errorf("preview: %w", err)
	}
	return p, nil
}

func decodePreview(sender string, reply any) (Preview, error) {
	row, err := decodeRow(reply, 18)
	if err != nil {
		return Preview{}, err
	}
	n := numbers{}
	p := Preview{
		Pool: PoolLimits{
			Pool: row[0], Limit: n.int(row[1]), Reserved: n.int(row[2]), Used: n.int(row[3]), NextFreeAt: n.time(row[4]),
			Paused: row[5] == "1", Closed: row[6] == "1", Now: n.time(row[7]),
		},
		Sender: SenderLimits{
			Sender: sender, Limit: n.int(row[8]), Used: n.int(row[9]), MPS: n.float(row[10]), NextFreeAt: n.time(row[11]),
			TrippedUntil: n.time(row[13]),
		},
		OptedOut: n.int(row[14]), InWindow: n.int(row[15]), Known: n.int(row[16]), New: n.int(row[17]),
	}
	p.Sender.Paused = row[12] == "1" || row[13] != ""
	p.Pool.Free, p.Sender.Free = free(p.Pool.Limit, p.Pool.Used), free(p.Sender.Limit, p.Sender.Used)
	return p, n.err
}

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
