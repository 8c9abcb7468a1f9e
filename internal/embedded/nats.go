package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// NATSConfig says where an embedded NATS server keeps its data and whether
// other processes reach it.
type NATSConfig struct {
	// Dir is the data folder, required and made if missing. Two servers on one
	// folder destroy it: take [LockDir] first.
	Dir string
	// Addr is host:port for other processes; port 0 picks a free one. Empty:
	// no listener, the process alone connects.
	Addr string
	// Token, if set, is asked of every client.
	Token string
	// SyncAlways makes every acknowledged write survive a power failure; without
	// it the last two minutes may be lost then. A mere crash loses nothing.
	SyncAlways bool
	// Log gets the server's warnings and errors, among them those of the disk.
	// Default: discarded.
	Log *slog.Logger
}

const (
	// unbounded stands for "as the disk holds". Left to itself the server takes
	// three quarters of the space free at each start, and so may refuse on a
	// restart what it held before.
	unbounded    = 1 << 50
	maxMemory    = 256 << 20 // bytes for what is kept in memory alone: passing consumers
	startTimeout = 10 * time.Second
)

// NATS is a running server.
type NATS struct {
	server *server.Server
	token  string
}

// StartNATS starts a server and returns once it serves. The address being in
// use, or a data folder that cannot be written, is an error that names it.
func StartNATS(ctx context.Context, cfg NATSConfig) (*NATS, error) {
	if cfg.Dir == "" {
		return nil, errors.New("embedded NATS needs a data folder")
	}
	opts, err := serverOptions(cfg)
	if err != nil {
		return nil, err
	}
	srv, err := server.NewServer(opts)
	if err != nil {
		return nil, fmt.Errorf("embedded NATS: %w", err)
	}
	log := newServerLog(cfg.Log)
	srv.SetLoggerV2(log, false, false, false)
	n := &NATS{server: srv, token: cfg.Token}
	srv.Start() // reads the streams back
	err = log.failure()
	if err == nil {
		err = n.awaitReady(ctx)
	}
	if err != nil {
		n.Close()
		return nil, fmt.Errorf("embedded NATS in %s does not start: %w", cfg.Dir, err)
	}
	return n, nil
}

func serverOptions(cfg NATSConfig) (*server.Options, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("embedded NATS cannot make its data folder: %w", err)
	}
	opts := &server.Options{
		ServerName:             "sluice",
		JetStream:              true,
		StoreDir:               cfg.Dir,
		SyncAlways:             cfg.SyncAlways,
		JetStreamMaxStore:      unbounded,
		JetStreamMaxMemory:     maxMemory,
		DisableJetStreamBanner: true,
		Authorization:          cfg.Token,
		NoSigs:                 true, // the server's own handlers would exit the process before it has drained
		DontListen:             cfg.Addr == "",
	}
	if cfg.Addr == "" {
		return opts, nil
	}
	host, port, err := freeAddress(cfg.Addr)
	if err != nil {
		return nil, err
	}
	opts.Host, opts.Port = host, port
	return opts, nil
}

// freeAddress makes sure that addr can be listened on, because the server
// itself only logs it when it cannot. Port 0 becomes the server's own way of
// asking for any port.
func freeAddress(addr string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, fmt.Errorf("embedded NATS: address %q is not host:port: %w", addr, err)
	}
	port, err = strconv.Atoi(text)
	if err != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("embedded NATS: address %q has no valid port", addr)
	}
	probe, err := net.Listen("tcp", addr)
	if err != nil {
		return "", 0, fmt.Errorf("embedded NATS cannot listen on %s (free it, or choose another address): %w", addr, err)
	}
	if err := probe.Close(); err != nil {
		return "", 0, fmt.Errorf("embedded NATS: %w", err)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	return host, port, nil
}

// awaitReady waits in short steps, so that ctx can end it.
func (n *NATS) awaitReady(ctx context.Context) error {
	for end := time.Now().Add(startTimeout); !n.server.ReadyForConnections(200 * time.Millisecond); {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Now().After(end) {
			return fmt.Errorf("not ready after %s", startTimeout)
		}
	}
	if !n.server.JetStreamEnabled() {
		return errors.New("JetStream is not enabled")
	}
	return nil
}

// Connect opens a connection inside the process, past any listener. The caller
// closes it.
func (n *NATS) Connect(opts ...nats.Option) (*nats.Conn, error) {
	opts = append([]nats.Option{nats.InProcessServer(n.server), nats.Token(n.token)}, opts...)
	conn, err := nats.Connect("", opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to embedded NATS: %w", err)
	}
	return conn, nil
}

// URL is where other processes connect (without the token), empty when the
// server does not listen.
func (n *NATS) URL() string {
	addr, listens := n.server.Addr().(*net.TCPAddr)
	if !listens {
		return ""
	}
	host := addr.IP.String()
	if addr.IP.IsUnspecified() {
		host = "127.0.0.1" // listening everywhere is no address to dial
	}
	return "nats://" + net.JoinHostPort(host, strconv.Itoa(addr.Port))
}

// Close shuts the server down and waits until everything is on disk.
func (n *NATS) Close() {
	n.server.Shutdown()
	n.server.WaitForShutdown()
}
