package ratelimit_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// A failing sequence is printed with its seed; no file is left behind.
	if err := flag.Set("rapid.nofailfile", "true"); err != nil {
		panic(err)
	}
	if err := startSharedServer(); err != nil {
		fmt.Fprintln(os.Stderr, "ratelimit tests:", err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		stopSharedServer()
		stopCluster()
		os.Exit(code)
	}))
}
