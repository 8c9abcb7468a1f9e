package dispatcher

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
)

// A broken account makes the jobs of its own senders take turns, and no
// other's.
func TestAccountsBreakApart(t *testing.T) {
	t.Parallel()
	d := New(nil, nil, nil, nil, nil, Config{Account: "AC1", AccountOf: func(sender string) string {
		return map[string]string{"beta": "AC2", "gamma": "AC2"}[sender]
	}})
	enter := func(sender string) (probes, free bool) { return d.health.enter(sender, d.account(sender)) }
	d.health.answered("beta", d.account("beta"), &delivery.Fault{Kind: delivery.FaultAccount})

	probes, free := enter("gamma")
	require.Equal(t, []bool{true, true}, []bool{probes, free}, "one of the account tries it")
	_, free = enter("beta")
	require.False(t, free, "the others of the account wait for what it finds")
	for range 2 {
		probes, free = enter("alpha")
		require.Equal(t, []bool{false, true}, []bool{probes, free})
	}
}
