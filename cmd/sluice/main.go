// Command sluice lets WhatsApp notifications out exactly as fast as the
// platform allows. See `sluice --help`.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal finds the default action again: it ends the process.
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Args[1:], newEnvironment(os.Environ()), streams{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}
