package campaign

import (
	"encoding/csv"
	"errors"
	"io"
	"strconv"
)

// reportHeader names the columns of a report.
var reportHeader = []string{"line", "id", "status", "field", "message"}

// Report writes what became of each row, as CSV.
type Report struct{ out *csv.Writer }

// NewReport writes the header to w.
func NewReport(w io.Writer) (*Report, error) {
	r := &Report{csv.NewWriter(w)}
	return r, r.out.Write(reportHeader)
}

// Add writes one row.
func (r *Report) Add(o Outcome) error {
	return r.out.Write([]string{strconv.Itoa(o.Line), o.ID, o.Status, o.Field, o.Message})
}

// Flush hands what was written to the writer below.
func (r *Report) Flush() error {
	r.out.Flush()
	return r.out.Error()
}

// ReadReport yields the rows of a report until yield fails.
func ReadReport(r io.Reader, yield func(Outcome) error) error {
	in := csv.NewReader(r)
	in.FieldsPerRecord = len(reportHeader)
	if _, err := in.Read(); err != nil {
		return err
	}
	for {
		cells, err := in.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		line, err := strconv.Atoi(cells[0])
		if err != nil {
			return errors.New("the report has a line that is no number")
		}
		if err := yield(Outcome{Line: line, ID: cells[1], Status: cells[2], Field: cells[3], Message: cells[4]}); err != nil {
			return err
		}
	}
}
