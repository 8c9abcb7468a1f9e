package producer_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/producer"
)

// runServer starts a NATS server in this process; port -1 takes a free one.
func runServer(t testing.TB, dir string, port int) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, NoLog: true, NoSigs: true,
	})
	require.NoError(t, err)
	s.Start()
	require.True(t, s.ReadyForConnections(10*time.Second))
	t.Cleanup(func() { stopServer(s) })
	return s
}

func stopServer(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

func connect(t testing.TB, s *server.Server) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(s.ClientURL(), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	return js
}

// newQueue starts a server with an empty queue of at most most jobs, -1 for
// any number.
func newQueue(t testing.TB, most int64) (jetstream.JetStream, jetstream.Stream) {
	t.Helper()
	js := connect(t, runServer(t, t.TempDir(), -1))
	return js, createQueue(t, js, most)
}

func createQueue(t testing.TB, js jetstream.JetStream, most int64) jetstream.Stream {
	t.Helper()
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name:      "SLUICE_JOBS",
		Subjects:  []string{"sluice.jobs.high.*", "sluice.jobs.normal.*", "sluice.jobs.low.*"},
		Retention: jetstream.WorkQueuePolicy,
		Discard:   jetstream.DiscardNew,
		MaxMsgs:   most,
	})
	require.NoError(t, err)
	return stream
}

func stored(t testing.TB, stream jetstream.Stream) uint64 {
	t.Helper()
	info, err := stream.Info(t.Context())
	require.NoError(t, err)
	return info.State.Msgs
}

func job(id string) producer.Job {
	return producer.Job{ID: id, From: "whatsapp:+4915112345678", To: "whatsapp:+4915187654321", Body: "hello"}
}

// scripted is a JetStream whose publishes go as the test says.
type scripted struct {
	jetstream.JetStream
	publish func(ctx context.Context, msg *nats.Msg) (*jetstream.PubAck, error)
}

func (s scripted) PublishMsg(ctx context.Context, msg *nats.Msg, _ ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	return s.publish(ctx, msg)
}

// Stream is refused, as to an account that may only publish.
func (s scripted) Stream(context.Context, string) (jetstream.Stream, error) {
	return nil, nats.ErrPermissionViolation
}

func published(t testing.TB, stream jetstream.Stream, seq uint64) (delivery.Published, nats.Header) {
	t.Helper()
	raw, err := stream.GetMsg(t.Context(), seq)
	require.NoError(t, err)
	return delivery.Published{
		Subject: raw.Subject, Data: raw.Data, MsgID: raw.Header.Get(jetstream.MsgIDHeader),
		Sequence: raw.Sequence, Time: raw.Time,
	}, raw.Header
}
