package jobstream_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/embedded"
	"github.com/sluicehq/sluice/internal/jobstream"
)

const (
	patience = 20 * time.Second // for what must happen
	tick     = 5 * time.Millisecond

	sender  = "15550001111"
	address = "whatsapp:+" + sender
)

// bare is a server without any stream.
func bare(t *testing.T) jetstream.JetStream {
	t.Helper()
	srv, err := embedded.StartNATS(t.Context(), embedded.NATSConfig{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(srv.Close)
	conn, err := srv.Connect()
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	return js
}

// ready is a server with every stream.
func ready(t *testing.T, cfg jobstream.Config) jetstream.JetStream {
	t.Helper()
	js := bare(t)
	require.NoError(t, jobstream.Setup(t.Context(), js, cfg))
	return js
}

func job(id string, p delivery.Priority) delivery.Job {
	return delivery.Job{ID: id, From: address, To: "whatsapp:+4915112345678", Body: "hello", Priority: p}.WithDefaults("")
}

func publish(t *testing.T, js jetstream.JetStream, j delivery.Job) uint64 {
	t.Helper()
	data, err := json.Marshal(j)
	require.NoError(t, err)
	return publishRaw(t, js, delivery.JobSubject(j.Priority, sender), data)
}

func publishRaw(t *testing.T, js jetstream.JetStream, subject string, data []byte, opts ...jetstream.PublishOpt) uint64 {
	t.Helper()
	ack, err := js.Publish(t.Context(), subject, data, opts...)
	require.NoError(t, err)
	return ack.Sequence
}

// publishMany puts n jobs of a priority and one sender on the queue.
func publishMany(t *testing.T, js jetstream.JetStream, p delivery.Priority, n int) {
	t.Helper()
	publishCrowd(t, js, p, n, 1)
}

// crowd is a sender by number; 0 is the one of most tests.
func crowd(i int) string { return fmt.Sprint(15550001111 + i) }

// publishCrowd puts n jobs of a priority on the queue, of some senders in turn.
func publishCrowd(t *testing.T, js jetstream.JetStream, p delivery.Priority, n, senders int) {
	t.Helper()
	for i := range n {
		one := job(fmt.Sprintf("%s-%d", p, i), p)
		one.From = "whatsapp:+" + crowd(i%senders)
		data, err := json.Marshal(one)
		require.NoError(t, err)
		_, err = js.PublishAsync(delivery.JobSubject(p, crowd(i%senders)), data)
		require.NoError(t, err)
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-time.After(patience):
		t.Fatal("not published")
	}
}

type handlerFunc func(context.Context, delivery.Task) delivery.Settlement

func (f handlerFunc) Handle(ctx context.Context, task delivery.Task) delivery.Settlement {
	return f(ctx, task)
}

func ack() delivery.Settlement { return delivery.Settlement{Action: delivery.Ack} }

// work runs a worker until stop is called or the test ends.
func work(t *testing.T, js jetstream.JetStream, h jobstream.Handler, cfg jobstream.WorkerConfig) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- jobstream.NewWorker(js, jobstream.NewLog(js), h, cfg).Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, receive(t, done))
	})
	t.Cleanup(stop)
	return stop
}

func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		require.FailNow(t, "nothing came")
		panic("unreachable")
	}
}

func state(t *testing.T, js jetstream.JetStream, stream string) jetstream.StreamState {
	t.Helper()
	s, err := js.Stream(t.Context(), stream)
	require.NoError(t, err)
	return s.CachedInfo().State
}

// empties waits until a stream has no message left.
func empties(t *testing.T, js jetstream.JetStream, stream string) {
	t.Helper()
	require.Eventually(t, func() bool { return state(t, js, stream).Msgs == 0 }, patience, tick)
}

// events reads the log's events of a type.
func events(t *testing.T, js jetstream.JetStream, want delivery.EventType) []delivery.Event {
	t.Helper()
	stream, err := js.Stream(t.Context(), jobstream.StreamLog)
	require.NoError(t, err)
	var found []delivery.Event
	for seq := uint64(1); seq <= stream.CachedInfo().State.LastSeq; seq++ {
		msg, err := stream.GetMsg(t.Context(), seq)
		require.NoError(t, err)
		var e delivery.Event
		require.NoError(t, json.Unmarshal(msg.Data, &e))
		if e.Type == want {
			require.Equal(t, delivery.EventSubject(e.Sender(), e.Type), msg.Subject)
			found = append(found, e)
		}
	}
	return found
}

// faulty wraps a JetStream that loses things, each once per message.
type faulty struct {
	jetstream.JetStream
	loseAck    bool // acknowledgements are never sent
	loseAnswer bool // what is published is stored, and looks as if it timed out

	full atomic.Bool // the server's store takes nothing more
	dead atomic.Bool // the process is gone: nothing it says reaches the server

	largest atomic.Int64 // fetch

	mu   sync.Mutex
	lost map[string]bool
}

func (f *faulty) once(what string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lost[what] {
		return false
	}
	if f.lost == nil {
		f.lost = make(map[string]bool)
	}
	f.lost[what] = true
	return true
}

func (f *faulty) PublishMsg(ctx context.Context, m *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	if f.full.Load() {
		return nil, &jetstream.APIError{Code: 503, ErrorCode: 10023, Description: "insufficient resources"}
	}
	if f.dead.Load() {
		return nil, nats.ErrConnectionClosed
	}
	ack, err := f.JetStream.PublishMsg(ctx, m, opts...)
	if err == nil && f.loseAnswer && f.once(m.Header.Get(nats.MsgIdHdr)) {
		return nil, nats.ErrTimeout
	}
	return ack, err
}

func (f *faulty) Consumer(ctx context.Context, stream, name string) (jetstream.Consumer, error) {
	c, err := f.JetStream.Consumer(ctx, stream, name)
	return &faultyConsumer{c, f}, err
}

type faultyConsumer struct {
	jetstream.Consumer
	f *faulty
}

func (c *faultyConsumer) Fetch(n int, opts ...jetstream.FetchOpt) (jetstream.MessageBatch, error) {
	return c.wrap(c.Consumer.Fetch(n, opts...))
}

func (c *faultyConsumer) FetchNoWait(n int) (jetstream.MessageBatch, error) {
	for m := c.f.largest.Load(); int64(n) > m && !c.f.largest.CompareAndSwap(m, int64(n)); m = c.f.largest.Load() {
	}
	return c.wrap(c.Consumer.FetchNoWait(n))
}

func (c *faultyConsumer) wrap(b jetstream.MessageBatch, err error) (jetstream.MessageBatch, error) {
	return &faultyBatch{b, c.f}, err
}

type faultyBatch struct {
	jetstream.MessageBatch
	f *faulty
}

func (b *faultyBatch) Messages() <-chan jetstream.Msg {
	out := make(chan jetstream.Msg)
	go func() {
		defer close(out)
		for msg := range b.MessageBatch.Messages() {
			out <- &faultyMsg{msg, b.f}
		}
	}()
	return out
}

type faultyMsg struct {
	jetstream.Msg
	f *faulty
}

func (m *faultyMsg) InProgress() error {
	if m.f.dead.Load() {
		return nil
	}
	return m.Msg.InProgress()
}

func (m *faultyMsg) NakWithDelay(d time.Duration) error {
	if m.f.dead.Load() {
		return nil
	}
	return m.Msg.NakWithDelay(d)
}

func (m *faultyMsg) Ack() error {
	if m.f.dead.Load() {
		return nil
	}
	meta, err := m.Metadata()
	if err != nil {
		return err
	}
	if m.f.loseAck && m.f.once(fmt.Sprint("ack", meta.Stream, meta.Sequence.Stream)) {
		return nil
	}
	return m.Msg.Ack()
}
