package embedded_test

import (
	"bytes"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/embedded"
)

func startNATS(t *testing.T, cfg embedded.NATSConfig) *embedded.NATS {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	srv, err := embedded.StartNATS(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(srv.Close)
	return srv
}

func TestNATSServesTheProcessAlone(t *testing.T) {
	t.Parallel()
	srv := startNATS(t, embedded.NATSConfig{Token: "secret"})
	require.Empty(t, srv.URL())

	conn, err := srv.Connect()
	require.NoError(t, err)
	defer conn.Close()
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	_, err = js.AccountInfo(t.Context())
	require.NoError(t, err)
}

func TestNATSListensAndAsksForTheToken(t *testing.T) {
	t.Parallel()
	var log syncBuffer
	srv := startNATS(t, embedded.NATSConfig{
		Addr: "127.0.0.1:0", Token: "secret", Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	require.Regexp(t, `^nats://127\.0\.0\.1:[1-9][0-9]*$`, srv.URL())

	_, err := nats.Connect(srv.URL())
	require.ErrorIs(t, err, nats.ErrAuthorization)
	require.Eventually(t, func() bool { // what the server calls an error is one in our log
		return bytes.Contains(log.Bytes(), []byte("level=ERROR")) &&
			bytes.Contains(log.Bytes(), []byte("authentication error"))
	}, 5*time.Second, 10*time.Millisecond)

	conn, err := nats.Connect(srv.URL(), nats.Token("secret"))
	require.NoError(t, err)
	conn.Close()
}

func TestNATSEverywhereHasAnAddressToDial(t *testing.T) {
	t.Parallel()
	srv := startNATS(t, embedded.NATSConfig{Addr: ":0"})
	conn, err := nats.Connect(srv.URL())
	require.NoError(t, err)
	conn.Close()
}

func TestNATSKeepsItsDataOverARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for want := uint64(1); want <= 3; want++ {
		srv, err := embedded.StartNATS(t.Context(), embedded.NATSConfig{Dir: dir, SyncAlways: true})
		require.NoError(t, err)
		conn, err := srv.Connect()
		require.NoError(t, err)
		js, err := jetstream.New(conn)
		require.NoError(t, err)
		_, err = js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}})
		require.NoError(t, err)
		ack, err := js.Publish(t.Context(), "s", nil)
		require.NoError(t, err)
		require.Equal(t, want, ack.Sequence)
		conn.Close()
		srv.Close()
	}
}

func TestNATSSaysWhyItDoesNotStart(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, taken.Close()) }()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))

	for name, tt := range map[string]struct {
		cfg  embedded.NATSConfig
		says string
	}{
		"port in use":    {embedded.NATSConfig{Dir: t.TempDir(), Addr: taken.Addr().String()}, taken.Addr().String()},
		"no port":        {embedded.NATSConfig{Dir: t.TempDir(), Addr: "localhost"}, "host:port"},
		"no number":      {embedded.NATSConfig{Dir: t.TempDir(), Addr: "localhost:http"}, "no valid port"},
		"no folder":      {embedded.NATSConfig{}, "data folder"},
		"file as folder": {embedded.NATSConfig{Dir: file}, file},
		"file in folder": {embedded.NATSConfig{Dir: brokenFolder(t)}, "JetStream"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := embedded.StartNATS(t.Context(), tt.cfg)
			require.ErrorContains(t, err, tt.says)
		})
	}
}

// brokenFolder has a file where the server wants a folder.
func brokenFolder(t *testing.T) string {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "jetstream"), nil, 0o600))
	return dir
}

type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) Bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.buf.Bytes())
}
