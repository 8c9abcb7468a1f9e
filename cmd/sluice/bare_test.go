package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// bare is a producer that knows nothing of Sluice but its subjects.
type bare struct {
	t  testing.TB
	js jetstream.JetStream
}

func connect(t testing.TB, url string) bare {
	t.Helper()
	nc, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.ReconnectBufSize(-1))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	return bare{t, js}
}

// try publishes once. An empty msgID sends none. It may be called from any
// goroutine.
func (b bare) try(subject string, data []byte, msgID string) (*jetstream.PubAck, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	msg := nats.NewMsg(subject)
	msg.Data = data
	if msgID != "" {
		msg.Header.Set(nats.MsgIdHdr, msgID)
	}
	return b.js.PublishMsg(ctx, msg, jetstream.WithRetryAttempts(0))
}

func (b bare) publish(subject string, data []byte, msgID string) *jetstream.PubAck {
	b.t.Helper()
	ack, err := b.try(subject, data, msgID)
	require.NoError(b.t, err)
	return ack
}

// queue publishes without waiting for the answer, as far as the client allows.
func (b bare) queue(msg *nats.Msg) {
	b.t.Helper()
	_, err := b.js.PublishMsgAsync(msg)
	for errors.Is(err, jetstream.ErrTooManyStalledMsgs) {
		<-b.js.PublishAsyncComplete()
		_, err = b.js.PublishMsgAsync(msg)
	}
	require.NoError(b.t, err)
}

// logEnd is the last sequence of the log: what has happened so far.
func (b bare) logEnd() uint64 {
	b.t.Helper()
	return b.log().LastSeq
}

// logLength is how many entries the log holds.
func (b bare) logLength() uint64 {
	b.t.Helper()
	return b.log().Msgs
}

func (b bare) log() jetstream.StreamState {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	stream, err := b.js.Stream(ctx, "SLUICE_LOG")
	require.NoError(b.t, err)
	return stream.CachedInfo().State
}

func subject(priority, sender string) string { return "sluice.jobs." + priority + "." + sender }

// event is one change, as services of the application read it.
type event struct {
	ID, Type, Job, Status, Reason, SID, Traceparent, Category string
	Attempt                                                   int
	At                                                        time.Time
	Error                                                     struct {
		Code    int
		Message string
	}
	Metadata map[string]string
	subject  string
}

// events are all events from the beginning, as they come.
type events struct {
	t    testing.TB
	mu   sync.Mutex
	seen []event
}

// events subscribes to sluice.events.> through JetStream.
func (b bare) events() *events {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	consumer, err := b.js.OrderedConsumer(ctx, "SLUICE_LOG", jetstream.OrderedConsumerConfig{FilterSubjects: []string{"sluice.events.>"}})
	require.NoError(b.t, err)
	es := &events{t: b.t}
	consuming, err := consumer.Consume(es.add)
	require.NoError(b.t, err)
	b.t.Cleanup(func() {
		consuming.Stop()
		<-consuming.Closed()
	})
	return es
}

func (es *events) add(msg jetstream.Msg) {
	e := event{subject: msg.Subject()}
	if err := json.Unmarshal(msg.Data(), &e); err != nil {
		e.Type = "unreadable: " + err.Error()
	}
	es.mu.Lock()
	defer es.mu.Unlock()
	es.seen = append(es.seen, e)
}

// of are the events of a type so far.
func (es *events) of(kind string) []event {
	es.mu.Lock()
	defer es.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(es.seen), func(e event) bool { return e.Type != kind })
}

// await returns the events of a type once there are n of them.
func (es *events) await(kind string, n int) []event {
	es.t.Helper()
	eventually(es.t, func() bool { return len(es.of(kind)) >= n },
		func() string { return fmt.Sprintf("%d %s events: %+v", len(es.of(kind)), kind, es.of(kind)) })
	return es.of(kind)
}
