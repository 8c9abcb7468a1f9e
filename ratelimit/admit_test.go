package ratelimit_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/ratelimit"
)

func TestSmoke(t *testing.T) {
	t.Parallel()
	onEach(t, ratelimit.Options{DefaultLimit: 2}, func(t *testing.T, b *bench) {
		v := b.goes(t, job("a", "1", "+1"))
		require.Equal(t, v, b.goes(t, job("a", "1", "+1")))
		b.clock.advance(1e9)
		b.goes(t, job("b", "1", "+2"))
		b.clock.advance(1e9)
		v = b.parks(t, job("c", "1", "+3"), ratelimit.ReasonSenderLimit)
		t.Log(v)
		t.Logf("%+v", b.pool(t, "pool"))
	})
}
