package producer

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"time"
)

// item is one job of a request, still in JSON, or what is wrong with its place.
type item struct {
	data []byte
	bad  *problem
}

// elements splits a JSON array. An array that is not whole is refused whole.
func elements(body []byte) ([]item, *problem) {
	var raw []json.RawMessage
	if err := json.Unmarshal(body, &raw); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return nil, problemf(codeInvalidJSON, "%s at byte %d", syntax, syntax.Offset)
		}
		return nil, problemf(codeInvalidJSON, "the body is not a JSON array")
	}
	if len(raw) > maxArray {
		return nil, problemf(codeLarge, "the array holds %d jobs, at most %d are taken; send more as application/x-ndjson", len(raw), maxArray)
	}
	items := make([]item, len(raw))
	for i, data := range raw {
		items[i].data = data
	}
	return items, nil
}

// maxPause is how long a client may take between two pieces of an NDJSON body.
const maxPause = time.Minute

// unhurried reads a body that may take as long as it likes in all, which a
// server's own deadlines forbid, as long as something comes.
type unhurried struct {
	body       io.Reader
	connection *http.ResponseController
}

func (u unhurried) Read(p []byte) (int, error) {
	// Where deadlines cannot be moved (a test's recorder), there are none.
	_ = u.connection.SetReadDeadline(time.Now().Add(maxPause))
	_ = u.connection.SetWriteDeadline(time.Now().Add(2 * maxPause)) // the answer follows the last piece
	return u.body.Read(p)
}

// lines yields the lines of r that are not blank, reading no further than it
// is asked to. A line longer than most bytes is skipped and yields a problem;
// so does a body that breaks off, as its last item.
func lines(r io.Reader, most int) iter.Seq[item] {
	return func(yield func(item) bool) {
		in := bufio.NewReaderSize(r, 64<<10)
		for n := 1; ; n++ {
			line, long, err := readLine(in, most)
			switch {
			case err != nil && err != io.EOF:
				yield(item{bad: problemf(codeInvalidJSON, "the body broke off in line %d", n)})
				return
			case long:
				if !yield(item{bad: problemf(codeLarge, "line %d exceeds %d bytes", n, most)}) {
					return
				}
			case len(bytes.TrimSpace(line)) > 0:
				if !yield(item{data: line}) {
					return
				}
			}
			if err == io.EOF {
				return
			}
		}
	}
}

// readLine reads up to and including the next line feed and returns a copy
// that is the caller's. A long line is read to its end, but not kept beyond most.
func readLine(in *bufio.Reader, most int) (line []byte, long bool, err error) {
	for {
		part, err := in.ReadSlice('\n')
		if !long {
			line = append(line, part...)
			long = len(bytes.TrimRight(line, "\r\n")) > most
		}
		if err != bufio.ErrBufferFull {
			return line, long, err
		}
	}
}
