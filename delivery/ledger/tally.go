package ledger

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sluicehq/sluice/delivery"
)

// Range chooses the jobs that are counted; the zero value chooses all. Times
// are taken to the microsecond.
type Range struct {
	From string // a sender's address, or a messaging service sid
	// Since and Until bound created_at: Since included, Until not.
	Since, Until time.Time
}

// Tally is how many jobs have each present state, each category, and each error
// code in the present state.
// What no job has is left out. Code 0 stands for what Sluice itself found
// wrong.
type Tally struct {
	States     map[delivery.Status]int64
	Categories map[delivery.Category]int64
	Errors     map[int]int64
}

// tallyChunk is how many counts are asked for in one round trip: enough to be
// quick, few enough that scripts get in between.
const tallyChunk = 512

// Tally counts the jobs in a range, at one moment: a job counts once, under
// the state it has then. Records past their retention count until they are
// trimmed, which takes about a minute.
func (l *Ledger) Tally(ctx context.Context, r Range) (Tally, error) {
	t, err := l.tally(ctx, r)
	if err != nil {
		return Tally{}, fmt.Errorf("ledger: count jobs: %w", err)
	}
	return t, nil
}

func (l *Ledger) tally(ctx context.Context, r Range) (Tally, error) {
	// A code that is listed after this, with the first job that has it, is
	// left out; one that no job has any more counts none.
	codes, err := l.rdb.SMembers(ctx, codesKey).Result()
	if err != nil {
		return Tally{}, err
	}
	states := make(map[delivery.Status]*redis.IntCmd)
	categories := make(map[delivery.Category]*redis.IntCmd)
	errs := make(map[string]*redis.IntCmd)
	// One transaction: a job that changes state meanwhile is counted neither
	// twice nor not at all.
	_, err = l.rdb.TxPipelined(ctx, func(tx redis.Pipeliner) error {
		for _, s := range delivery.Statuses() {
			states[s] = r.count(ctx, tx, r.status(s))
		}
		for _, c := range delivery.Categories() {
			categories[c] = r.count(ctx, tx, r.category(c))
		}
		for _, code := range codes {
			errs[code] = r.count(ctx, tx, r.code(code))
		}
		return nil
	})
	if err != nil {
		return Tally{}, err
	}
	t := Tally{States: some(states), Categories: some(categories), Errors: make(map[int]int64)}
	for text, n := range errs {
		code, err := strconv.Atoi(text)
		if err != nil {
			return Tally{}, fmt.Errorf("error code %q is not a number, rebuild the ledger from the log: %w", text, err)
		}
		if n.Val() > 0 {
			t.Errors[code] = n.Val()
		}
	}
	return t, nil
}

// some is the counts above 0.
func some[K comparable](counts map[K]*redis.IntCmd) map[K]int64 {
	found := make(map[K]int64)
	for key, n := range counts {
		if n.Val() > 0 {
			found[key] = n.Val()
		}
	}
	return found
}

// Series counts the jobs of a sender, of all with an empty from, in steps: the
// i-th count is of the jobs created from bounds[i] on and before bounds[i+1].
// Each count is exact; jobs that change state meanwhile may show in one step
// as they were and in the next as they are. A state without jobs is left out.
func (l *Ledger) Series(ctx context.Context, from string, bounds []time.Time) ([]map[delivery.Status]int64, error) {
	if len(bounds) < 2 {
		return nil, nil
	}
	counts, err := l.series(ctx, from, bounds)
	if err != nil {
		return nil, fmt.Errorf("ledger: count jobs in steps: %w", err)
	}
	return counts, nil
}

func (l *Ledger) series(ctx context.Context, from string, bounds []time.Time) ([]map[delivery.Status]int64, error) {
	// States that nobody has in the whole range need no steps.
	whole, err := l.tally(ctx, Range{From: from, Since: bounds[0], Until: bounds[len(bounds)-1]})
	if err != nil {
		return nil, err
	}
	type question struct {
		step   int
		status delivery.Status
	}
	var questions []question
	series := make([]map[delivery.Status]int64, len(bounds)-1)
	for i := range series {
		series[i] = make(map[delivery.Status]int64)
		for s := range whole.States {
			questions = append(questions, question{i, s})
		}
	}
	for len(questions) > 0 {
		asked := questions[:min(tallyChunk, len(questions))]
		questions = questions[len(asked):]
		replies, err := l.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for _, q := range asked {
				step := Range{From: from, Since: bounds[q.step], Until: bounds[q.step+1]}
				step.count(ctx, pipe, step.status(q.status))
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		for i, reply := range replies {
			if n := reply.(*redis.IntCmd).Val(); n > 0 {
				series[asked[i].step][asked[i].status] = n
			}
		}
	}
	return series, nil
}

func (r Range) status(s delivery.Status) index {
	if r.From == "" {
		return statusIndex(s)
	}
	return senderStatusIndex(delivery.SenderToken(r.From), s)
}

func (r Range) category(c delivery.Category) index {
	if r.From == "" {
		return categoryIndex(c)
	}
	return senderCategoryIndex(delivery.SenderToken(r.From), c)
}

func (r Range) code(code string) index {
	if r.From == "" {
		return codeIndex(code)
	}
	return senderCodeIndex(delivery.SenderToken(r.From), code)
}

// count asks how many jobs of an index were created in the range.
func (r Range) count(ctx context.Context, pipe redis.Pipeliner, i index) *redis.IntCmd {
	since, until := "-inf", "+inf"
	if !r.Since.IsZero() {
		since = strconv.FormatInt(score(r.Since), 10)
	}
	if !r.Until.IsZero() {
		until = "(" + strconv.FormatInt(score(r.Until), 10)
	}
	return pipe.ZCount(ctx, i.key, since, until)
}
