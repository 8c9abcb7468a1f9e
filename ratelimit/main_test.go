package ratelimit_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if err := startSharedServer(); err != nil {
		fmt.Fprintln(os.Stderr, "ratelimit tests:", err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		stopSharedServer()
		os.Exit(code)
	}))
}
