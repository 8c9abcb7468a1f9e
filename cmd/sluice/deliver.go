package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/campaign"
)

// deliver hands the file in, waits if asked to, and writes the report.
func (m *mailing) deliver(ctx context.Context, survey campaign.Survey, wait bool) (summary, error) {
	rows, err := m.rows()
	if err != nil {
		return summary{}, err
	}
	out, err := m.openReport()
	if err != nil {
		return summary{}, err
	}
	defer out.close()
	first := out
	if wait {
		// What the API said goes to a scratch file; the report gets the ends.
		if first, err = newReportFile(scratchFile()); err != nil {
			return summary{}, err
		}
		defer first.close()
	}
	sum, err := m.handIn(ctx, rows, survey, first)
	if err == nil && wait {
		sum, err = m.awaitAll(ctx, sum.Rows, first, out)
	}
	return sum, errors.Join(err, out.flush())
}

func (m *mailing) handIn(ctx context.Context, rows campaign.Reader, survey campaign.Survey, out *reportFile) (summary, error) {
	var sum summary
	meter := newMeter(m.err)
	defer meter.end()
	named := 0
	sender := campaign.Sender{
		API: m.api(),
		Told: func(o campaign.Outcome) error {
			sum.add(o)
			if o.Bad() && !o.Unread {
				if named++; named <= maxNamed { // those unread were named before
					meter.end()
					fmt.Fprintf(m.err, "line %d: %s\n", o.Line, o.Fault())
				}
			}
			meter.at(sum.Rows, survey.Good+survey.Bad, "handed in")
			return out.Add(o)
		},
		Waiting: func(err error, pause time.Duration) {
			meter.end()
			fmt.Fprintf(m.err, "not taken yet, trying again in %s: %s\n", pause.Round(100*time.Millisecond), oneLine(err))
		},
	}
	return sum, sender.Send(ctx, rows)
}

// awaitAll waits for each job in turn: the last to end ends the wait.
func (m *mailing) awaitAll(ctx context.Context, total int, handedIn, out *reportFile) (summary, error) {
	var sum summary
	meter := newMeter(m.err)
	defer meter.end()
	api := m.api()
	if err := handedIn.rewind(); err != nil {
		return sum, err
	}
	return sum, campaign.ReadReport(handedIn.file, func(o campaign.Outcome) error {
		if !o.Bad() {
			status, err := api.awaitEnd(ctx, o.ID, delivery.Status(o.Status))
			if err != nil {
				return err
			}
			o.Status = string(status)
		}
		sum.add(o)
		meter.at(sum.Rows, total, "ended")
		return out.Add(o)
	})
}

// summary is what a file came to.
type summary struct {
	Rows     int            `json:"rows"`
	Bad      int            `json:"bad"`
	Statuses map[string]int `json:"statuses"`
	Seconds  float64        `json:"seconds"`
}

func (s *summary) add(o campaign.Outcome) {
	s.Rows++
	if o.Bad() {
		s.Bad++
		return
	}
	if s.Statuses == nil {
		s.Statuses = map[string]int{}
	}
	s.Statuses[o.Status]++
}

func (p *program) printSummary(s summary, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(p.out).Encode(s)
	}
	rows := [][]string{{"STATUS", "ROWS"}}
	for _, status := range delivery.Statuses() {
		if n := s.Statuses[string(status)]; n > 0 {
			rows = append(rows, []string{string(status), fmt.Sprint(n)})
		}
	}
	if s.Bad > 0 {
		rows = append(rows, []string{campaign.Refused, fmt.Sprint(s.Bad)})
	}
	return p.table(rows)
}

// reportFile is a report and the file it goes to; neither where nobody asked
// for one.
type reportFile struct {
	file *os.File
	buf  *bufio.Writer
	out  *campaign.Report
}

// newReportFile takes the two results of opening a file.
func newReportFile(f *os.File, err error) (*reportFile, error) {
	if err != nil {
		return nil, err
	}
	r := &reportFile{file: f, buf: bufio.NewWriter(f)}
	if r.out, err = campaign.NewReport(r.buf); err != nil {
		f.Close()
	}
	return r, err
}

func (m *mailing) openReport() (*reportFile, error) {
	if m.report == "" {
		return &reportFile{}, nil
	}
	r, err := newReportFile(os.OpenFile(m.report, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600))
	if err != nil {
		return nil, fmt.Errorf("--report: %w", err)
	}
	return r, nil
}

// Add writes one row.
func (r *reportFile) Add(o campaign.Outcome) error {
	if r.out == nil {
		return nil
	}
	return r.out.Add(o)
}

func (r *reportFile) flush() error {
	if r.out == nil {
		return nil
	}
	return errors.Join(r.out.Flush(), r.buf.Flush())
}

// rewind makes what was written readable from its beginning.
func (r *reportFile) rewind() error {
	if err := r.flush(); err != nil {
		return err
	}
	_, err := r.file.Seek(0, io.SeekStart)
	return err
}

func (r *reportFile) close() {
	if r.file != nil {
		r.file.Close()
	}
}
