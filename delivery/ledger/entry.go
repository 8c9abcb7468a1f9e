package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sluicehq/sluice/delivery"
)

// entry is a record as it is stored. The zero value is a job without record.
type entry struct {
	version string // random per write, so that a record made anew is never taken for the old one
	head    string // JSON of the record without its timeline
	log     string // JSON of the timeline
	until   string // when the record may go, ms; empty while the job lives
	record  delivery.Record
}

// line is an event in a stored timeline. What nearly all events of a job share
// is stored once, in the record's head: a nil pointer stands for that value.
type line struct {
	ID       string             `json:"id"`
	Type     delivery.EventType `json:"type"`
	At       time.Time          `json:"at"`
	Attempt  int                `json:"n,omitempty"`
	SID      string             `json:"sid,omitempty"`
	Reason   string             `json:"reason,omitempty"`
	Error    *delivery.Error    `json:"error,omitempty"`
	Status   *delivery.Status   `json:"status,omitempty"` // nil: the type's
	From     *string            `json:"from,omitempty"`   // nil: the record's
	To       *string            `json:"to,omitempty"`
	Category *delivery.Category `json:"category,omitempty"`
	Metadata *map[string]string `json:"metadata,omitempty"`
	Trace    string             `json:"trace,omitempty"`
}

func newLine(r delivery.Record, e delivery.Event) line {
	l := line{ID: e.ID, Type: e.Type, At: e.At, Attempt: e.Attempt, SID: e.SID, Reason: e.Reason, Error: e.Error, Trace: e.Trace}
	if e.Status != e.Type.Status() {
		l.Status = &e.Status
	}
	if e.From != r.From {
		l.From = &e.From
	}
	if e.To != r.To {
		l.To = &e.To
	}
	if e.Category != r.Category {
		l.Category = &e.Category
	}
	if !maps.Equal(e.Metadata, r.Metadata) {
		own := e.Metadata
		if own == nil {
			own = map[string]string{} // a pointer to nil would be read back as nil
		}
		l.Metadata = &own
	}
	return l
}

func (l line) event(r delivery.Record) delivery.Event {
	e := delivery.Event{
		ID: l.ID, Type: l.Type, At: l.At, Job: r.ID, Attempt: l.Attempt, SID: l.SID, Reason: l.Reason, Error: l.Error,
		Status: l.Type.Status(), From: r.From, To: r.To, Category: r.Category, Metadata: r.Metadata, Trace: l.Trace,
	}
	if l.Status != nil {
		e.Status = *l.Status
	}
	if l.From != nil {
		e.From = *l.From
	}
	if l.To != nil {
		e.To = *l.To
	}
	if l.Category != nil {
		e.Category = *l.Category
	}
	if l.Metadata != nil {
		e.Metadata = nil
		if len(*l.Metadata) > 0 {
			e.Metadata = *l.Metadata
		}
	}
	return e
}

// encode is what is stored of a record. Equal records have equal text.
func encode(r delivery.Record) (head, log string, err error) {
	lines := make([]line, len(r.Timeline))
	for i, e := range r.Timeline {
		lines[i] = newLine(r, e)
	}
	r.Timeline = nil
	h, err := json.Marshal(r)
	if err != nil {
		return "", "", err
	}
	t, err := json.Marshal(lines)
	return string(h), string(t), err
}

func decode(head, log string) (delivery.Record, error) {
	var r delivery.Record
	if err := json.Unmarshal([]byte(head), &r); err != nil {
		return delivery.Record{}, err
	}
	if log == "" {
		return r, nil
	}
	var lines []line
	if err := json.Unmarshal([]byte(log), &lines); err != nil {
		return delivery.Record{}, err
	}
	r.Timeline = make([]delivery.Event, len(lines))
	for i, l := range lines {
		r.Timeline[i] = l.event(r)
	}
	return r, nil
}

// gone reports whether the record is past its retention and only waits to be
// trimmed.
func (e entry) gone(now time.Time) bool {
	until, err := strconv.ParseInt(e.until, 10, 64)
	return err == nil && until <= now.UnixMilli()
}

// owners maps each SID that the record's events name to its owner.
func (e entry) owners() map[string]string {
	owners := make(map[string]string)
	for _, ev := range e.record.Timeline {
		if _, known := owners[ev.SID]; ev.SID != "" && !known {
			owners[ev.SID] = owner(ev.Job, ev.Attempt)
		}
	}
	return owners
}

// load reads entries with their timelines in one round trip.
func (l *Ledger) load(ctx context.Context, ids []string) (map[string]entry, error) {
	return l.read(ctx, ids, "v", "head", "until", "log")
}

// loadHeads reads entries without their timelines and versions.
func (l *Ledger) loadHeads(ctx context.Context, ids []string) (map[string]entry, error) {
	return l.read(ctx, ids, "v", "head", "until")
}

func (l *Ledger) read(ctx context.Context, ids []string, fields ...string) (map[string]entry, error) {
	cmds := make([]*redis.SliceCmd, len(ids))
	_, err := l.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for i, id := range ids {
			cmds[i] = pipe.HMGet(ctx, jobKey(id), fields...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	entries := make(map[string]entry, len(ids))
	for i, id := range ids {
		e, err := parseEntry(cmds[i].Val())
		if err != nil {
			return nil, fmt.Errorf("record of job %s is not readable, rebuild the ledger from the log: %w", id, err)
		}
		entries[id] = e
	}
	return entries, nil
}

// parseEntry takes the fields in the order v, head, until, log.
func parseEntry(values []any) (entry, error) {
	var fields [4]string
	for i, v := range values {
		fields[i], _ = v.(string) // nil: no such field
	}
	e := entry{version: fields[0], head: fields[1], until: fields[2], log: fields[3]}
	if e.version == "" {
		return entry{}, nil
	}
	var err error
	e.record, err = decode(e.head, e.log)
	return e, err
}
