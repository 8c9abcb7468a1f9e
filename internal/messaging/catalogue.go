package messaging

import (
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Entry is what the catalogue knows of one of the provider's error codes.
type Entry struct {
	Code    int
	Class   Class
	Wait    time.Duration // at least this long before another try; 0: as the class has it
	Meaning string
	Action  string // what to do next
}

// Catalogue classifies the provider's error codes. The provider reserves the
// right to change codes and asks not to branch on them, so they are data here,
// and every code without an entry has a safe class. A Catalogue does not
// change; it is safe for concurrent use.
type Catalogue struct {
	entries map[int]Entry
}

//go:embed errors.csv
var errorsCSV string

// DefaultCatalogue returns the catalogue that comes with the package.
func DefaultCatalogue() *Catalogue { return builtin() }

var builtin = sync.OnceValue(func() *Catalogue {
	entries, err := ReadEntries(strings.NewReader(errorsCSV))
	if err != nil {
		panic("messaging: the embedded error catalogue is broken: " + err.Error())
	}
	return (&Catalogue{}).With(entries...)
})

// Lookup returns the entry of code. A code without one is of class Later: it is
// neither lost nor repeated at once, and the caller bounds the tries.
func (c *Catalogue) Lookup(code int) Entry {
	if entry, ok := c.entries[code]; ok {
		return entry
	}
	return Entry{
		Code: code, Class: Later,
		Meaning: "unknown code",
		Action:  "try again a few times with growing pauses, then look the code up in the provider's documentation",
	}
}

// With returns a catalogue in which overrides replace or add entries. Entries
// with a class that does not exist are taken as Later.
func (c *Catalogue) With(overrides ...Entry) *Catalogue {
	entries := maps.Clone(c.entries)
	if entries == nil {
		entries = make(map[int]Entry, len(overrides))
	}
	for _, entry := range overrides {
		if !entry.Class.valid() {
			entry.Class = Later
		}
		entries[entry.Code] = entry
	}
	return &Catalogue{entries: entries}
}

// ReadEntries reads entries as CSV with the header
// code,class,wait,meaning,action; wait is a Go duration or empty. An error
// names the line.
func ReadEntries(r io.Reader) ([]Entry, error) {
	records := csv.NewReader(r)
	header, err := records.Read()
	if err != nil {
		return nil, fmt.Errorf("read the header of the error catalogue: %w", err)
	}
	if want := []string{"code", "class", "wait", "meaning", "action"}; !slices.Equal(header, want) {
		return nil, fmt.Errorf("the error catalogue must start with %s", strings.Join(want, ","))
	}
	var entries []Entry
	seen := map[int]bool{}
	for {
		record, err := records.Read()
		if errors.Is(err, io.EOF) {
			return entries, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read the error catalogue: %w", err)
		}
		line, _ := records.FieldPos(0)
		entry, err := parseEntry(record)
		if err != nil {
			return nil, fmt.Errorf("error catalogue, line %d: %w", line, err)
		}
		if seen[entry.Code] {
			return nil, fmt.Errorf("error catalogue, line %d: code %d is there twice", line, entry.Code)
		}
		seen[entry.Code] = true
		entries = append(entries, entry)
	}
}

func parseEntry(record []string) (Entry, error) {
	code, err := strconv.Atoi(record[0])
	if err != nil || code <= 0 {
		return Entry{}, fmt.Errorf("%q is not an error code", record[0])
	}
	class := Class(record[1])
	if !class.valid() {
		return Entry{}, fmt.Errorf("%q is not a class", record[1])
	}
	var wait time.Duration
	if record[2] != "" {
		if wait, err = time.ParseDuration(record[2]); err != nil || wait < 0 {
			return Entry{}, fmt.Errorf("%q is not a duration such as 30s or 24h", record[2])
		}
	}
	return Entry{Code: code, Class: class, Wait: wait, Meaning: record[3], Action: record[4]}, nil
}
