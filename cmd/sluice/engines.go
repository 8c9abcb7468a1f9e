package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"

	"github.com/sluicehq/sluice/internal/embedded"
)

// engines are the two servers that everything stands on.
type engines struct {
	js     jetstream.JetStream // for reading and consuming
	pub    jetstream.JetStream // for publishing: acks must not queue behind jobs
	gate   redis.UniversalClient
	ledger redis.UniversalClient
	epoch  string // of an embedded Redis; a real one has its master_replid
	nats   string // where producers connect; empty if nowhere
	closer []func()
}

func (e *engines) close() {
	for i := len(e.closer) - 1; i >= 0; i-- {
		e.closer[i]()
	}
}

func (e *engines) onClose(f func()) { e.closer = append(e.closer, f) }

// reachFor is how long a role tries to reach NATS and Redis at its start.
const reachFor = 20 * time.Second

// startEngines connects to the servers that the settings name and starts the
// others in this process.
func startEngines(ctx context.Context, cfg Config, log *slog.Logger) (*engines, error) {
	e := &engines{}
	err := e.startNATS(ctx, cfg, log)
	if err == nil {
		redis.SetLogger(redisLog{log})
		err = e.startRedis(ctx, cfg)
	}
	if err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

func (e *engines) startNATS(ctx context.Context, cfg Config, log *slog.Logger) error {
	connect := func() (*nats.Conn, error) { return connectNATS(ctx, cfg, log) }
	if cfg.NATSURL == "" {
		// One process owns the folder: no other one can hold a grant of the
		// embedded Redis, so nothing has to be waited for after a restart.
		unlock, err := embedded.LockDir(cfg.Data)
		if err != nil {
			return err
		}
		e.onClose(unlock)
		server, err := embedded.StartNATS(ctx, embedded.NATSConfig{
			Dir: cfg.Data, Addr: cfg.NATSAddr, Token: cfg.NATSToken, SyncAlways: cfg.Fsync == fsyncAlways, Log: log,
		})
		if err != nil {
			return err
		}
		e.onClose(server.Close)
		e.nats = server.URL()
		connect = func() (*nats.Conn, error) { return server.Connect(natsOptions(cfg, log)...) }
	} else {
		e.nats = redactURL(cfg.NATSURL)
	}
	for _, js := range []*jetstream.JetStream{&e.js, &e.pub} {
		nc, err := connect()
		if err != nil {
			return err
		}
		e.onClose(nc.Close)
		if *js, err = jetstream.New(nc); err != nil {
			return err
		}
	}
	return nil
}

func natsOptions(cfg Config, log *slog.Logger) []nats.Option {
	options := []nats.Option{
		nats.Name("sluice"), nats.MaxReconnects(-1), nats.ReconnectWait(500 * time.Millisecond),
		// A connection that is open on this side alone is noticed within half a
		// minute, not after the client's six.
		nats.PingInterval(10 * time.Second), nats.MaxPingsOutstanding(2),
		// No buffer: a publish while disconnected fails at once and is repeated
		// with the same id, instead of going out late.
		nats.ReconnectBufSize(-1),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("NATS connection lost, reconnecting", "error", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { log.Info("NATS connection restored") }),
	}
	if cfg.NATSToken != "" {
		options = append(options, nats.Token(cfg.NATSToken))
	}
	if cfg.NATSCreds != "" {
		options = append(options, nats.UserCredentials(cfg.NATSCreds))
	}
	if cfg.NATSCA != "" {
		options = append(options, nats.RootCAs(cfg.NATSCA))
	}
	return options
}

func connectNATS(ctx context.Context, cfg Config, log *slog.Logger) (*nats.Conn, error) {
	var nc *nats.Conn
	err := reach(ctx, func() (err error) {
		nc, err = nats.Connect(cfg.NATSURL, natsOptions(cfg, log)...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("NATS at %s cannot be reached: %w (see that it runs, with JetStream; SLUICE_NATS_URL)", redactURL(cfg.NATSURL), cause(err))
	}
	return nc, nil
}

// reach tries until it succeeds or the time for it is over.
func reach(ctx context.Context, try func() error) error {
	deadline := time.Now().Add(reachFor)
	for {
		err := try()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(250 * time.Millisecond):
		}
	}
}

func (e *engines) startRedis(ctx context.Context, cfg Config) error {
	if cfg.RedisURL == "" {
		server, err := embedded.StartRedis(embedded.RedisConfig{})
		if err != nil {
			return err
		}
		e.onClose(func() { _ = server.Close() })
		e.gate, e.ledger, e.epoch = server.Client(), server.Client(), server.Epoch()
		return nil
	}
	var err error
	if e.gate, err = e.connectRedis(ctx, "SLUICE_REDIS_URL", cfg.RedisURL, cfg.RedisCA); err != nil {
		return err
	}
	e.ledger = e.gate
	if cfg.LedgerRedisURL != "" {
		e.ledger, err = e.connectRedis(ctx, "SLUICE_LEDGER_REDIS_URL", cfg.LedgerRedisURL, cfg.RedisCA)
	}
	return err
}

// redisLog keeps the client's own remarks out of stderr: what it cannot do it
// also returns, and the caller tells.
type redisLog struct{ log *slog.Logger }

func (l redisLog) Printf(ctx context.Context, format string, v ...any) {
	l.log.DebugContext(ctx, fmt.Sprintf(format, v...), "component", "redis")
}

func (e *engines) connectRedis(ctx context.Context, name, rawURL, ca string) (redis.UniversalClient, error) {
	client, err := newRedis(rawURL, ca)
	if err != nil {
		return nil, wrong(name, "%s", err)
	}
	if err := reach(ctx, func() error { return client.Ping(ctx).Err() }); err != nil {
		client.Close()
		return nil, fmt.Errorf("redis at %s cannot be reached: %w (see that it runs; %s)", redactURL(rawURL), err, name)
	}
	e.onClose(func() { client.Close() })
	return client, refuseEviction(ctx, client, name)
}

// newRedis makes the client of a URL. It does not connect yet.
func newRedis(rawURL, ca string) (redis.UniversalClient, error) {
	options, err := redisOptions(rawURL, ca)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(rawURL, "redis+cluster:") {
		return redis.NewClusterClient(options.Cluster()), nil
	}
	return redis.NewUniversalClient(options), nil
}

// refuseEviction looks at what Redis does when its memory is full. Where that
// cannot be read, as in managed services, nothing is refused.
func refuseEviction(ctx context.Context, client redis.UniversalClient, name string) error {
	values, err := client.ConfigGet(ctx, "maxmemory-policy").Result()
	if err != nil {
		return nil
	}
	switch policy := values["maxmemory-policy"]; policy {
	case "", "noeviction":
		return nil
	default:
		return wrong(name, "that Redis evicts keys (maxmemory-policy %s), which would forget who was counted; set it to noeviction", policy)
	}
}

// redisOptions reads the URL forms: redis, rediss, redis+sentinel with the
// master's name as path, redis+cluster with several hosts.
func redisOptions(raw, ca string) (*redis.UniversalOptions, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return nil, errors.New("is not a URL as in redis://host:6379/0")
	}
	o := &redis.UniversalOptions{
		Addrs: strings.Split(u.Host, ","), Username: u.User.Username(),
		// A script is never repeated behind our back: see ratelimit.New.
		MaxRetries: -1, ContextTimeoutEnabled: true,
		DialTimeout: 2 * time.Second, ReadTimeout: 2 * time.Second, WriteTimeout: 2 * time.Second,
	}
	o.Password, _ = u.User.Password()
	path := strings.Trim(u.Path, "/")
	switch u.Scheme {
	case "redis", "rediss":
		if path != "" {
			if o.DB, err = strconv.Atoi(path); err != nil {
				return nil, errors.New("the path must be the number of the database")
			}
		}
	case "redis+sentinel":
		if path == "" {
			return nil, errors.New("the path must name the master, as in redis+sentinel://host:26379/mymaster")
		}
		o.MasterName = path
	case "redis+cluster":
	default:
		return nil, fmt.Errorf("has the scheme %q, use redis, rediss, redis+sentinel or redis+cluster", u.Scheme)
	}
	if u.Scheme == "rediss" || ca != "" {
		if o.TLSConfig, err = tlsConfig(ca); err != nil {
			return nil, err
		}
	}
	return o, nil
}

func tlsConfig(ca string) (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca == "" {
		return cfg, nil
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	cfg.RootCAs = x509.NewCertPool()
	if !cfg.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", ca)
	}
	return cfg, nil
}
