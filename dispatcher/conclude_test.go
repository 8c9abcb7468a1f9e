package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/dispatcher"
	"github.com/sluicehq/sluice/internal/messaging"
)

// confirming is a gate that notes which attempts were confirmed.
type confirming struct {
	dispatcher.Gate
	confirmed []string
	err       error
}

func (c *confirming) Confirm(_ context.Context, job string, attempt int, token string) error {
	c.confirmed = append(c.confirmed, fmt.Sprintf("%s/%d/%s", job, attempt, token))
	return c.err
}

// TestWhatMayHaveBeenTakenIsConfirmed: a place counts from the answer, unless
// the answer says that nothing was taken. A gate that fails stops nothing.
func TestWhatMayHaveBeenTakenIsConfirmed(t *testing.T) {
	t.Parallel()
	for answer, confirmed := range map[string][]string{
		ok:                          {"a/1/token"},
		string(messaging.Unknown):   {"a/1/token"},
		string(messaging.Permanent): nil,
		string(messaging.Throttled): nil,
	} {
		t.Run("answer "+answer, func(t *testing.T) {
			t.Parallel()
			w, real := realGate(t)
			w.phone.script = []string{answer}
			gate := &confirming{Gate: oneAccount{real}, err: errors.New("no answer")}
			d := dispatcher.New(gate, w.log, w.phone, w.log, deaf{}, config(w.clock.Now))
			settlement := d.Handle(t.Context(), taskOf(template("a")))
			require.NotEqual(t, delivery.HandBack, settlement.Action)
			require.Equal(t, confirmed, gate.confirmed)
		})
	}
}

// TestOptOutIsRecordedBeforeTheJobIsOver: after the event nobody would record
// it, so a failure hands the job back without one.
func TestOptOutIsRecordedBeforeTheJobIsOver(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]error{"recorded": nil, "not recorded": errors.New("no answer")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, real := realGate(t)
			w.phone.script = []string{string(messaging.OptedOut)}
			cfg := config(w.clock.Now)
			var said []string
			cfg.OptedOut = func(_ context.Context, customer, sender string, _ time.Time) error {
				require.False(t, w.log.record("a").Status.Ended(), "before the event")
				said = append(said, customer+" "+sender)
				return broken
			}
			task := taskOf(template("a"))
			settlement := dispatcher.New(oneAccount{real}, w.log, w.phone, w.log, deaf{}, cfg).Handle(t.Context(), task)
			require.Equal(t, []string{task.Job.To + " " + task.Job.From}, said)
			if broken != nil {
				require.Equal(t, delivery.HandBack, settlement.Action)
				require.NotEqual(t, delivery.StatusSuppressed, w.log.record("a").Status)
				return
			}
			require.Equal(t, delivery.Ack, settlement.Action)
			require.Equal(t, delivery.StatusSuppressed, w.log.record("a").Status)
		})
	}
}
