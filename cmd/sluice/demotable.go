package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/sluicehq/sluice/delivery"
)

// demoTable is what the demo comes to. A job counts under every state it
// reached; the last three numbers are the sandbox's own count.
type demoTable struct {
	Jobs          int     `json:"jobs"`
	Accepted      int     `json:"accepted"`
	Parked        int     `json:"parked"`
	Released      int     `json:"released"`
	Sent          int     `json:"sent"`
	Delivered     int     `json:"delivered"`
	Read          int     `json:"read"`
	Failed        int     `json:"failed"`
	Lost          int     `json:"lost"`
	SentTwice     int     `json:"sent_twice"`
	LimitExceeded int     `json:"limit_exceeded"`
	Seconds       float64 `json:"seconds"`
}

// String is the table as people read it.
func (t demoTable) String() string {
	rows := []struct {
		name string
		n    any
		say  string
	}{
		{"jobs", t.Jobs, "published to NATS JetStream"},
		{"accepted", t.Accepted, "taken by a dispatcher"},
		{"parked", t.Parked, "waited, because the limit or the rate was used up"},
		{"released", t.Released, "let out of the waiting room"},
		{"sent", t.Sent, "left the provider"},
		{"delivered", t.Delivered, "reached the customer"},
		{"read", t.Read, "were read"},
		{"failed", t.Failed, "can never be delivered"},
		{"lost", t.Lost, "by the sandbox's ledger"},
		{"sent twice", t.SentTwice, "by the sandbox's ledger"},
		{"limit exceeded", t.LimitExceeded, "by the sandbox's ledger"},
		{"seconds", fmt.Sprintf("%.1f", t.Seconds), ""},
	}
	var b strings.Builder
	b.WriteString("\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "  %-15s %7v  %s\n", r.name, r.n, r.say)
	}
	return strings.ReplaceAll(b.String(), "  \n", "\n") + "\n"
}

// verdict is an error if a promise was broken.
func (t demoTable) verdict() error {
	if t.Lost+t.SentTwice+t.LimitExceeded > 0 {
		return errors.New("the sandbox convicts us: lost, sent twice and limit exceeded must be 0")
	}
	return nil
}

// tally counts which job reached which state, from the log.
type tally struct {
	mu      sync.Mutex
	reached map[delivery.EventType]map[string]bool
}

func newTally() *tally { return &tally{reached: map[delivery.EventType]map[string]bool{}} }

func (t *tally) add(_ context.Context, entries []delivery.Entry) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, entry := range entries {
		e, ok := entry.AsEvent()
		if !ok || e.Job == "" {
			continue
		}
		if t.reached[e.Type] == nil {
			t.reached[e.Type] = map[string]bool{}
		}
		t.reached[e.Type][e.Job] = true
	}
	return nil
}

func (t *tally) count(types ...delivery.EventType) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	jobs := map[string]bool{}
	for _, typ := range types {
		for job := range t.reached[typ] {
			jobs[job] = true
		}
	}
	return len(jobs)
}

// finished is how many jobs need no more work.
func (t *tally) finished() int {
	return t.count(delivery.EventDelivered, delivery.EventRead, delivery.EventFailed, delivery.EventUndelivered,
		delivery.EventExpired, delivery.EventSuppressed, delivery.EventCanceled)
}

func (t *tally) line(total int, since time.Time) string {
	done := t.finished()
	waiting := t.count(delivery.EventParked) - t.count(delivery.EventReleased)
	return fmt.Sprintf("%s  sent %d  delivered %d  read %d  waiting %d  %.0fs", bar(done, total),
		t.count(delivery.EventSent), t.count(delivery.EventDelivered), t.count(delivery.EventRead), max(0, waiting), time.Since(since).Seconds())
}

// progress shows how far the campaign is until every job has ended and the
// provider has nothing more to tell.
func (d *demo) progress(ctx context.Context, seen *tally) error {
	live := terminal(d.err)
	every := 3 * time.Second
	if live {
		every = 150 * time.Millisecond
	}
	tick := time.NewTicker(every / 3)
	defer tick.Stop()
	shown := time.Time{}
	for {
		over := seen.finished() == len(d.jobs) && seen.count(delivery.EventRead) == d.readBySandbox()
		if over || time.Since(shown) >= every {
			shown = time.Now()
			showLine(d.err, live, seen.line(len(d.jobs), d.begun))
		}
		if over {
			if live {
				fmt.Fprintln(d.err)
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// readBySandbox is how many messages the sandbox's customers have read.
func (d *demo) readBySandbox() int {
	n := 0
	for _, m := range d.house.sandbox.Ledger() {
		if m.Status == "read" {
			n++
		}
	}
	return n
}

// exceeded is how many messages went beyond a limit, of a sender or a pool, by
// a replay of the sandbox's ledger.
func (d *demo) exceeded() int {
	limits, n := d.house.sandbox.Limits(), 0
	for _, usage := range append(limits.Senders, limits.Pools...) {
		n += max(usage.Exceeded, usage.OverLimit)
	}
	return n
}

// callbackJob finds the job in a message's status callback.
var callbackJob = regexp.MustCompile(`/twilio/status/([^/]+)/[0-9]+`)

// table counts. What concerns our promises is counted in the sandbox's ledger,
// which knows nothing of ours.
func (d *demo) table(seen *tally) demoTable {
	messages := map[string]int{}
	for _, m := range d.house.sandbox.Ledger() {
		if match := callbackJob.FindStringSubmatch(m.StatusCallback); match != nil {
			messages[match[1]]++
		}
	}
	t := demoTable{
		Jobs: len(d.jobs), Accepted: seen.count(delivery.EventAccepted),
		Parked: seen.count(delivery.EventParked), Released: seen.count(delivery.EventReleased),
		Sent: seen.count(delivery.EventSent), Delivered: seen.count(delivery.EventDelivered),
		Read: seen.count(delivery.EventRead), Failed: seen.count(delivery.EventFailed, delivery.EventUndelivered),
		LimitExceeded: d.exceeded(), Seconds: time.Since(d.begun).Seconds(),
	}
	for _, job := range d.jobs {
		switch n := messages[job.ID]; {
		case n == 0:
			t.Lost++
		case n > 1:
			t.SentTwice++
		}
	}
	return t
}
