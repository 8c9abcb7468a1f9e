package sandbox_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/sandbox"
)

// TestMessagesOverTheRateWait runs without a network, so that it sees the time
// at which each message leaves exactly.
func TestMessagesOverTheRateWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		box := sandbox.New(sandbox.Config{MPS: 0.1, ReadShare: -1, CallbackDelay: time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		go box.Run(ctx)
		statuses := func() (got []string) {
			synctest.Wait()
			for _, e := range box.Ledger() {
				got = append(got, e.Status)
			}
			return got
		}
		for _, change := range []string{"", "ValidityPeriod=9", "ValidityPeriod=10", ""} {
			create(t, box.Handler(), form(change).Encode())
		}
		require.Equal(t, []string{"queued", "queued", "queued", "queued"}, statuses())
		for _, moment := range []struct {
			pause time.Duration
			want  []string
		}{
			{time.Second, []string{"sent", "queued", "queued", "queued"}},
			{8 * time.Second, []string{"delivered", "queued", "queued", "queued"}},
			{time.Second, []string{"delivered", "failed", "queued", "queued"}}, // a second after it expired
			{time.Second, []string{"delivered", "failed", "sent", "queued"}},   // the expired one took no time
			{9 * time.Second, []string{"delivered", "failed", "delivered", "queued"}},
			{time.Second, []string{"delivered", "failed", "delivered", "sent"}},
			{time.Minute, []string{"delivered", "failed", "delivered", "delivered"}},
		} {
			<-time.After(moment.pause)
			require.Equal(t, moment.want, statuses())
		}
		create(t, box.Handler(), form().Encode())
		<-time.After(time.Second)
		require.Equal(t, "sent", statuses()[4], "nothing is waiting any more")
		cancel()
		synctest.Wait()
	})
}

func TestBacklog(t *testing.T) {
	t.Parallel()
	now := newClock()
	r := start(t, sandbox.Config{Now: now.Now})
	backlog := func() float64 { return usage(t, r.box.Limits().Senders, sender).Backlog }
	r.ok("PUT", "/sandbox/senders/"+sender, `{"mps":0.001}`)
	require.Zero(t, backlog())
	for range 14 {
		r.sent()
	}
	require.Equal(t, 14000.0, backlog())
	requireProblem(t, r.send(), http.StatusBadRequest, 21611)
	requireProblem(t, r.send("ValidityPeriod=1"), http.StatusBadRequest, 21611)
	require.Equal(t, 14, r.size())
	r.sent("From=whatsapp:+15550002222") // has a queue of its own

	now.Add(10 * time.Minute)
	r.sent()
	require.Equal(t, 14400.0, backlog(), "exactly 4 hours")
	requireProblem(t, r.send(), http.StatusBadRequest, 21611)

	r.ok("PUT", "/sandbox/senders/"+sender, `{"mps":"unlimited"}`)
	r.sent()
	require.Equal(t, 14400.0, backlog(), "it stands behind the others and takes no time")
	now.Add(5 * time.Hour)
	require.Zero(t, backlog())
	require.Equal(t, sandbox.Unpaced, usage(t, r.box.Limits().Senders, sender).MPS)
	require.Nil(t, usage(t, r.box.Limits().Pools, account).Queue)
}

func TestRateByDefault(t *testing.T) {
	t.Parallel()
	for mps, want := range map[float64]sandbox.Rate{
		0: 80, -2: sandbox.Unpaced, 0.5: 0.5, 1e-9: 0.0001,
	} {
		box := sandbox.New(sandbox.Config{MPS: mps})
		state, err := box.PutSender(sender, sandbox.SenderPatch{})
		require.NoError(t, err)
		require.Equal(t, want, state.MPS)
	}
	zero := sandbox.Rate(0)
	_, err := sandbox.New(sandbox.Config{}).PutSender(sender, sandbox.SenderPatch{MPS: &zero})
	require.ErrorContains(t, err, "mps")
}

func TestExpiredMessage(t *testing.T) {
	t.Parallel()
	e := listen(t, nil)
	r := start(t, sandbox.Config{Now: newClock().Now, MPS: 0.5})
	r.ok("PUT", "/sandbox/senders/"+sender, `{"limit":1}`)
	r.sent()
	sid := r.sent(customer(1), "ValidityPeriod=1", "StatusCallback="+e.url)

	h := e.next(t)
	require.Equal(t, sid, h.form.Get("MessageSid"))
	require.Equal(t, "failed", h.form.Get("MessageStatus"))
	require.Equal(t, "30036", h.form.Get("ErrorCode"))
	require.False(t, h.form.Has("EventType"), "it never left")
	got := r.get("Messages/" + sid + ".json").body
	require.Equal(t, "failed", got["status"])
	require.EqualValues(t, 30036, got["error_code"])
	require.NotEmpty(t, got["error_message"])
	require.Nil(t, got["date_sent"])
	entry := r.entry(sid, "failed")
	require.False(t, entry.Counted)
	require.Equal(t, 30036, entry.ErrorCode)
	mine := usage(t, r.box.Limits().Senders, sender)
	require.Equal(t, []int{1, 0, 0}, []int{mine.Used, mine.Exceeded, mine.OverLimit}, "it asked for no place")
}
