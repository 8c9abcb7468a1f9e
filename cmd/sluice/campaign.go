package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/pflag"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/campaign"
)

// campaignFlags say which file is sent, and how.
type campaignFlags struct {
	csv, name, report string
	yes               bool
}

func (c *campaignFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&c.csv, "csv", "", "file with one job a row, - for standard input")
	flags.StringVar(&c.name, "campaign", "", "begins the id of each job of a file; the same file and name again reach nobody twice")
	flags.StringVar(&c.report, "report", "", "CSV file for what became of each row")
	flags.BoolVar(&c.yes, "yes", false, "do not ask before sending a file")
}

// unused refuses what only a file gives a meaning to.
func (c campaignFlags) unused() error {
	for _, flag := range []struct {
		name  string
		given bool
	}{{"--campaign", c.name != ""}, {"--report", c.report != ""}, {"--yes", c.yes}} {
		if flag.given {
			return fmt.Errorf("%s needs --csv FILE, or - for NDJSON on standard input", flag.name)
		}
	}
	return nil
}

func (c campaignFlags) check(args []string, job delivery.Job) error {
	switch {
	case len(args) == 1 && args[0] != "-":
		return fmt.Errorf("%q is not understood: use --csv %s, or - for NDJSON on standard input", args[0], args[0])
	case len(args) == 1 && c.csv != "":
		return errors.New("give either --csv or -, not both")
	case job.ID != "":
		return errors.New("--id names one job: the jobs of a file have their own")
	case c.csv != "" && c.name == "":
		return errors.New("--campaign is required with --csv: it begins the ids, so that a second run repeats nobody")
	}
	return campaign.Settings{Name: c.name}.Check()
}

// mailing is a file that is looked at, and then sent.
type mailing struct {
	*program
	campaignFlags
	source   *os.File // can be read again
	settings campaign.Settings
}

// openMailing opens the file. What cannot be read twice, as a pipe, is copied
// to a file of nobody else's, which has no name any more.
func (p *program) openMailing(c campaignFlags, defaults delivery.Job) (*mailing, error) {
	m := &mailing{program: p, campaignFlags: c, settings: campaign.Settings{Name: c.name, Defaults: defaults}}
	var in io.Reader = p.in
	if c.csv != "" && c.csv != "-" {
		f, err := os.Open(c.csv)
		if err != nil {
			return nil, fmt.Errorf("--csv: %w", err)
		}
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			m.source = f
			return m, nil
		}
		defer f.Close()
		in = f
	}
	f, err := scratchFile()
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(f, in); err != nil {
		f.Close()
		return nil, fmt.Errorf("read %s: %w", cmp.Or(c.csv, "standard input"), err)
	}
	m.source = f
	return m, nil
}

func scratchFile() (*os.File, error) {
	f, err := os.CreateTemp("", "sluice-send-")
	if err == nil {
		err = os.Remove(f.Name())
	}
	return f, err
}

// rows reads the file from its beginning.
func (m *mailing) rows() (campaign.Reader, error) {
	if _, err := m.source.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	if m.csv == "" {
		return campaign.NewNDJSON(m.source, m.settings), nil
	}
	rows, err := campaign.NewCSV(m.source, m.settings)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.csv, err)
	}
	return rows, nil
}

// survey looks at the whole file and names its first bad lines.
func (m *mailing) survey() (campaign.Survey, error) {
	rows, err := m.rows()
	if err != nil {
		return campaign.Survey{}, err
	}
	named := 0
	s, err := campaign.Look(rows, func(row campaign.Row) {
		if named++; named <= maxNamed {
			fmt.Fprintf(m.err, "line %d: %s\n", row.Line, row.Fault)
		}
	})
	if named > maxNamed {
		fmt.Fprintf(m.err, "and %d more bad lines; --report FILE names them all\n", named-maxNamed)
	}
	return s, err
}

// maxNamed is how many bad lines are told on stderr.
const maxNamed = 20

// sendMany is `sluice send` with a file.
func (p *program) sendMany(ctx context.Context, c campaignFlags, defaults delivery.Job, wait, asJSON bool) error {
	m, err := p.openMailing(c, defaults)
	if err != nil {
		return err
	}
	defer m.source.Close()
	survey, err := m.survey()
	if err != nil {
		return err
	}
	if survey.Good+survey.Bad == 0 {
		return errors.New("the file has no rows: nothing to send")
	}
	if survey.Good > 0 {
		if err := p.showPlan(ctx, survey); err != nil {
			return err
		}
		if ok, err := m.confirmed(ctx, survey); err != nil || !ok {
			return err
		}
	}
	begun := time.Now()
	sum, err := m.deliver(ctx, survey, wait)
	if err != nil {
		return err
	}
	sum.Seconds = time.Since(begun).Seconds()
	if err := p.printSummary(sum, asJSON); err != nil {
		return err
	}
	if sum.Bad > 0 {
		return fmt.Errorf("%d of %d rows are bad: correct them and send the file again, nobody is reached twice", sum.Bad, sum.Rows)
	}
	return nil
}

// confirmed asks a person, where there is one.
func (m *mailing) confirmed(ctx context.Context, s campaign.Survey) (bool, error) {
	in, isFile := m.in.(*os.File)
	if m.yes || m.csv == "" || !isFile || !terminal(in) {
		return true, nil
	}
	fmt.Fprintf(m.err, "Send %d jobs? [y/N] ", s.Good)
	return askYes(ctx, in)
}
