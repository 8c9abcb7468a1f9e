package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sluicehq/sluice/delivery"
)

// grouped is events by their job, or by their SID.
type grouped map[string][]delivery.Event

// Apply adds events to the records of their jobs. Events may come in any order
// and any number of times, also from several callers at once. Events that
// belong to no job change nothing; those of a SID that no job has named yet
// are kept until one does. A record that does not change is not written.
//
// Once it returns nil every event is in its record or kept under its SID.
// After an error, or a crash, some are: apply the same events again.
func (l *Ledger) Apply(ctx context.Context, events []delivery.Event) error {
	jobs, err := l.byJob(ctx, events)
	if err != nil {
		return fmt.Errorf("ledger: keep events of unknown sids: %w", err)
	}
	for len(jobs) > 0 {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("ledger: apply events: %w", err)
		}
		if jobs, err = l.applyOnce(ctx, jobs); err != nil {
			return fmt.Errorf("ledger: apply events: %w", err)
		}
	}
	if err := l.trimIfDue(ctx); err != nil {
		return fmt.Errorf("ledger: trim ended jobs: %w", err)
	}
	return nil
}

// byJob groups events by job. An event that has only a SID goes to the SID's
// owner, or becomes an orphan.
func (l *Ledger) byJob(ctx context.Context, events []delivery.Event) (grouped, error) {
	jobs := make(grouped)
	var loose []delivery.Event
	var calls []call
	for _, e := range events {
		switch {
		case e.Job != "":
			jobs[e.Job] = append(jobs[e.Job], e)
		case e.SID != "" && e.Type.Status() != "":
			data, err := json.Marshal(e)
			if err != nil {
				return nil, err
			}
			// Two tellings of one event may differ in time: both are kept,
			// delivery.Record.Apply chooses.
			name := e.ID + "@" + strconv.FormatInt(e.At.UnixNano(), 36)
			loose = append(loose, e)
			calls = append(calls, call{
				keys: []string{sidKey(e.SID), orphansKey(e.SID)},
				args: []any{name, data, l.retention.Milliseconds()},
			})
		}
	}
	replies, err := l.runAll(ctx, adoptScript, calls)
	if err != nil {
		return nil, err
	}
	for i, reply := range replies {
		text, err := reply.Text()
		if err != nil {
			return nil, err
		}
		if text == "" {
			continue
		}
		e := loose[i]
		if e.Job, e.Attempt, err = parseOwner(text); err != nil {
			return nil, err
		}
		jobs[e.Job] = append(jobs[e.Job], e)
	}
	return jobs, nil
}

// applyOnce reads the jobs' records, folds the events into them and writes
// what changed. It returns the jobs whose record moved meanwhile: of all that
// compete for a record one always wins, so repeating comes to an end.
func (l *Ledger) applyOnce(ctx context.Context, jobs grouped) (grouped, error) {
	ids := slices.Collect(maps.Keys(jobs))
	entries, err := l.load(ctx, ids)
	if err != nil {
		return nil, err
	}
	orphans, err := l.orphans(ctx, jobs, entries)
	if err != nil {
		return nil, err
	}
	next := map[string]delivery.Record{}
	var written []string
	var calls []call
	for _, id := range ids {
		old := entries[id]
		folded, err := l.fold(old, jobs[id], orphans)
		if err != nil {
			return nil, err
		}
		if folded.head == old.head && folded.log == old.log {
			if err := l.tellTwice(ctx, folded.record); err != nil {
				return nil, err
			}
			continue
		}
		written, next[id] = append(written, id), folded.record
		calls = append(calls, replacement(id, old, folded, orphans))
	}
	// From here on a record, its index entries and its SIDs are one write
	// each. A crash leaves some jobs written and the others as they were.
	replies, err := l.runAll(ctx, replaceScript, calls)
	if err != nil {
		return nil, err
	}
	moved := make(grouped)
	for i, reply := range replies {
		if done, err := reply.Int(); err != nil {
			return nil, err
		} else if done == 0 {
			moved[written[i]] = jobs[written[i]]
		} else if err := l.tellTwice(ctx, next[written[i]]); err != nil {
			return nil, err
		}
	}
	return moved, nil
}

// tellTwice tells of the messages that a record should not have. After a
// crash before it the same events are applied again, and it is told then.
func (l *Ledger) tellTwice(ctx context.Context, r delivery.Record) error {
	if l.twice == nil {
		return nil
	}
	for _, sid := range r.Twice() {
		if err := l.twice(ctx, r, sid); err != nil {
			return fmt.Errorf("tell of a duplicate: %w", err)
		}
	}
	return nil
}

// orphans reads the events kept under every SID that the jobs are about to
// name for the first time. A SID named before has none.
func (l *Ledger) orphans(ctx context.Context, jobs grouped, entries map[string]entry) (grouped, error) {
	cmds := make(map[string]*redis.StringSliceCmd)
	pipe := l.rdb.Pipeline()
	for id, events := range jobs {
		known := entries[id].owners()
		for _, e := range events {
			if e.SID != "" && known[e.SID] == "" && cmds[e.SID] == nil {
				cmds[e.SID] = pipe.HVals(ctx, orphansKey(e.SID))
			}
		}
	}
	if len(cmds) == 0 {
		return nil, nil
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	orphans := make(grouped)
	for sid, cmd := range cmds {
		for _, data := range cmd.Val() {
			var e delivery.Event
			if err := json.Unmarshal([]byte(data), &e); err != nil {
				return nil, fmt.Errorf("event kept under sid %s: %w", sid, err)
			}
			orphans[sid] = append(orphans[sid], e)
		}
	}
	return orphans, nil
}

// fold is the entry that follows from old when events, and the orphans of the
// SIDs they name, are added.
func (l *Ledger) fold(old entry, events []delivery.Event, orphans grouped) (entry, error) {
	forgotten := old.record.ID == "" || old.gone(l.now())
	if forgotten && !slices.ContainsFunc(events, func(e delivery.Event) bool { return !e.IsReport() }) {
		// A customer who reads the message weeks later makes no new record of it.
		return old, nil
	}
	next := entry{version: strconv.FormatUint(rand.Uint64(), 36), record: old.record}
	for _, e := range events {
		next.record = next.record.Apply(e)
	}
	if next.record.ID == "" {
		return entry{}, nil // only refusals that bore the job's id
	}
	for sid, owner := range next.owners() {
		for _, e := range orphans[sid] {
			var err error
			if e.Job, e.Attempt, err = parseOwner(owner); err != nil {
				return entry{}, err
			}
			next.record = next.record.Apply(e)
		}
	}
	if r := next.record; r.Status == "" || r.Status.Ended() || r.Status.AwaitsNews() {
		next.until = strconv.FormatInt(r.UpdatedAt.Add(l.retention).UnixMilli(), 10)
	}
	var err error
	next.head, next.log, err = encode(next.record)
	return next, err
}

// replacement is the run of replace.lua that turns old into next.
func replacement(id string, old, next entry, orphans grouped) call {
	was, is := indexes(old.record), indexes(next.record)
	leave := without(was, is)
	enter := is
	if score(old.record.CreatedAt) == score(next.record.CreatedAt) {
		enter = without(is, was)
	}
	c := call{
		keys: []string{jobKey(id), endsKey, codesKey},
		args: []any{
			id, old.version, next.version, next.head, next.log, next.until,
			score(next.record.CreatedAt), len(leave), len(enter),
		},
	}
	c.name(leave)
	c.name(enter)
	known := old.owners()
	for sid, owner := range next.owners() {
		if known[sid] == "" {
			c.keys = append(c.keys, sidKey(sid), orphansKey(sid))
			c.args = append(c.args, owner, len(orphans[sid]))
		}
	}
	return c
}

func without(all, others []index) []index {
	return slices.DeleteFunc(slices.Clone(all), func(i index) bool { return slices.Contains(others, i) })
}

// maxScore is the largest integer up to which a sorted set holds all exactly.
const maxScore = 1<<53 - 1

// score places a time in an index: µs since 1970.
func score(t time.Time) int64 { return min(max(t.UnixMicro(), 0), maxScore) }
