package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/sandbox"
	"github.com/sluicehq/sluice/internal/senders"
)

const (
	benchSenders = 8 // at the highest rate a sender may have
	benchMPS     = 1000
	benchJobs    = 5000
	benchMost    = 200_000
	benchLongest = 10 * time.Minute
)

// benchFlags are what a measurement depends on besides the machine.
type benchFlags struct {
	jobs            int
	redisURL, fsync string
	asJSON          bool
}

func newBench(p *program) *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use: "bench", Short: "Measures what this machine takes, through the sandbox", Args: cobra.NoArgs,
		Annotations: map[string]string{whenInterrupted: "nothing was measured, run it again"},
		Long: `Runs everything in one process, with a temporary data folder and the sandbox as
provider, and sends as many jobs as given with no limit in the way. Tells how
many jobs a second were accepted by the queue, sent to the provider, and settled
by its status callbacks. The sandbox takes its share of the machine, so real
figures are better. TWILIO_* and SLUICE_* variables are ignored.`,
		Example: "  sluice bench\n  sluice bench --jobs 20000 --redis-url redis://127.0.0.1:6379/9 --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.jobs < 1 || f.jobs > benchMost {
				return usageError{fmt.Errorf("--jobs: %d, use 1 to %d", f.jobs, benchMost)}
			}
			if !oneOf(f.fsync, []string{fsyncAlways, fsyncInterval}) {
				return usageError{fmt.Errorf("--fsync: %q, use %s or %s", f.fsync, fsyncAlways, fsyncInterval)}
			}
			return p.bench(cmd.Context(), f)
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&f.jobs, "jobs", benchJobs, "how many jobs to send")
	flags.StringVar(&f.fsync, "fsync", fsyncAlways, "of the embedded NATS: always or interval")
	flags.StringVar(&f.redisURL, "redis-url", "", "an empty Redis, instead of the embedded one")
	flags.BoolVar(&f.asJSON, "json", false, "print JSON")
	return cmd
}

func (f benchFlags) config(dir string) Config {
	cfg := demoConfig(dir)
	cfg.Fsync, cfg.RedisURL = f.fsync, f.redisURL
	cfg.Window, cfg.ServiceWindow = 24*time.Hour, 24*time.Hour
	cfg.SendTimeout, cfg.AckWait, cfg.DrainTimeout = 15*time.Second, 30*time.Second, 15*time.Second
	return cfg
}

// benchResult is what a measurement came to. Rates are jobs a second from the
// first publish to the last of its kind.
type benchResult struct {
	Jobs      int     `json:"jobs"`
	Fsync     string  `json:"fsync"`
	Redis     string  `json:"redis"` // embedded or named
	Accepted  float64 `json:"accepted_per_second"`
	Sent      float64 `json:"sent_per_second"`
	Settled   float64 `json:"settled_per_second"`
	Lost      int     `json:"lost"`
	SentTwice int     `json:"sent_twice"`
	Seconds   float64 `json:"seconds"`
}

func (p *program) bench(ctx context.Context, f benchFlags) error {
	if err := refuseUsedRedis(ctx, f.redisURL); err != nil {
		return err
	}
	var r benchResult
	err := p.inHouse(ctx, f.config, func(ctx context.Context, h *house) (err error) {
		ctx, cancel := context.WithTimeoutCause(ctx, benchLongest, errors.New("not over in ten minutes: use fewer --jobs"))
		defer cancel()
		d := &demo{program: p, house: h, jobs: benchCampaign(f.jobs)}
		r, err = d.measure(ctx)
		return err
	})
	if err != nil {
		return err
	}
	r.Fsync, r.Redis = f.fsync, "embedded"
	if f.redisURL != "" {
		r.Redis = "named"
	}
	if f.asJSON {
		err = json.NewEncoder(p.out).Encode(r)
	} else {
		err = p.table(r.rows())
	}
	if err == nil && r.Lost+r.SentTwice > 0 {
		err = errors.New("the sandbox convicts us: lost and sent twice must be 0")
	}
	return err
}

// refuseUsedRedis keeps a measurement out of what others need.
func refuseUsedRedis(ctx context.Context, rawURL string) error {
	if rawURL == "" {
		return nil
	}
	client, err := newRedis(rawURL, "")
	if err != nil {
		return wrong("--redis-url", "%s", err)
	}
	defer client.Close()
	keys, err := client.DBSize(ctx).Result()
	if err != nil {
		return fmt.Errorf("redis at %s cannot be reached: %w (--redis-url)", redactURL(rawURL), err)
	}
	if keys > 0 {
		return wrong("--redis-url", "that Redis holds %d keys: a measurement needs an empty one", keys)
	}
	return nil
}

func benchCampaign(n int) []delivery.Job {
	jobs := make([]delivery.Job, n)
	for i := range jobs {
		jobs[i] = delivery.Job{
			ID: fmt.Sprintf("bench-%06d", i+1), From: delivery.SenderAddress(benchSender(i % benchSenders)),
			To:         fmt.Sprintf("whatsapp:+1555%07d", 2_000_000+i),
			ContentSID: "HX00000000000000000000000000000001",
		}
	}
	return jobs
}

func benchSender(i int) string { return fmt.Sprintf("1555010%04d", 2000+i) }

// measure publishes everything at once and times the last of each kind.
func (d *demo) measure(ctx context.Context) (r benchResult, err error) {
	if err := poll(ctx, d.house.ready); err != nil {
		return r, err
	}
	if err := d.openWide(ctx); err != nil {
		return r, err
	}
	seen := newTally()
	ctx, cancel := context.WithCancel(ctx)
	watch := make(chan error, 1)
	go func() { watch <- d.house.log.Follow(ctx, 1, 512, seen.add) }()
	defer func() { cancel(); <-watch }()

	n := float64(len(d.jobs))
	d.begun = time.Now()
	if err := d.publish(ctx); err != nil {
		return r, err
	}
	r.Accepted = n / time.Since(d.begun).Seconds()
	for _, stage := range []struct {
		rate *float64
		name string
		done func() int
	}{
		{&r.Sent, "sent", func() int { return seen.count(delivery.EventQueued, delivery.EventSent, delivery.EventDelivered) }},
		{&r.Settled, "settled", seen.finished},
	} {
		if err := d.until(ctx, stage.done, stage.name); err != nil {
			return r, err
		}
		*stage.rate = n / time.Since(d.begun).Seconds()
	}
	table := d.table(seen)
	r.Jobs, r.Lost, r.SentTwice, r.Seconds = table.Jobs, table.Lost, table.SentTwice, table.Seconds
	return r, nil
}

// openWide takes every limit out of the way, on both sides.
func (d *demo) openWide(ctx context.Context) error {
	ours, mps, theirs, rate := senders.Unlimited, float64(benchMPS), sandbox.Unlimited, sandbox.Rate(benchMPS)
	for i := range benchSenders {
		if _, err := d.house.registry.PutSender(ctx, benchSender(i), senders.Patch{Limit: &ours, MPS: &mps}); err != nil {
			return err
		}
		if _, err := d.house.sandbox.PutSender(benchSender(i), sandbox.SenderPatch{Limit: &theirs, MPS: &rate}); err != nil {
			return err
		}
	}
	return nil
}

// until waits, with a bar, until all jobs are done.
func (d *demo) until(ctx context.Context, done func() int, name string) error {
	meter := newMeter(d.err)
	defer meter.end()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		now := done()
		meter.at(now, len(d.jobs), name)
		if now == len(d.jobs) {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

func (r benchResult) rows() [][]string {
	rate := func(v float64) string { return fmt.Sprintf("%.0f jobs a second", v) }
	return [][]string{
		{"jobs", fmt.Sprint(r.Jobs)},
		{"accepted", rate(r.Accepted), "stored by the queue"},
		{"sent", rate(r.Sent), "taken by the provider"},
		{"settled", rate(r.Settled), "delivered, by its status callbacks"},
		{"lost", fmt.Sprint(r.Lost), "by the sandbox's ledger"},
		{"sent twice", fmt.Sprint(r.SentTwice), "by the sandbox's ledger"},
		{"seconds", fmt.Sprintf("%.1f", r.Seconds), "fsync " + r.Fsync + ", Redis " + r.Redis},
	}
}
