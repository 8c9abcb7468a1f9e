package dashboard

import (
	"context"
	"sync"
	"time"

	"github.com/sluicehq/sluice/delivery"
)

// figures keeps the counts that many viewers ask for again and again. A figure
// is as old as it may be in proportion to what it cost, and at least a second:
// however many people look, however slow the store, counting takes a bounded
// share of it. The zero value is ready; it is safe for concurrent use.
type figures struct {
	mu   sync.Mutex
	kept map[string]*figure
}

const (
	freshFor   = time.Second
	costFactor = 10 // a figure is kept for this many times as long as it took
)

type figure struct {
	mu    sync.Mutex // held while it is counted: others wait for the result
	at    time.Time
	kept  time.Duration
	value counts
}

// counts are the jobs of a span.
type counts struct {
	Tally
	Series []map[delivery.Status]int64
	Bounds []time.Time
}

// of returns the counts of a span, made anew by count when they are too old.
func (f *figures) of(name string, count func() (counts, error)) (counts, error) {
	f.mu.Lock()
	if f.kept == nil {
		f.kept = map[string]*figure{}
	}
	one := f.kept[name]
	if one == nil {
		one = &figure{}
		f.kept[name] = one
	}
	f.mu.Unlock()

	one.mu.Lock()
	defer one.mu.Unlock()
	// The monotonic clock: this is about our own cost and not about jobs.
	if begun := time.Now(); one.at.IsZero() || begun.Sub(one.at) > one.kept {
		value, err := count()
		if err != nil {
			return counts{}, err
		}
		one.value, one.at = value, time.Now()
		one.kept = max(freshFor, costFactor*one.at.Sub(begun))
	}
	return one.value, nil
}

// span is a stretch of time that ends now, in steps.
type span struct {
	Name  string // as in the address
	Title string
	Step  time.Duration
	Steps int
	Clock string // layout of a step's label
}

// spans are what an overview may look back on; the second is the default. The
// steps of each divide an hour or a day, so that they begin at round times.
var spans = []span{
	{"15m", "15 minutes", 20 * time.Second, 45, "15:04:05"},
	{"1h", "hour", time.Minute, 60, "15:04"},
	{"24h", "24 hours", 30 * time.Minute, 48, "Mon 15:04"},
	{"7d", "7 days", 4 * time.Hour, 42, "Mon 2 Jan 15:04"},
}

func spanOf(name string) span {
	for _, s := range spans {
		if s.Name == name {
			return s
		}
	}
	return spans[1]
}

// bounds are the times between the steps up to the one that is under way.
func (s span) bounds(now time.Time) []time.Time {
	end := now.UTC().Truncate(s.Step).Add(s.Step)
	bounds := make([]time.Time, s.Steps+1)
	for i := range bounds {
		bounds[i] = end.Add(-s.Step * time.Duration(s.Steps-i))
	}
	return bounds
}

// counted are the jobs that were accepted in a span.
func (a *API) counted(ctx context.Context, s span) (counts, error) {
	return a.figures.of(s.Name, func() (c counts, err error) {
		c.Bounds = s.bounds(a.cfg.Now())
		if c.Tally, err = a.cfg.Stats.Tally(ctx, Range{Since: c.Bounds[0]}); err != nil {
			return counts{}, err
		}
		c.Series, err = a.cfg.Stats.Series(ctx, "", c.Bounds)
		return c, err
	})
}

// countedEver are all jobs that are kept.
func (a *API) countedEver(ctx context.Context) (counts, error) {
	return a.figures.of("ever", func() (c counts, err error) {
		c.Tally, err = a.cfg.Stats.Tally(ctx, Range{})
		return c, err
	})
}
