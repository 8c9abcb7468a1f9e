package jobstream

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/delivery"
)

// Follow hands over the log's entries from sequence from on, in order and each
// once, until fn returns an error, which is returned, or ctx ends. Entries come
// in batches of at most batch: as many as are there, never waiting for more.
// Sequences may have gaps. Lost connections and restarts of the server are
// waited out. fn is called from one goroutine at a time.
func (l *Log) Follow(ctx context.Context, from uint64, batch int, fn func(context.Context, []delivery.Entry) error) error {
	next := max(1, from)
	f := follower{
		js: l.js, stream: StreamLog, batch: max(1, batch),
		from: func() jetstream.ConsumerConfig {
			return jetstream.ConsumerConfig{
				DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: next,
			}
		},
		take: func(msgs []jetstream.Msg, _ uint64) error {
			if len(msgs) == 0 {
				return nil
			}
			entries, err := decodeEntries(msgs)
			if err != nil {
				return err
			}
			// Once fn returns nil it has seen everything before next. A crash
			// leaves it to fn's own position where to go on.
			next = entries[len(entries)-1].Seq + 1
			return fn(ctx, entries)
		},
	}
	return f.run(ctx)
}

func decodeEntries(msgs []jetstream.Msg) ([]delivery.Entry, error) {
	entries := make([]delivery.Entry, 0, len(msgs))
	for _, msg := range msgs {
		entry, err := decodeEntry(msg)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

// decodeEntry fails only where the message has no place in the log; an entry
// that cannot be read is handed over empty, so that whoever follows moves on.
func decodeEntry(msg jetstream.Msg) (delivery.Entry, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return delivery.Entry{}, fmt.Errorf("follow log: %w", err)
	}
	entry := delivery.Entry{Seq: meta.Sequence.Stream, Time: meta.Timestamp}
	entry.Intent, entry.Event = parseEntry(msg.Subject(), msg.Data())
	return entry, nil
}

func parseEntry(subject string, data []byte) (*delivery.Intent, *delivery.Event) {
	switch {
	case strings.HasPrefix(subject, intentsPrefix):
		var i delivery.Intent
		if json.Unmarshal(data, &i) == nil && i.Token != "" && i.Job.ID != "" {
			return &i, nil
		}
	case strings.HasPrefix(subject, eventsPrefix):
		var e delivery.Event
		if json.Unmarshal(data, &e) == nil && e.ID != "" {
			return nil, &e
		}
	}
	return nil, nil
}
