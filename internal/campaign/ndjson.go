package campaign

import (
	"bufio"
	"bytes"
	"fmt"
	"io"

	"github.com/sluicehq/sluice/delivery"
)

// NDJSON reads one job per line, in JSON. Blank lines are passed over.
type NDJSON struct {
	settings Settings
	in       *bufio.Reader
	line     int
}

// NewNDJSON reads from r.
func NewNDJSON(r io.Reader, s Settings) *NDJSON {
	return &NDJSON{settings: s, in: bufio.NewReaderSize(r, 64<<10)}
}

// Next implements [Reader].
func (n *NDJSON) Next() (Row, error) {
	for {
		n.line++
		line, long, err := n.readLine()
		if err != nil && err != io.EOF {
			return Row{}, err
		}
		line = bytes.TrimSpace(line)
		switch {
		case long:
			return Row{Line: n.line, Fault: fault(fmt.Errorf("the line is longer than %d bytes", maxRow))}, nil
		case len(line) > 0:
			job, wrong := delivery.DecodeJob(line)
			return n.settings.row(n.line, job, wrong), nil
		case err == io.EOF:
			return Row{}, io.EOF
		}
	}
}

// readLine reads to the end of the line, and keeps at most maxRow bytes of it.
func (n *NDJSON) readLine() (line []byte, long bool, err error) {
	for {
		part, err := n.in.ReadSlice('\n')
		if long = long || len(line)+len(part) > maxRow; !long {
			line = append(line, part...)
		}
		if err != bufio.ErrBufferFull {
			return line, long, err
		}
	}
}
