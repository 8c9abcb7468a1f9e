package dispatcher_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/dispatcher"
	"github.com/sluicehq/sluice/internal/messaging"
	"github.com/sluicehq/sluice/ratelimit"
)

var (
	_ dispatcher.Turnstile = (*ratelimit.Gate)(nil)
	_ dispatcher.Provider  = (*messaging.Client)(nil)
)

// oneAccount is a gate whose senders all belong to one account.
type oneAccount struct{ *ratelimit.Gate }

func (g oneAccount) TripAccount(ctx context.Context, sender, reason string, until time.Time) error {
	return g.Trip(ctx, sender, reason, until)
}

// realGate is a world that asks the real gate, with one place per window.
func realGate(t *testing.T) (*world, *ratelimit.Gate) {
	w := newWorld(t)
	rdb, err := newEngine()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rdb.close()) })
	gate := ratelimit.New(rdb.client, ratelimit.Options{
		Epoch: "life 1", Now: w.clock.Now, DefaultLimit: 1, GrantLife: grantLife, Window: time.Hour,
	})
	require.NoError(t, gate.Refill(t.Context(), "life 1"))
	require.NoError(t, gate.Open(t.Context(), "life 1"))
	w.handler = dispatcher.New(oneAccount{gate}, w.log, w.phone, w.log, deaf{}, config(w.clock.Now))
	w.lets = dispatcher.NewReleaser(w, gate, w.log, dispatcher.ReleaserConfig{
		Holder: holder, Account: account, Clock: w.clock.Now,
	})
	return w, gate
}

func TestRealGateParksUntilAPlaceIsFree(t *testing.T) {
	t.Parallel()
	w, _ := realGate(t)
	second := template("b")
	second.To = "whatsapp:+491709999999"
	w.publish(template("a"))
	w.publish(second)
	w.until(start.Add(time.Minute))
	require.Equal(t, delivery.StatusQueued, w.log.record("a").Status)
	require.Equal(t, delivery.StatusParked, w.log.record("b").Status)
	require.Equal(t, ratelimit.ReasonSenderLimit, w.log.record("b").Reason)
	w.until(time.Time{})
	require.Equal(t, delivery.StatusQueued, w.log.record("b").Status, w.story())
	require.Len(t, w.phone.messages, 2)
	require.True(t, w.clock.Now().After(start.Add(time.Hour)))
}

func TestRealGateSendsACopyNowhere(t *testing.T) {
	t.Parallel()
	w, _ := realGate(t)
	w.publish(template("a"))
	w.publish(template("a"))
	w.until(time.Time{})
	require.Len(t, w.phone.messages, 1)
	require.Equal(t, delivery.StatusQueued, w.log.record("a").Status)
}

// TestRealGateRefusedThenDead: the slot is given back and the next attempt
// decided on, but the worker dies before the message is moved.
func TestRealGateRefusedThenDead(t *testing.T) {
	t.Parallel()
	w, gate := realGate(t)
	w.phone.script = []string{string(messaging.Throttled)}
	w.fault = func(_ int, op string, after bool) error {
		if op == "move" && !after && w.phone.calls == 1 && w.clock.Now().Equal(start) {
			panic(crash{})
		}
		return nil
	}
	w.publish(template("a"))
	w.until(start.Add(time.Second))
	require.Equal(t, delivery.StatusScheduled, w.log.record("a").Status)
	limits, err := gate.Limits(t.Context(), account)
	require.NoError(t, err)
	require.Zero(t, limits.Used)

	w.until(time.Time{})
	require.Len(t, w.phone.messages, 1, w.story())
	require.Equal(t, delivery.StatusQueued, w.log.record("a").Status)
	require.Equal(t, 2, w.log.record("a").Attempt)
}

// TestRealGateHearsOfALostMessageInTime: the next attempt was decided on, and
// before it is sent a late callback names the message that had been given up.
func TestRealGateHearsOfALostMessageInTime(t *testing.T) {
	t.Parallel()
	w, gate := realGate(t)
	task := taskOf(template("a"))
	task.Token = "first"
	v, err := gate.Admit(t.Context(), ratelimit.Request{
		Job: "a", Digest: task.Job.Digest(), Sender: task.Job.Sender(), Pool: account,
		Customer: delivery.CustomerKey(task.Job.To), Attempt: 1, Token: "first", Template: true,
	})
	require.NoError(t, err)
	require.Equal(t, ratelimit.OutcomeGo, v.Outcome)
	require.NoError(t, gate.Apply(t.Context(), 0, 1, []ratelimit.Change{{
		Kind: ratelimit.Progress, Job: "a", Attempt: 1, At: start, SID: "SMlate", Status: "sent",
	}}))

	task.Attempt, task.Token = 2, "second"
	settlement := w.handler.Handle(t.Context(), task)
	require.Equal(t, delivery.Ack, settlement.Action)
	require.Empty(t, w.phone.messages, "nothing is sent")
	record := w.log.record("a")
	require.Equal(t, delivery.StatusQueued, record.Status)
	require.Equal(t, "SMlate", record.SID)
	require.Equal(t, 2, record.Attempt, "the job goes on from there")
}
