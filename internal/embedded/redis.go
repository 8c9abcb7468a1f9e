package embedded

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// RedisConfig tunes the embedded Redis.
type RedisConfig struct {
	// Now is the server's clock, which TIME and every TTL follow. Default: the
	// wall clock, with keys that expire up to a second late.
	Now func() time.Time
}

// Redis is an in-memory Redis that lives and dies with the process. It takes
// about 2,000 scripts a second, fewer with windows beyond some thousand
// members, and keeps nothing.
type Redis struct {
	server *miniredis.Miniredis
	client *redis.Client
	epoch  string
	stop   chan struct{} // closed by Close
	ended  chan struct{} // closed when age has returned
}

// ageEvery is how often keys grow older. The server can do it on every command
// (ClockTTL), but then each command of each script sorts all keys: with 1,000 jobs
// an admission takes 4.3 ms instead of 0.3 (BenchmarkAdmitEmbedded of ratelimit).
const ageEvery = time.Second

// StartRedis starts an empty Redis on a free loopback port, behind a password
// that only this process knows. An in-memory connection would do without a
// port, but it has no buffer: client and server wait for each other as soon as
// a pipeline is longer than what either holds.
func StartRedis(cfg RedisConfig) (*Redis, error) {
	srv, password := miniredis.NewMiniRedis(), randomHex()
	srv.RequireAuth(password)
	if err := srv.StartAddr("127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("embedded redis: %w", err)
	}
	if cfg.Now != nil {
		srv.SetTime(cfg.Now())
		srv.ClockTTL(true)
	}
	client := redis.NewClient(&redis.Options{
		Addr:     srv.Addr(),
		Password: password,
		// A script that is repeated after a time-out may run twice: whoever calls
		// decides that, never the client.
		MaxRetries:            -1,
		ContextTimeoutEnabled: true,
		DisableIdentity:       true,
		MaintNotificationsConfig: &maintnotifications.Config{
			Mode: maintnotifications.ModeDisabled,
		},
	})
	if cfg.Now != nil {
		client.AddHook(clockHook{server: srv, now: cfg.Now})
	}
	r := &Redis{server: srv, client: client, epoch: randomHex(), stop: make(chan struct{}), ended: make(chan struct{})}
	go r.age(cfg.Now == nil)
	if err := client.Ping(context.Background()).Err(); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Client is the one connection pool of the process. [Redis.Close] closes it.
func (r *Redis) Client() redis.UniversalClient { return r.client }

// Epoch names this life of the server, as master_replid does a real one's: whatever
// was kept under another epoch is gone.
func (r *Redis) Epoch() string { return r.epoch }

// age lets keys expire, up to ageEvery late, until Close.
func (r *Redis) age(byWallClock bool) {
	defer close(r.ended)
	tick := time.NewTicker(ageEvery)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-r.stop:
			return
		case now := <-tick.C:
			if byWallClock {
				r.server.FastForward(now.Sub(last))
			}
			last = now
		}
	}
}

// Close stops the server; its content is lost. It is called once.
func (r *Redis) Close() error {
	close(r.stop)
	<-r.ended
	err := r.client.Close()
	r.server.Close()
	return err
}

func randomHex() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return hex.EncodeToString(b[:])
}

// clockHook sets the server's clock before each command.
type clockHook struct {
	server *miniredis.Miniredis
	now    func() time.Time
}

func (h clockHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h clockHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		h.server.SetTime(h.now())
		return next(ctx, cmd)
	}
}

func (h clockHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		h.server.SetTime(h.now())
		return next(ctx, cmds)
	}
}
