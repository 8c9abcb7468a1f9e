package campaign

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/sluicehq/sluice/delivery"
)

// maxRow bounds one row in bytes. A quote that never closes would otherwise
// take the rest of the file into memory.
const maxRow = 1 << 20

// headerPeek is how far the header is looked at to find the separator.
const headerPeek = 64 << 10

// CSV reads comma-, semicolon- or tab-separated values in UTF-8, with or
// without a byte order mark. The first row names the columns: fields of a job,
// var.<name> for a template's variables and metadata.<name>. An empty cell
// leaves its field open.
type CSV struct {
	settings Settings
	bound    *bound
	in       *csv.Reader
	columns  []column
}

// column is where a cell belongs.
type column struct {
	field string // JSON name of a job's field, empty for a column without a name
	key   string // of a variable or of metadata
}

// name is the column as the file has it.
func (c column) name() string {
	if c.key == "" {
		return c.field
	}
	return prefixOf[c.field] + c.key
}

// prefixOf is how a column names one entry of a field that is a map.
var prefixOf = map[string]string{"content_variables": "var.", "metadata": "metadata."}

// NewCSV reads the header. Its errors name the column at fault.
func NewCSV(r io.Reader, s Settings) (*CSV, error) {
	in := bufio.NewReaderSize(r, headerPeek)
	start, err := in.Peek(3)
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(start, []byte("\xef\xbb\xbf")):
		_, _ = in.Discard(3) // peeked, so it is there
	case bytes.HasPrefix(start, []byte("\xff\xfe")), bytes.HasPrefix(start, []byte("\xfe\xff")):
		return nil, errors.New("the file is in UTF-16: save it as UTF-8")
	}
	head, err := in.Peek(headerPeek)
	if err != nil && err != io.EOF {
		return nil, err
	}
	c := &CSV{settings: s, bound: &bound{r: in, left: maxRow}}
	c.in = csv.NewReader(c.bound)
	c.in.Comma = separator(head)
	c.in.FieldsPerRecord = -1
	c.in.ReuseRecord = true
	return c, c.readHeader()
}

// separator is what the header has most of, outside quotes.
func separator(head []byte) rune {
	counts, quoted := map[rune]int{}, false
scan:
	for _, r := range string(head) {
		switch {
		case r == '"':
			quoted = !quoted
		case quoted:
		case r == '\n':
			break scan
		default:
			counts[r]++
		}
	}
	best := ','
	for _, r := range []rune{';', '\t'} {
		if counts[r] > counts[best] {
			best = r
		}
	}
	return best
}

func (c *CSV) readHeader() error {
	names, err := c.in.Read()
	switch {
	case err == io.EOF:
		return errors.New("the file is empty: the first row names the columns, as in to,var.1")
	case err != nil:
		return fmt.Errorf("header: %w", parseFault(err))
	}
	seen := map[string]bool{}
	for _, name := range names {
		col, err := columnOf(name)
		if err != nil {
			return err
		}
		if seen[col.name()] && col.field != "" {
			return fmt.Errorf("header: the column %q is there twice", col.name())
		}
		seen[col.name()] = true
		c.columns = append(c.columns, col)
	}
	for field, prefix := range prefixOf {
		for _, col := range c.columns {
			if col.field == field && col.key != "" && seen[field] {
				return fmt.Errorf("header: give either %s or %s<name>, not both", field, prefix)
			}
		}
	}
	return nil
}

func columnOf(name string) (column, error) {
	name = strings.TrimSpace(name)
	for field, prefix := range prefixOf {
		if key, ok := strings.CutPrefix(name, prefix); ok && key != "" && utf8.ValidString(key) {
			return column{field, key}, nil
		}
	}
	if field := strings.ToLower(name); field == "" || delivery.KnownField(field) {
		return column{field: field}, nil
	}
	return column{}, fmt.Errorf("header: %q is not a field of a job; variables are var.<name>", strings.ToValidUTF8(name, "�"))
}

// Next implements [Reader]. Rows without any content are passed over.
func (c *CSV) Next() (Row, error) {
	for {
		c.bound.left = maxRow
		cells, err := c.in.Read()
		var syntax *csv.ParseError
		switch {
		case err == nil:
		case errors.As(err, &syntax):
			return Row{Line: syntax.StartLine, Fault: fault(parseFault(err))}, nil
		case errors.Is(err, errLongRow):
			return c.tooLong()
		default:
			return Row{}, err
		}
		if blank(cells) {
			continue
		}
		line, _ := c.in.FieldPos(0)
		job, err := c.job(cells)
		return c.settings.row(line, job, err), nil
	}
}

// tooLong is the last row: what follows an open quote cannot be told apart
// from it.
func (c *CSV) tooLong() (Row, error) {
	if c.bound.over {
		return Row{}, io.EOF
	}
	c.bound.over = true
	line, _ := c.in.FieldPos(0)
	return Row{Line: line, Fault: fault(errLongRow)}, nil
}

func parseFault(err error) error {
	var syntax *csv.ParseError
	if errors.As(err, &syntax) {
		return fmt.Errorf("the quotes are wrong (column %d): double those inside a quoted cell", syntax.Column)
	}
	return err
}

func blank(cells []string) bool {
	for _, cell := range cells {
		if strings.TrimSpace(cell) != "" {
			return false
		}
	}
	return true
}

// job is the row as a job. It goes through the JSON form, so that one decoder
// says what a field may hold.
func (c *CSV) job(cells []string) (delivery.Job, error) {
	if len(cells) != len(c.columns) {
		return delivery.Job{}, fmt.Errorf("the row has %d cells, the header has %d", len(cells), len(c.columns))
	}
	object := map[string]any{}
	for i, cell := range cells {
		col := c.columns[i]
		if !utf8.ValidString(cell) {
			return delivery.Job{}, &delivery.FieldError{Field: col.name(), Message: "is not UTF-8"}
		}
		if strings.TrimSpace(cell) == "" {
			continue
		}
		if col.field == "" {
			return delivery.Job{}, fmt.Errorf("cell %d belongs to no column: the header has no name for it", i+1)
		}
		if err := put(object, col, cell); err != nil {
			return delivery.Job{}, err
		}
	}
	data, err := json.Marshal(object)
	if err != nil {
		return delivery.Job{}, err
	}
	return delivery.DecodeJob(data)
}

// put writes a cell as JSON has it.
func put(object map[string]any, col column, cell string) error {
	switch {
	case col.key != "":
		entries, _ := object[col.field].(map[string]string)
		if entries == nil {
			entries = map[string]string{}
			object[col.field] = entries
		}
		entries[col.key] = cell
	case col.field == "media_url":
		object[col.field] = strings.Fields(cell)
	case col.field == "metadata":
		if !json.Valid([]byte(cell)) {
			return &delivery.FieldError{Field: col.field, Message: "must be a JSON object of strings; or use columns metadata.<name>"}
		}
		object[col.field] = json.RawMessage(cell)
	case col.field == "body", col.field == "content_variables":
		object[col.field] = cell
	default:
		object[col.field] = strings.TrimSpace(cell)
	}
	return nil
}

var errLongRow = fmt.Errorf("the row is longer than %d bytes: a quote that opens in it never closes", maxRow)

// bound lets one row at a time through.
type bound struct {
	r    io.Reader
	left int
	over bool // told once
}

func (b *bound) Read(p []byte) (int, error) {
	if b.left <= 0 || b.over {
		return 0, errLongRow
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
