package jobstream

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/delivery"
)

// Log is the one log of intents and events. Its methods may be called from any
// number of goroutines.
type Log struct {
	js     jetstream.JetStream
	stream handle
}

// NewLog is the log behind js. It does no I/O.
func NewLog(js jetstream.JetStream) *Log {
	return &Log{js: js, stream: handle{js: js, name: StreamLog}}
}

// Append writes an event and returns its sequence once it is stored. Unclear
// failures are retried until ctx ends, 30 seconds at most. An event whose id
// was stored within the dedupe window is not stored again and has the sequence
// of the first. With [ErrFull] the event is not stored; with any other error it
// may be.
func (l *Log) Append(ctx context.Context, e delivery.Event) (seq uint64, err error) {
	if e.ID == "" || !e.Type.Known() {
		return 0, fmt.Errorf("append to log: an event needs an id and a known type, not %q", e.Type)
	}
	data, err := json.Marshal(e)
	if err != nil {
		return 0, fmt.Errorf("append to log: encode event %s: %w", e.ID, err)
	}
	return l.write(ctx, delivery.EventSubject(e.Sender(), e.Type), e.ID, data)
}

// Intent writes that a POST is about to be made, with all that is needed to
// make it again, and returns its sequence once it is stored; errors are those
// of [Log.Append]. Only then may the POST start.
func (l *Log) Intent(ctx context.Context, i delivery.Intent) (seq uint64, err error) {
	sender := i.Job.Sender()
	if i.Token == "" || sender == "" {
		return 0, errors.New("append to log: an intent needs a token and a job with a sender")
	}
	data, err := json.Marshal(i)
	if err != nil {
		return 0, fmt.Errorf("append to log: encode intent of job %s: %w", i.Job.ID, err)
	}
	return l.write(ctx, intentSubject(sender, i.Job.ID), "i:"+i.Token, data)
}

// write is the commit point of everything that happens to a job: once it
// returns, every projection will see the entry. A crash before leaves the
// queued message unacknowledged, so that the change is found and told again,
// under the same id.
func (l *Log) write(ctx context.Context, subject, id string, data []byte) (uint64, error) {
	msg := &nats.Msg{Subject: subject, Data: data, Header: nats.Header{}}
	msg.Header.Set(nats.MsgIdHdr, dedupeID(id))
	ack, err := publish(ctx, l.js, msg)
	if err != nil {
		return 0, fmt.Errorf("append to log: %w", err)
	}
	return ack.Sequence, nil
}

// maxDedupeID is how long an id may be before it is hashed: the server keeps
// every id in memory for the dedupe window.
const maxDedupeID = 96

// dedupeID is id as it can stand in a header: short, and printable, because a
// header's value is trimmed and its line breaks are lost.
func dedupeID(id string) string {
	plain := len(id) <= maxDedupeID
	for i := 0; plain && i < len(id); i++ {
		plain = id[i] > ' ' && id[i] < 0x7f
	}
	if plain {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Last is the sequence of the newest entry, 0 if there was never one, as the
// stream's leader knows it.
func (l *Log) Last(ctx context.Context) (uint64, error) {
	info, err := l.stream.info(ctx)
	if err != nil {
		return 0, err
	}
	return info.State.LastSeq, nil
}
