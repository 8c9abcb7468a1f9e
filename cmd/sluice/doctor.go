package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"
)

// The answers of a check.
const (
	checkOK   = "ok"
	checkWarn = "warn" // works, but not as it should
	checkFail = "fail" // does not work
)

// finding is what one check found, and what to do about it.
type finding struct {
	Check   string `json:"check"`
	Status  string `json:"status"`
	Message string `json:"message"`
}

// doctor looks at everything that the roles need. It changes nothing.
type doctor struct {
	cfg      Config
	log      *slog.Logger
	findings []finding
}

// checkTimeout bounds one look.
const checkTimeout = 5 * time.Second

func newDoctor(p *program) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "doctor", Short: "Checks NATS, Redis, credentials, public URL and clocks, and says what to fix", Args: cobra.NoArgs,
		Long: `Checks what the roles need, with the settings they would have here: NATS and its
streams, Redis and its eviction and persistence, the provider's credentials, that
the public URL reaches our callbacks, and that the clocks agree. Changes nothing.
Each check is one line: ok, warn, or fail and what to fix. Exit status 1 if any
failed.`,
		Example: `  sluice doctor --nats-url nats://127.0.0.1:4222 --redis-url redis://127.0.0.1:6379
  sluice doctor --config sluice.yaml --json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, warnings, err := load(cmd.Flags(), p.env)
			if err != nil {
				return err
			}
			d := &doctor{cfg: cfg, log: slog.New(slog.DiscardHandler)}
			d.checkSettings(warnings)
			d.examine(cmd.Context())
			return p.printFindings(d.findings, asJSON)
		},
	}
	addFlags(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (d *doctor) say(check, status, format string, args ...any) {
	d.findings = append(d.findings, finding{check, status, fmt.Sprintf(format, args...)})
}

// judge is say with a condition: what holds if it is so, else what to fix.
func (d *doctor) judge(check string, so bool, otherwise, good, bad string) {
	if so {
		d.say(check, checkOK, "%s", good)
		return
	}
	d.say(check, otherwise, "%s", bad)
}

func (d *doctor) checkSettings(warnings []string) {
	for _, name := range warnings {
		d.say("settings", checkWarn, "%s is not a setting: see `sluice config`", name)
	}
	// The roles that need most: all in one, or the one that sends.
	role := "up"
	if d.cfg.NATSURL != "" {
		role = "dispatcher"
	}
	if err := d.cfg.validate(role); err != nil {
		d.say("settings", checkFail, "%s", oneLine(err))
		return
	}
	d.say("settings", checkOK, "would start `sluice %s`", role)
}

func (d *doctor) examine(ctx context.Context) {
	for _, look := range []func(context.Context){
		d.checkNATS, d.checkAllRedis, d.checkProvider, d.checkPublicURL,
	} {
		look(ctx)
	}
}

func (p *program) printFindings(findings []finding, asJSON bool) error {
	failed := 0
	rows := make([][]string, len(findings))
	for i, f := range findings {
		rows[i] = []string{f.Status, f.Check, f.Message}
		if f.Status == checkFail {
			failed++
		}
	}
	var err error
	if asJSON {
		err = json.NewEncoder(p.out).Encode(struct {
			OK     bool      `json:"ok"`
			Checks []finding `json:"checks"`
		}{failed == 0, findings})
	} else {
		err = p.table(rows)
	}
	if err == nil && failed > 0 {
		err = fmt.Errorf("%d of %d checks failed: see above what to fix", failed, len(findings))
	}
	return err
}

// How far two clocks may be apart. Grants and graces are seconds long.
const (
	skewWarn = 2 * time.Second
	skewFail = 30 * time.Second
)

// checkClock compares a clock, read between asked and now, with ours.
func (d *doctor) checkClock(whose string, theirs, asked time.Time, precision time.Duration) {
	now := time.Now()
	var skew time.Duration
	switch { // what lies between the two readings is no skew
	case theirs.Before(asked.Add(-precision)):
		skew = asked.Add(-precision).Sub(theirs)
	case theirs.After(now.Add(precision)):
		skew = theirs.Sub(now.Add(precision))
	}
	status := checkOK
	switch {
	case skew > skewFail:
		status = checkFail
	case skew > skewWarn:
		status = checkWarn
	}
	if status == checkOK {
		d.say("clock of "+whose, status, "agrees with this machine's")
		return
	}
	d.say("clock of "+whose, status, "is %s off this machine's: run NTP on both", skew.Round(time.Millisecond))
}
