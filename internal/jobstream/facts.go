package jobstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrStale says that a fact has changed since it was read: read it again.
var ErrStale = errors.New("fact has changed since it was read")

// Facts is what must outlive the log: consents, aliases, policies. Each key
// has one value; keys are tokens joined by dots, as in subjects.
type Facts struct {
	js     jetstream.JetStream
	stream handle
}

// Fact is the value of a key. Rev grows with every change.
type Fact struct {
	Key  string
	Data []byte
	Rev  uint64
}

// NewFacts is the facts behind js. It does no I/O.
func NewFacts(js jetstream.JetStream) *Facts {
	return &Facts{js: js, stream: handle{js: js, name: StreamFacts}}
}

// Get reads a fact; rev 0 is none. In a cluster a replica answers, so it may be
// a moment old: only [Facts.Put] with its revision proves that it was not.
func (f *Facts) Get(ctx context.Context, key string) (data []byte, rev uint64, err error) {
	stream, err := f.stream.get(ctx)
	if err != nil {
		return nil, 0, err
	}
	msg, err := stream.GetLastMsgForSubject(ctx, factsPrefix+key)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read fact %s: %w", key, err)
	}
	return msg.Data, msg.Sequence, nil
}

// Put writes a fact if its revision is still expected, 0 for none, and returns
// the new one; [ErrStale] otherwise.
func (f *Facts) Put(ctx context.Context, key string, data []byte, expected uint64) (rev uint64, err error) {
	if !validKey(key) {
		return 0, fmt.Errorf("write fact: %q is no key; join tokens without blanks and wildcards by dots", key)
	}
	id := newToken()
	msg := &nats.Msg{Subject: factsPrefix + key, Data: data, Header: nats.Header{}}
	msg.Header.Set(nats.MsgIdHdr, id)
	msg.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(expected, 10))
	// Once acknowledged the value is what every follower will see, and whoever
	// read an earlier revision can no longer overwrite it. A crash before leaves
	// either value, whole.
	ack, err := publish(ctx, f.js, msg)
	if err == nil {
		return ack.Sequence, nil
	}
	if !wrongSequence(err) {
		return 0, fmt.Errorf("write fact %s: %w", key, err)
	}
	// A try whose answer was lost may be what we collide with.
	if rev, err := f.written(ctx, key, id); err != nil || rev > 0 {
		return rev, err
	}
	return 0, fmt.Errorf("write fact %s: %w", key, ErrStale)
}

func validKey(key string) bool {
	return key != "" && !strings.ContainsAny(key, "*> \t\r\n") &&
		!slices.Contains(strings.Split(key, "."), "")
}

// written is the revision that the write with this id made, 0 if another's is
// the last.
func (f *Facts) written(ctx context.Context, key, id string) (uint64, error) {
	stream, err := f.stream.get(ctx)
	if err != nil {
		return 0, err
	}
	msg, err := stream.GetLastMsgForSubject(ctx, factsPrefix+key)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("read fact %s back: %w", key, err)
	case msg.Header.Get(nats.MsgIdHdr) == id:
		return msg.Sequence, nil
	}
	return 0, nil
}

// List reads the fact with the key prefix and all below it, an empty prefix all
// there are, the one changed longest ago first.
func (f *Facts) List(ctx context.Context, prefix string) ([]Fact, error) {
	if prefix != "" && !validKey(prefix) {
		return nil, fmt.Errorf("list facts: %q is no prefix; give whole tokens, without a dot at the end", prefix)
	}
	var facts []Fact
	done := errors.New("listed")
	filter := []string{factsPrefix + ">"}
	if prefix != "" {
		filter = []string{factsPrefix + prefix, factsPrefix + prefix + ".>"}
	}
	err := f.follow(ctx, filter, func(fact Fact) error {
		facts = append(facts, fact)
		return nil
	}, func() error { return done })
	if !errors.Is(err, done) {
		return nil, fmt.Errorf("list facts: %w", err)
	}
	return facts, nil
}

// Follow hands over the present value of every fact and then each change, in
// order, until fn returns an error, which is returned, or ctx ends. A change
// that is overtaken at once by the next of the same key may be left out.
// caughtUp, if not nil, is called once, when the present values are through,
// also if there are none. Lost connections are waited out.
func (f *Facts) Follow(ctx context.Context, fn func(ctx context.Context, key string, data []byte, rev uint64) error, caughtUp func()) error {
	return f.followAll(ctx, ">", fn, caughtUp)
}

// FollowUnder is [Facts.Follow] for the facts below the key prefix alone.
func (f *Facts) FollowUnder(ctx context.Context, prefix string, fn func(ctx context.Context, key string, data []byte, rev uint64) error, caughtUp func()) error {
	if !validKey(prefix) {
		return fmt.Errorf("follow facts: %q is no prefix; give whole tokens, without a dot at the end", prefix)
	}
	return f.followAll(ctx, prefix+".>", fn, caughtUp)
}

func (f *Facts) followAll(ctx context.Context, filter string, fn func(ctx context.Context, key string, data []byte, rev uint64) error, caughtUp func()) error {
	return f.follow(ctx, []string{factsPrefix + filter}, func(fact Fact) error {
		return fn(ctx, fact.Key, fact.Data, fact.Rev)
	}, func() error {
		if caughtUp != nil {
			caughtUp()
		}
		return nil
	})
}

const factsBatch = 256

func (f *Facts) follow(ctx context.Context, filter []string, each func(Fact) error, caughtUp func() error) error {
	var last uint64
	present := true // still going through the values there were at the start
	fl := follower{
		js: f.js, stream: StreamFacts, batch: factsBatch,
		from: func() jetstream.ConsumerConfig {
			cfg := jetstream.ConsumerConfig{FilterSubjects: filter, DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy}
			if last > 0 {
				cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, last+1
			}
			return cfg
		},
		take: func(msgs []jetstream.Msg, pending uint64) error {
			for _, msg := range msgs {
				fact, err := decodeFact(msg)
				if err != nil {
					return err
				}
				if err := each(fact); err != nil {
					return err
				}
				last = fact.Rev
			}
			if present && pending == 0 {
				present = false
				return caughtUp()
			}
			return nil
		},
	}
	return fl.run(ctx)
}

func decodeFact(msg jetstream.Msg) (Fact, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return Fact{}, fmt.Errorf("follow facts: %w", err)
	}
	return Fact{Key: strings.TrimPrefix(msg.Subject(), factsPrefix), Data: msg.Data(), Rev: meta.Sequence.Stream}, nil
}
