package sandbox

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAuditTrustsNothing feeds the replay a ledger that let too much through.
func TestAuditTrustsNothing(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	send := func(minute int, sender, to string) *message {
		m := &message{
			sender: sender, pool: "p", customer: to, request: request{template: true},
			accepted: start.Add(time.Duration(minute) * time.Minute), counted: true,
		}
		m.limits.sender, m.limits.pool = 2, 3
		return m
	}
	free := send(3, "s", "free")
	free.inWindow = true
	text := send(3, "s", "text")
	text.request.template = false
	got := audit([]*message{
		send(0, "s", "a"), send(1, "s", "b"), send(2, "s", "a"), free, text,
		send(4, "s", "c"),  // beyond the sender's limit
		send(5, "t", "d"),  // the pool's third
		send(6, "t", "e"),  // beyond the pool's
		send(61, "s", "c"), // b has left, a was refreshed
		send(61, "s", "d"), // beyond the sender's
	}, nil, time.Hour)
	require.Equal(t, map[scope]int{{sender: "s"}: 2, {pool: "p"}: 1}, got)

	got = audit([]*message{
		send(0, "s", "a"), send(1, "s", "b"),
		send(2, "s", "c"), // a and b are one by then
		send(3, "s", "d"), // beyond the sender's limit
	}, []merge{{after: 2, from: "a", to: "b"}}, time.Hour)
	require.Equal(t, map[scope]int{{sender: "s"}: 1}, got)
}
