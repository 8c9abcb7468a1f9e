package main

import (
	"bufio"
	"context"
	"io"
	"strings"
)

// askYes reads one line and reports whether it says yes. Ended by ctx, it
// leaves the reading behind: a terminal cannot be interrupted, and the process
// is about to end.
func askYes(ctx context.Context, in io.Reader) (bool, error) {
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(in).ReadString('\n') // no answer is a no
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case said := <-answer:
		return said == "y" || said == "yes", nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}
