package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// bar shows how much of a whole is done.
func bar(done, total int) string {
	const width = 24
	full, percent := width, 100
	if total > 0 {
		full, percent = min(width, done*width/total), min(100, done*100/total)
	}
	return fmt.Sprintf("%s%s %3d%%", strings.Repeat("█", full), strings.Repeat("░", width-full), percent)
}

// showLine writes a line, on a terminal over the one before.
func showLine(w io.Writer, live bool, line string) {
	if live {
		fmt.Fprintf(w, "\r\x1b[K%s", line)
		return
	}
	fmt.Fprintln(w, line)
}

// meter shows progress: a bar that moves on a terminal, elsewhere a line every
// few seconds. It belongs to one goroutine.
type meter struct {
	w     io.Writer
	live  bool
	begun time.Time
	shown time.Time
	now   func() time.Time
}

func newMeter(w io.Writer) *meter {
	now := time.Now()
	return &meter{w: w, live: terminal(w), begun: now, shown: now, now: time.Now}
}

// at shows that done of total are done, unless something was shown just now.
func (m *meter) at(done, total int, doing string) {
	every := 3 * time.Second
	if m.live {
		every = 100 * time.Millisecond
	}
	if now := m.now(); now.Sub(m.shown) >= every {
		m.shown = now
		showLine(m.w, m.live, fmt.Sprintf("%s  %d of %d %s  %.0fs", bar(done, total), done, total, doing, now.Sub(m.begun).Seconds()))
	}
}

// end clears the bar.
func (m *meter) end() {
	if m.live {
		fmt.Fprint(m.w, "\r\x1b[K")
	}
}
