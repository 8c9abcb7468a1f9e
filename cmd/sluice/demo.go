package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/sandbox"
	"github.com/sluicehq/sluice/internal/senders"
	"github.com/sluicehq/sluice/producer"
)

// The demo's two senders: one on the first tier and one on the second, and the
// window that makes a day pass in seconds.
const (
	demoSmall      = "15550100250"
	demoLarge      = "15550101000"
	demoSmallLimit = 250
	demoLargeLimit = 1000
	demoWindow     = 12 * time.Second
	demoJobs       = 650
	// demoOver is how many customers more than its limit the small sender is
	// to reach, so that parking and release are seen.
	demoOver    = 100
	demoLongest = 110 * time.Second
)

func newDemo(p *program) *cobra.Command {
	var jobs int
	var keep, asJSON bool
	cmd := &cobra.Command{
		Use: "demo", Short: "Shows the whole product in one process, in about half a minute", Args: cobra.NoArgs,
		Annotations: map[string]string{whenInterrupted: "the demo was not over, run it again"},
		Long: `Runs everything in one process on free loopback ports, with a temporary data
folder and the sandbox as provider, and sends a small campaign: one sender on
the 250 tier gets more customers than it may reach, one on the 1K tier does not.
The limit's window, a day in reality, is ` + demoWindow.String() + ` here, so parked jobs are seen to
be released. TWILIO_* and SLUICE_* variables are ignored.`,
		Example: "  sluice demo\n  sluice demo --jobs 1200 --json\n  sluice demo --keep",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if jobs < 1 || jobs > 100_000 {
				return usageError{fmt.Errorf("--jobs: %d, use 1 to 100000", jobs)}
			}
			return p.demo(cmd.Context(), jobs, keep, asJSON)
		},
	}
	cmd.Flags().IntVar(&jobs, "jobs", demoJobs, "how many jobs to send")
	cmd.Flags().BoolVar(&keep, "keep", false, "stay up afterwards")
	cmd.Flags().BoolVar(&asJSON, "json", false, "end with one JSON object instead of the table")
	return cmd
}

func demoConfig(dir string) Config {
	cfg := defaultConfig()
	cfg.Data = dir
	cfg.NATSAddr, cfg.APIAddr, cfg.CallbacksAddr, cfg.SandboxAddr = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	cfg.Window, cfg.ServiceWindow = demoWindow, demoWindow
	cfg.SendTimeout, cfg.AckWait, cfg.UnknownGrace, cfg.DrainTimeout = 3*time.Second, 6*time.Second, 2*time.Second, 5*time.Second
	cfg.LogLevel = "error"
	return cfg
}

func (p *program) demo(ctx context.Context, jobs int, keep, asJSON bool) error {
	var table demoTable
	err := p.inHouse(ctx, demoConfig, func(ctx context.Context, h *house) error {
		d := &demo{program: p, house: h, jobs: demoCampaign(jobs), begun: time.Now()}
		var err error
		if table, err = d.run(ctx); err != nil {
			return err
		}
		if err := p.printTable(table, asJSON); err != nil || !keep {
			return err
		}
		fmt.Fprintf(p.err, "still up; dashboard and API at %s, sandbox at %s, NATS at %s; Ctrl-C ends it\n",
			h.lines["api"], h.lines["sandbox"], h.lines["nats"])
		<-ctx.Done()
		return nil
	})
	if err != nil {
		return err
	}
	return table.verdict()
}

// inHouse runs every role in this process, with a data folder that goes with
// it, until do returns.
func (p *program) inHouse(ctx context.Context, config func(dir string) Config, do func(context.Context, *house) error) error {
	dir, err := os.MkdirTemp("", "sluice-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	cfg := config(dir)
	s, err := newSystem(ctx, cfg, newLogger(cfg, p.err))
	if err != nil {
		return err
	}
	defer s.close()
	h, err := newHouse(ctx, s)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var done error
	err = runStages(ctx, append([]task{func(ctx context.Context) error {
		defer cancel()
		done = do(ctx, h)
		return done
	}}, h.workers...), h.servers)
	if err == nil {
		err = done // cut short, which is no failure of the stages
	}
	return err
}

// demoCampaign is the jobs of the demo, in the order in which they are
// published: senders take turns, and the small one gets demoOver more than it
// may reach in one window.
func demoCampaign(n int) []delivery.Job {
	small := min(demoSmallLimit+demoOver, n*7/13)
	jobs := make([]delivery.Job, n)
	for i := range jobs {
		sender := demoLarge
		if i*small/n != (i+1)*small/n {
			sender = demoSmall
		}
		jobs[i] = delivery.Job{
			ID: fmt.Sprintf("demo-%05d", i+1), From: delivery.SenderAddress(sender),
			To:               fmt.Sprintf("whatsapp:+1555%07d", 2_000_000+i),
			ContentSID:       "HX00000000000000000000000000000001",
			ContentVariables: delivery.Variables{"1": fmt.Sprintf("order %d", i+1)},
			Metadata:         map[string]string{"campaign": "demo"},
		}
	}
	return jobs
}

// demo is one run of the demo.
type demo struct {
	*program
	house *house
	jobs  []delivery.Job
	begun time.Time
}

func (d *demo) run(ctx context.Context) (demoTable, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, demoLongest+time.Duration(len(d.jobs)/40)*time.Second,
		errors.New("the demo did not end in time: see the counts above"))
	defer cancel()
	if err := poll(ctx, d.house.ready); err != nil {
		return demoTable{}, err
	}
	if err := d.registerSenders(ctx); err != nil {
		return demoTable{}, err
	}
	fmt.Fprintf(d.err, "%d jobs: sender %s may reach %d customers in %s, sender %s %d\n",
		len(d.jobs), demoSmall, demoSmallLimit, demoWindow, demoLarge, demoLargeLimit)
	seen := newTally()
	watch := make(chan error, 1)
	go func() { watch <- d.house.log.Follow(ctx, 1, 512, seen.add) }()
	if err := d.publish(ctx); err != nil {
		return demoTable{}, err
	}
	err := d.progress(ctx, seen)
	cancel()
	<-watch
	if err != nil {
		return demoTable{}, err
	}
	return d.table(seen), nil
}

// registerSenders tells both sides of the senders' limits, as the provider and
// its customer would know them.
func (d *demo) registerSenders(ctx context.Context) error {
	for sender, limit := range map[string]int{demoSmall: demoSmallLimit, demoLarge: demoLargeLimit} {
		ours := senders.Limit(limit)
		if _, err := d.house.registry.PutSender(ctx, sender, senders.Patch{Limit: &ours}); err != nil {
			return err
		}
		theirs := sandbox.Limit(limit)
		if _, err := d.house.sandbox.PutSender(sender, sandbox.SenderPatch{Limit: &theirs}); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) publish(ctx context.Context) error {
	results, err := producer.New(d.house.engines.pub).PublishBatch(ctx, d.jobs)
	if err != nil {
		return err
	}
	for _, r := range results {
		if r.Err != nil {
			return r.Err
		}
	}
	return nil
}

func (p *program) printTable(t demoTable, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(p.out).Encode(t)
	}
	_, err := fmt.Fprint(p.out, t.String())
	return err
}
