package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"

	"github.com/sluicehq/sluice/internal/jobstream"
)

func (d *doctor) checkNATS(ctx context.Context) {
	if d.cfg.NATSURL == "" {
		d.checkEmbedded()
		return
	}
	nc, err := nats.Connect(d.cfg.NATSURL, append(natsOptions(d.cfg, d.log), nats.Timeout(checkTimeout))...)
	if err != nil {
		d.say("nats", checkFail, "%s cannot be reached: %s: see that it runs, and SLUICE_NATS_URL, SLUICE_NATS_CREDS, SLUICE_NATS_CA", redactURL(d.cfg.NATSURL), cause(err))
		return
	}
	defer nc.Close()
	d.say("nats", checkOK, "%s, server %s", redactURL(d.cfg.NATSURL), nc.ConnectedServerVersion())
	js, err := jetstream.New(nc)
	if err != nil {
		d.say("jetstream", checkFail, "%s", err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	if _, err := js.AccountInfo(ctx); err != nil {
		d.say("jetstream", checkFail, "%s: start the server with JetStream (-js), and enable it for this account", err)
		return
	}
	d.say("jetstream", checkOK, "is enabled for this account")
	d.checkStreams(ctx, js)
	d.checkSync(nc)
}

// checkEmbedded looks at where `sluice up` would keep its own NATS.
func (d *doctor) checkEmbedded() {
	d.say("nats", checkOK, "embedded in `sluice up`; the separate roles need SLUICE_NATS_URL")
	if free, err := freeBytes(d.cfg.Data); err == nil {
		d.judge("disk", free >= uint64(d.cfg.DiskReserve), checkFail, d.cfg.Data+" has room",
			fmt.Sprintf("%s is nearly full: new jobs are refused until it has %d bytes free (SLUICE_DISK_RESERVE)", d.cfg.Data, d.cfg.DiskReserve))
	}
	d.judge("fsync", d.cfg.Fsync == fsyncAlways, checkWarn, "on every write",
		"SLUICE_FSYNC=interval: a power failure loses the last seconds; set it to always")
}

func (d *doctor) checkStreams(ctx context.Context, js jetstream.JetStream) {
	for _, name := range []string{jobstream.StreamJobs, jobstream.StreamWait, jobstream.StreamLog, jobstream.StreamFacts} {
		asked := time.Now()
		stream, err := js.Stream(ctx, name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			d.say("stream "+name, checkWarn, "does not exist yet: the first role to start makes it")
			continue
		}
		if err != nil {
			d.say("stream "+name, checkFail, "%s", err)
			continue
		}
		info := stream.CachedInfo()
		switch {
		case info.Config.Storage != jetstream.FileStorage:
			d.say("stream "+name, checkFail, "is kept in memory: delete it while nothing waits in it, and start a role")
		case info.Config.Replicas < d.cfg.StreamReplicas:
			d.say("stream "+name, checkWarn, "has %d replicas, SLUICE_STREAM_REPLICAS says %d: restart a role", info.Config.Replicas, d.cfg.StreamReplicas)
		default:
			d.say("stream "+name, checkOK, "%d messages, %d replicas", info.State.Msgs, info.Config.Replicas)
		}
		if name == jobstream.StreamLog && !info.TimeStamp.IsZero() {
			d.checkClock("NATS", info.TimeStamp, asked, 0)
		}
	}
}

// checkSync asks the server how it writes. Only its system account is told.
func (d *doctor) checkSync(nc *nats.Conn) {
	reply, err := nc.Request("$SYS.REQ.SERVER.PING.VARZ", nil, time.Second)
	var varz struct {
		Data struct {
			JetStream struct {
				Config struct {
					SyncAlways bool `json:"sync_always"`
				} `json:"config"`
			} `json:"jetstream"`
		} `json:"data"`
	}
	if err != nil || json.Unmarshal(reply.Data, &varz) != nil {
		d.say("fsync", checkWarn, "cannot be read with this account: see that the server's jetstream block has sync_interval: always, or that streams have 3 replicas")
		return
	}
	d.judge("fsync", varz.Data.JetStream.Config.SyncAlways, checkWarn, "on every write",
		"not on every write: a power failure loses acknowledged jobs; set sync_interval: always, or 3 replicas")
}

func (d *doctor) checkAllRedis(ctx context.Context) {
	if d.cfg.RedisURL == "" {
		d.say("redis", checkOK, "embedded in `sluice up`, fine to about 2,000 admissions a second; the separate roles need SLUICE_REDIS_URL")
		return
	}
	redis.SetLogger(redisLog{d.log}) // what it cannot do it also returns
	d.checkRedis(ctx, "redis", "SLUICE_REDIS_URL", d.cfg.RedisURL)
	if d.cfg.LedgerRedisURL != "" {
		d.checkRedis(ctx, "ledger redis", "SLUICE_LEDGER_REDIS_URL", d.cfg.LedgerRedisURL)
	}
}

func (d *doctor) checkRedis(ctx context.Context, what, setting, rawURL string) {
	client, err := newRedis(rawURL, d.cfg.RedisCA)
	if err != nil {
		d.say(what, checkFail, "%s %s", setting, err)
		return
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	asked := time.Now()
	now, err := client.Time(ctx).Result()
	if err != nil {
		d.say(what, checkFail, "%s cannot be reached: %s: see that it runs, and %s", redactURL(rawURL), err, setting)
		return
	}
	d.say(what, checkOK, "%s, server %s", redactURL(rawURL), infoOf(ctx, client, "server")["redis_version"])
	d.checkClock(what, now, asked, 0)
	d.checkEviction(ctx, client, what)
	d.judge(what+" persistence", infoOf(ctx, client, "persistence")["aof_enabled"] == "1", checkWarn, "append-only file is on",
		"no append-only file (or it cannot be read): nothing is lost, but after a restart nothing is sent until the log is read again; set appendonly yes")
}

func (d *doctor) checkEviction(ctx context.Context, client redis.UniversalClient, what string) {
	values, err := client.ConfigGet(ctx, "maxmemory-policy").Result()
	policy := values["maxmemory-policy"]
	switch {
	case err != nil || policy == "":
		d.say(what+" eviction", checkWarn, "cannot be read: see that maxmemory-policy is noeviction")
	case policy == "noeviction":
		d.say(what+" eviction", checkOK, "noeviction")
	default:
		d.say(what+" eviction", checkFail, "maxmemory-policy is %s, which would forget who was counted: set it to noeviction", policy)
	}
}

// infoOf is a section of INFO; empty where it cannot be read.
func infoOf(ctx context.Context, client redis.UniversalClient, section string) map[string]string {
	text, err := client.Info(ctx, section).Result()
	if err != nil {
		return nil
	}
	values := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			values[name] = value
		}
	}
	return values
}
