package ratelimit_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/internal/redistest"
)

// engines are the real servers of this run.
var engines redistest.Engines

func TestMain(m *testing.M) {
	// A failing sequence is printed with its seed; no file is left behind.
	if err := flag.Set("rapid.nofailfile", "true"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(engines.Beside(m, "ratelimit"))
}
