package sandbox_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/sandbox"
)

func customer(n int) string { return fmt.Sprintf("To=whatsapp:+49151%08d", n) }

func usage(t *testing.T, all []sandbox.Usage, name string) sandbox.Usage {
	t.Helper()
	for _, u := range all {
		if u.Sender == name || u.Sender == "" && u.Pool == name {
			return u
		}
	}
	require.FailNow(t, "no usage of "+name)
	return sandbox.Usage{}
}

func TestLimitPerSender(t *testing.T) {
	t.Parallel()
	now := newClock()
	r := start(t, sandbox.Config{Now: now.Now, Window: time.Hour, ReadShare: -1})
	r.ok("PUT", "/sandbox/senders/"+sender, `{"limit":2}`)
	r.ok("PUT", "/sandbox/senders/15550002222", `{"limit":"unlimited"}`)
	r.sent(customer(1), "From=whatsapp:+15550002222")

	first := r.entry(r.sent(customer(1)), "delivered")
	require.True(t, first.Counted)
	now.Add(10 * time.Minute)
	require.True(t, r.entry(r.sent(customer(2)), "delivered").Counted)
	require.True(t, r.entry(r.sent(customer(1)), "delivered").Counted, "a customer already counted is free, and refreshed")

	over := r.entry(r.sent(customer(3)), "undelivered")
	require.False(t, over.Counted)
	require.Equal(t, 63018, over.ErrorCode)

	mine := usage(t, r.box.Limits().Senders, sender)
	require.Equal(t, sandbox.Usage{
		Sender: sender, Pool: account, Limit: 2, Used: 2, Exceeded: 1, OverLimit: 1,
		Queue: &sandbox.Queue{MPS: 80, Backlog: 0.0375},
	}, mine)
	pool := usage(t, r.box.Limits().Pools, account)
	require.Equal(t, sandbox.Unlimited, pool.Limit)
	require.Zero(t, pool.Exceeded)
	require.Equal(t, 1, r.box.Limits().OverLimit)

	now.Add(50*time.Minute + time.Second) // an hour after the first send, which was refreshed
	require.Equal(t, 63018, r.entry(r.sent(customer(3)), "undelivered").ErrorCode)
	now.Add(10*time.Minute - time.Second) // exactly an hour after the later ones
	require.True(t, r.entry(r.sent(customer(3)), "delivered").Counted)
	require.Equal(t, 1, usage(t, r.box.Limits().Senders, sender).Used)
}

func TestLimitPerPool(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Config{Now: newClock().Now, DefaultLimit: 2, ReadShare: -1})
	other := "From=whatsapp:+15550002222"
	r.entry(r.sent(customer(1)), "delivered")
	r.entry(r.sent(customer(1), other), "delivered")
	r.entry(r.sent(customer(2), other), "delivered")
	r.entry(r.sent(customer(3)), "undelivered") // the third customer of the pool, the second of its sender
	got := r.box.Limits()
	require.Equal(t, sandbox.Usage{Pool: account, Limit: 2, Used: 2, Exceeded: 1, OverLimit: 1}, usage(t, got.Pools, account))
	require.Zero(t, usage(t, got.Senders, sender).Exceeded)

	r.ok("PUT", "/sandbox/senders/15550002222", `{"limit":3}`)
	require.EqualValues(t, 3, usage(t, r.box.Limits().Pools, account).Limit, "the largest of its senders'")
	r.entry(r.sent(customer(3)), "delivered")
	r.ok("PUT", "/sandbox/pools/"+account, `{"limit":4}`)
	r.entry(r.sent(customer(4), other), "delivered")
	r.entry(r.sent(customer(5), other), "undelivered")

	r.ok("PUT", "/sandbox/senders/15550003333", `{"pool":"elsewhere","limit":1}`)
	r.entry(r.sent(customer(6), "From=whatsapp:+15550003333"), "delivered")
	require.Equal(t, 1, usage(t, r.box.Limits().Pools, "elsewhere").Used)
	require.Equal(t, 4, usage(t, r.box.Limits().Pools, account).Used)
}

func TestCustomerServiceWindow(t *testing.T) {
	t.Parallel()
	now := newClock()
	r := start(t, sandbox.Config{Now: now.Now, ServiceWindow: time.Hour, ReadShare: -1})
	r.ok("PUT", "/sandbox/senders/"+sender, `{"limit":0}`)

	shut := r.entry(r.sent("ContentSid=", "Body=hello"), "undelivered")
	require.Equal(t, 63016, shut.ErrorCode)
	require.False(t, shut.Counted)
	require.False(t, shut.InWindow)
	both := r.entry(r.sent("Body=hello"), "undelivered")
	require.Equal(t, 63016, both.ErrorCode, "a text beside the template makes it free form")

	r.ok("POST", "/sandbox/inbound", `{"from":"`+to+`","to":"`+from+`","body":"hi"}`)
	for _, content := range []string{"Body=hello", "Body="} {
		open := r.entry(r.sent(content), "delivered")
		require.True(t, open.InWindow)
		require.False(t, open.Counted)
	}
	r.entry(r.sent(customer(1)), "undelivered")                       // another customer
	r.entry(r.sent("From=whatsapp:+15550002222"), "delivered")        // another sender: not in its window,
	require.False(t, r.box.Ledger()[r.size()-1].InWindow, "but free") // and its limit is the default one

	now.Add(time.Hour)
	require.Equal(t, 63018, r.entry(r.sent(), "undelivered").ErrorCode, "the window has closed")
	require.Equal(t, 2, usage(t, r.box.Limits().Senders, sender).Exceeded)
}

func (r *rig) size() int { return len(r.box.Ledger()) }

func TestServiceWindowOfAMessagingService(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Config{ReadShare: -1})
	r.ok("POST", "/sandbox/inbound", `{"from":"`+to+`","to":"`+service+`","body":"hi"}`)
	sid := r.sent("From=", "MessagingServiceSid="+service, "ContentSid=", "Body=hello")
	require.True(t, r.entry(sid, "delivered").InWindow)
}
