package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/ratelimit"
)

// gauges are read from gate, queue and ledger whenever they are scraped, by the
// trackers: they describe the whole system, not one process. What cannot be
// read in time is left out, and so shows as missing instead of as 0.
type gauges struct{ s *system }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	gateOpen     = describe("sluice_gate_open", "1 while jobs are admitted, 0 while the gate is closed.")
	windowUsed   = describe("sluice_window_used", "Different customers counted in the messaging limit's window.", "pool")
	windowLimit  = describe("sluice_window_limit", "The messaging limit of the pool; -1: unlimited.", "pool")
	senderPaused = describe("sluice_sender_paused", "1 while a sender is paused, by hand or after refusals of the provider.", "sender")
	senderRate   = describe("sluice_sender_mps", "Messages a second that a sender may send now: less than its rate for some minutes after the provider found it too fast.", "sender")
	parkedJobs   = describe("sluice_parked", "Jobs that wait for a limit, a rate or a sender.", "pool", "priority")
	parkedOldest = describe("sluice_parked_oldest_seconds", "How long the oldest parked job has waited.", "pool")
	backlogReady = describe("sluice_backlog_ready", "Jobs that a dispatcher could take now: scale replicas on this.")
	readyOldest  = describe("sluice_backlog_oldest_seconds", "How long the oldest job that a dispatcher could take has been ready; 0 if there is none.")
	jobsByState  = describe("sluice_jobs_total", "Jobs by present state, as long as their state is kept.", "state")
)

// Describe implements [prometheus.Collector].
func (g gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{gateOpen, windowUsed, windowLimit, senderPaused, senderRate, parkedJobs, parkedOldest, backlogReady, readyOldest, jobsByState} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (g gauges) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	send := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	open := 0.0
	if g.s.open(ctx) == nil {
		open = 1
	}
	send(gateOpen, open)
	if pools, err := g.s.gate.Pools(ctx); err == nil {
		g.windows(ctx, pools, send)
		g.room(ctx, pools, send)
	}
	if backlog, err := g.s.room.Backlog(ctx); err == nil {
		send(backlogReady, float64(backlog.Ready))
	}
	if since, waits, err := g.s.room.OldestReady(ctx); err == nil {
		age := 0.0
		if waits {
			age = max(0, time.Since(since).Seconds())
		}
		send(readyOldest, age)
	}
	if counts, err := g.s.ledger.Counts(ctx); err == nil {
		for _, status := range delivery.Statuses() {
			send(jobsByState, float64(counts[status]), string(status))
		}
	}
}

type sendMetric func(d *prometheus.Desc, value float64, labels ...string)

func (g gauges) windows(ctx context.Context, pools []string, send sendMetric) {
	for _, pool := range pools {
		limits, err := g.s.gate.Limits(ctx, pool)
		if err != nil {
			return
		}
		send(windowUsed, float64(limits.Used), pool)
		send(windowLimit, float64(limits.Limit), pool)
		for _, sender := range limits.Senders {
			paused := 0.0
			if sender.Paused {
				paused = 1
			}
			send(senderPaused, paused, sender.Sender)
			send(senderRate, sender.EffectiveMPS, sender.Sender)
		}
		for lane, priority := range map[ratelimit.Priority]delivery.Priority{
			ratelimit.High: delivery.High, ratelimit.Normal: delivery.Normal, ratelimit.Low: delivery.Low,
		} {
			send(parkedJobs, float64(limits.Waiting[lane]), pool, string(priority))
		}
	}
}

// room finds the oldest parked job of each pool, 0 where none is parked.
func (g gauges) room(ctx context.Context, pools []string, send sendMetric) {
	counts, err := g.s.room.Counts(ctx)
	if err != nil {
		return
	}
	now := time.Now()
	oldest := map[string]time.Time{}
	for _, pool := range pools {
		oldest[pool] = now
	}
	for sender, lanes := range counts {
		pools, err := g.s.gate.PoolsOf(ctx, []string{sender})
		if err != nil {
			return
		}
		pool := pools[sender]
		if pool == "" {
			pool = g.s.cfg.defaultPool(sender)
		}
		for priority := range lanes {
			head, ok, err := g.s.room.Head(ctx, sender, priority, 0)
			if first, known := oldest[pool]; err == nil && ok && (!known || head.Since.Before(first)) {
				oldest[pool] = head.Since
			}
		}
	}
	for pool, since := range oldest {
		send(parkedOldest, now.Sub(since).Seconds(), pool)
	}
}

// defaultPool is where a sender that nobody registered counts.
func (c Config) defaultPool(sender string) string {
	if c.PoolBy == poolBySender {
		return sender
	}
	return c.account()
}
