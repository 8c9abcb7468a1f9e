package ratelimit_test

import (
	"testing"

	"github.com/sluicehq/sluice/ratelimit"
)

func TestZZ(t *testing.T) {
	b := onReal(t, modelOptions)
	b.goes(t, job("j", sender, "+1"))
	t.Log(b.dump(t)["{sluice}:job:j"])
	t.Log(b.GiveBack(t.Context(), "j", 1, "token of j"))
	t.Log(b.dump(t)["{sluice}:job:j"])
	r := job("j", sender, "+1")
	r.Token = "another"
	t.Logf("%+v", b.admit(t, r))
	_ = ratelimit.In
}
