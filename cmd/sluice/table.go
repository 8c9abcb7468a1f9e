package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"
)

// show asks the API for path and prints the answer: as it came with --json,
// else as the table that rows makes of it. The first row is the header.
func show[T any](ctx context.Context, p *program, path string, asJSON bool, rows func(T) [][]string) error {
	return ask(ctx, p, http.MethodGet, path, nil, asJSON, rows)
}

// ask is show for any method, with a body unless it is nil.
func ask[T any](ctx context.Context, p *program, method, path string, body any, asJSON bool, rows func(T) [][]string) error {
	var raw json.RawMessage
	if err := p.api().call(ctx, method, path, body, &raw); err != nil {
		return err
	}
	if asJSON {
		_, err := fmt.Fprintf(p.out, "%s\n", raw)
		return err
	}
	var answer T
	if err := json.Unmarshal(raw, &answer); err != nil {
		return fmt.Errorf("answer of the API is not what this version knows: %w", err)
	}
	return p.table(rows(answer))
}

func (p *program) table(rows [][]string) error { return writeTable(p.out, rows) }

func writeTable(out io.Writer, rows [][]string) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}

// localTime is a time as people read it; empty for none.
func localTime(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.Local().Format(time.DateTime)
}

func yesOrNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
