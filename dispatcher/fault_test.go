package dispatcher_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/dispatcher"
	"github.com/sluicehq/sluice/internal/messaging"
	"github.com/sluicehq/sluice/ratelimit"
)

// both is a job that goes free form inside the window and as its template
// outside.
func both(id string) delivery.Job {
	job := template(id)
	job.Body = "hello"
	return job
}

func TestAShutWindowMakesTheTemplateGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.phone.script = []string{string(messaging.Window)}
	w.publish(both("a"))
	w.until(time.Time{})
	record := w.log.record("a")
	require.Equal(t, delivery.StatusQueued, record.Status)
	require.Equal(t, 2, record.Attempt)
	require.Equal(t, []string{sender + " " + delivery.CustomerKey(customer)}, w.gate.shut)
	w.holds("a")

	w = newWorld(t)
	w.phone.script = []string{string(messaging.Window)}
	w.publish(freeForm("a", "hello"))
	w.until(time.Time{})
	require.Equal(t, delivery.StatusFailed, w.log.record("a").Status, "nothing else could go")
}

func TestAJobThatHadNoIntentIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.gate.refuse = func(ratelimit.Request) (ratelimit.Verdict, bool) {
		return ratelimit.Verdict{Outcome: ratelimit.OutcomeNoWindow}, true
	}
	w.publish(freeForm("a", "hello"))
	w.until(time.Time{})
	require.Equal(t, delivery.StatusFailed, w.log.record("a").Status)
	require.Equal(t, freeForm("a", "hello"), w.log.kept["a"])
}

// TestDeadBeforeItsIntentIsNotHeld: a worker that died between grant and intent
// sent nothing, so nothing has to be looked for.
func TestDeadBeforeItsIntentIsNotHeld(t *testing.T) {
	t.Parallel()
	job := template("a")
	job.OnUnknown = delivery.Hold
	w := newWorld(t)
	_, err := w.gate.Admit(t.Context(), ratelimit.Request{
		Job: job.ID, Digest: job.Digest(), Sender: job.Sender(), Attempt: 1, Token: "dead",
	})
	require.NoError(t, err)
	w.clock.advance(ackWait)
	s := w.handler.Handle(t.Context(), taskOf(job))
	require.Equal(t, delivery.Settlement{Action: delivery.Schedule, At: w.clock.Now(), Attempt: 2}, s)
	require.Zero(t, w.phone.lists)
	require.True(t, w.gate.job("a").grants[1].back, "its place is given back")
	require.Equal(t, "interrupted before it was sent", w.log.record("a").Reason)
}

func TestAJobThatVanishesAgainAndAgainIsHeld(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.phone.script = []string{vanish, vanish, vanish, vanish, vanish}
	w.publish(template("a"))
	w.until(time.Time{})
	record := w.log.record("a")
	require.Equal(t, delivery.StatusHeld, record.Status)
	require.Equal(t, "no evidence of any of 3 messages", record.Reason)
	require.Equal(t, 3, w.phone.calls)

	// A person begins anew.
	w.phone.script = []string{vanish}
	task := taskOf(template("a"))
	task.Attempt, task.Redriven = 4, 4
	w.add(task)
	w.until(time.Time{})
	require.Equal(t, delivery.StatusQueued, w.log.record("a").Status, w.story())
	require.Equal(t, 5, w.phone.calls)
	last, _, err := w.log.LastIntent(t.Context(), template("a"))
	require.NoError(t, err)
	require.Equal(t, 4, last.Redriven, "what brings the job back later counts from there too")
}

func TestARedriveBeginsToCountAnew(t *testing.T) {
	t.Parallel()
	task := taskOf(template("a"))
	task.Attempt, task.Redriven = 9, 8
	fault := &delivery.Fault{Kind: delivery.FaultRetry, Code: 4711}
	step := dispatcher.Decide(exact, task, dispatcher.Outcome{Fault: fault, End: start})
	require.Equal(t, delivery.EventScheduled, step.Event.Type)
	require.Equal(t, start.Add(2*time.Second), step.Settlement.At, "the second pause")
	task.Attempt = 10
	step = dispatcher.Decide(exact, task, dispatcher.Outcome{Fault: fault, End: start})
	require.Equal(t, delivery.EventFailed, step.Event.Type)
	require.Equal(t, "gave up after 3 attempts", step.Event.Reason)
}

// TestLostMessagesAreMatchedOneToOne: two jobs of one customer are looked for,
// and who looks first must not take the other's message.
func TestLostMessagesAreMatchedOneToOne(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		listed []messaging.Resource
		a, b   string // the SIDs found, empty for none
	}{
		{"both arrived", []messaging.Resource{at("SM2", 10*time.Second), at("SM1", 0)}, "SM1", "SM2"},
		{"both arrived at once", []messaging.Resource{at("SM2", 10*time.Second), at("SM1", 10*time.Second)}, "SM1", "SM2"},
		{"the first one arrived", []messaging.Resource{at("SM1", time.Second)}, "SM1", ""},
		{"the second one arrived", []messaging.Resource{at("SM2", 9*time.Second)}, "", "SM2"},
		{"none", nil, "", ""},
	} {
		for _, first := range []string{"a", "b"} {
			t.Run(c.name+", "+first+" looks first", func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.phone.listAll, w.phone.messages = true, c.listed
				w.die(template("a"), 1)
				w.clock.advance(10 * time.Second)
				w.die(template("b"), 1)
				w.clock.advance(ackWait + grace)
				second := map[string]string{"a": "b", "b": "a"}[first]
				for _, id := range []string{first, second} {
					w.handler.Handle(t.Context(), taskOf(template(id)))
				}
				require.Equal(t, c.a, w.log.record("a").SID)
				require.Equal(t, c.b, w.log.record("b").SID)
			})
		}
	}
}

// TestABrokenAccountRestsAsAWhole: nothing ends for it, one job at a time tries
// it, and when it answers again all go.
func TestABrokenAccountRestsAsAWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	broken := string(messaging.AccountBroken)
	w.phone.script = []string{broken, broken, broken}
	for _, id := range []string{"a", "b", "c", "d"} {
		w.publish(template(id))
	}
	w.until(start.Add(30 * time.Second))
	require.Equal(t, 1, w.phone.calls, "the others were parked")
	require.Equal(t, 1, w.gate.accountTrips)
	require.Equal(t, []string{"rests: the provider refuses the account"}, w.senderEvents())
	w.until(time.Time{})
	for _, id := range []string{"a", "b", "c", "d"} {
		require.Equal(t, delivery.StatusQueued, w.log.record(id).Status, w.story())
	}
	require.Equal(t, 3+4, w.phone.calls)
	require.Equal(t, []string{"rests: the provider refuses the account", "sends again"}, w.senderEvents())
}

func (w *world) senderEvents() (reasons []string) {
	for _, entry := range w.log.entries {
		if e := entry.Event; e != nil && e.Type == delivery.EventSender {
			reasons = append(reasons, e.Reason)
		}
	}
	return reasons
}

// TestAStormOfUnclearAnswersRestsTheSender, and one clear answer ends it.
func TestAStormOfUnclearAnswersRestsTheSender(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.callbackAfter = time.Second
	for range 20 {
		w.phone.script = append(w.phone.script, lost)
	}
	var ids []string
	for i := range 25 {
		ids = append(ids, string(rune('a'+i)))
		w.publish(template(ids[i]))
	}
	w.until(start.Add(20 * time.Second))
	require.Equal(t, 20, w.phone.calls, "after the twentieth the sender rests")
	require.True(t, w.gate.trips[sender].After(w.clock.Now()))
	w.until(time.Time{})
	require.Equal(t, 25, w.phone.calls, "none was sent twice")
	require.Len(t, w.phone.messages, 25)
	require.Equal(t, []string{"rests: no readable answer", "sends again"}, w.senderEvents())
}
