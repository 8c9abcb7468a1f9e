package dispatcher_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/messaging"
	"github.com/sluicehq/sluice/ratelimit"
)

// course is one course that a job can take when nothing goes wrong.
type course struct {
	name string
	job  delivery.Job
	set  func(*world)
	end  delivery.Status
}

func (c course) begin(t *testing.T) *world {
	w := newWorld(t)
	if c.set != nil {
		c.set(w)
	}
	w.publish(c.job)
	return w
}

func answers(script ...string) func(*world) {
	return func(w *world) { w.phone.script = script }
}

func refuses(o ratelimit.Outcome) func(*world) {
	return func(w *world) {
		w.gate.refuse = func(ratelimit.Request) (ratelimit.Verdict, bool) {
			return ratelimit.Verdict{Outcome: o, Reason: "why"}, true
		}
	}
}

// parksUntil parks every job until a time.
func (w *world) parksUntil(t time.Time) {
	w.gate.refuse = func(ratelimit.Request) (ratelimit.Verdict, bool) {
		return ratelimit.Verdict{Outcome: ratelimit.OutcomePark, Reason: ratelimit.ReasonPoolLimit, At: t}, w.clock.Now().Before(t)
	}
}

func courses() []course {
	held, later, text := template("j"), template("j"), freeForm("j", "hello")
	held.OnUnknown = delivery.Hold
	later.SendAt = start.Add(time.Hour)
	calls := func(after time.Duration, script ...string) func(*world) {
		return func(w *world) { w.callbackAfter, w.phone.script = after, script }
	}
	return []course{
		{"sent", template("j"), nil, delivery.StatusQueued},
		{"sent at a time", later, nil, delivery.StatusQueued},
		{"parked first", template("j"), func(w *world) { w.parksUntil(start.Add(time.Minute)) }, delivery.StatusQueued},
		{"refused once", template("j"), answers(string(messaging.Retry)), delivery.StatusQueued},
		{"throttled twice", template("j"), answers(string(messaging.Throttled), string(messaging.Throttled)), delivery.StatusQueued},
		{"over the limit", template("j"), answers(string(messaging.Limit)), delivery.StatusQueued},
		{"sender broken", template("j"), answers(string(messaging.SenderBroken), string(messaging.AccountBroken)), delivery.StatusQueued},
		{"answer lost", text, answers(lost), delivery.StatusQueued},
		{"answer lost, callback in time", template("j"), calls(3*time.Second, lost), delivery.StatusSent},
		{"answer lost, callback late", template("j"), calls(10*time.Minute, lost), delivery.StatusSent},
		{"answer lost, clock behind", text, func(w *world) { w.skew, w.phone.script = -time.Minute, []string{lost} }, delivery.StatusQueued},
		{"answer lost, clock ahead", text, func(w *world) { w.skew, w.phone.script = time.Minute, []string{lost} }, delivery.StatusQueued},
		{"two copies", template("j"), func(w *world) { w.publish(template("j")) }, delivery.StatusQueued},
		{"two copies, answer lost", text, func(w *world) { w.publish(freeForm("j", "hello")); w.phone.script = []string{lost} }, delivery.StatusQueued},
		{"vanished", text, answers(vanish), delivery.StatusQueued},
		{"vanished twice", template("j"), answers(vanish, vanish), delivery.StatusQueued},
		{"refused once, then held", held, answers(string(messaging.Retry), vanish), delivery.StatusHeld},
		{"vanished, held", held, answers(vanish), delivery.StatusHeld},
		{"lost, not held", held, answers(lost), delivery.StatusQueued},
		{"rejected", template("j"), answers(string(messaging.Permanent)), delivery.StatusFailed},
		{"opted out", template("j"), answers(string(messaging.OptedOut)), delivery.StatusSuppressed},
		{"canceled", template("j"), refuses(ratelimit.OutcomeCanceled), delivery.StatusCanceled},
		{"expired", template("j"), refuses(ratelimit.OutcomeExpired), delivery.StatusExpired},
		{"suppressed", template("j"), refuses(ratelimit.OutcomeSuppressed), delivery.StatusSuppressed},
		{"no window", text, refuses(ratelimit.OutcomeNoWindow), delivery.StatusFailed},
	}
}

func TestCourses(t *testing.T) {
	t.Parallel()
	for _, c := range courses() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := c.begin(t)
			w.until(time.Time{})
			w.holds("j")
			require.Equal(t, c.end, w.log.record("j").Status)
			accepted := w.log.record("j").Timeline[0]
			require.Equal(t, delivery.EventAccepted, accepted.Type)
			require.Equal(t, start, accepted.At, "a job is accepted when it is published")
		})
	}
}

// trouble is what goes wrong at one place. A place is before or after an effect,
// so an error is a failure, or a failure although it was done.
type trouble struct {
	name string
	do   func(w *world) error
}

func troubles() []trouble {
	return []trouble{
		{"fails", func(*world) error { return errInjected }},
		{"dies", func(*world) error { panic(crash{}) }},
		{"stands still for a while", naps(10 * time.Second)},
		{"stands still beyond its grant", naps(45 * time.Second)},
		{"stands still beyond the grace", naps(90 * time.Second)},
		{"stands still for long", naps(5 * time.Minute)},
	}
}

// naps makes the worker stand still while time passes for all others, who take
// its message for lost.
func naps(d time.Duration) func(*world) error {
	return func(w *world) error {
		if w.depth < 4 {
			w.until(w.clock.Now().Add(d))
		}
		return nil
	}
}

// meets lets a course meet troubles at numbered places, and checks the promise.
func (c course) meets(t *testing.T, plan map[int]trouble) {
	t.Helper()
	w := c.begin(t)
	var met []string
	w.fault = func(n int, op string, after bool) error {
		one, here := plan[n]
		if !here {
			return nil
		}
		met = append(met, fmt.Sprintf("%d: %s, after it %t, %s", n, op, after, one.name))
		return one.do(w)
	}
	defer func() {
		if t.Failed() {
			t.Logf("course %q meets %q", c.name, met)
		}
	}()
	w.until(time.Time{})
	w.holds("j")
}

// places is how many places a course has when nothing goes wrong.
func (c course) places(t *testing.T) int {
	w := c.begin(t)
	w.until(time.Time{})
	return w.place
}

// TestOneTrouble puts each trouble at each place of each course.
func TestOneTrouble(t *testing.T) {
	t.Parallel()
	for _, c := range courses() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for place := range c.places(t) {
				for _, one := range troubles() {
					c.meets(t, map[int]trouble{place + 1: one})
				}
			}
		})
	}
}

// TestTwoTroubles puts two troubles at each pair of places that lie near each
// other; which two changes from pair to pair.
func TestTwoTroubles(t *testing.T) {
	t.Parallel()
	all := troubles()
	for _, c := range courses() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			places, turn := c.places(t)+12, 0 // the first trouble makes the course longer
			for first := 1; first < places; first++ {
				for second := first + 1; second <= min(places, first+16); second++ {
					turn += 7
					c.meets(t, map[int]trouble{first: all[turn%len(all)], second: all[turn/len(all)%len(all)]})
				}
			}
		})
	}
}

// TestManyTroubles draws longer runs of trouble.
func TestManyTroubles(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		plan := map[int]trouble{}
		for range rapid.IntRange(2, 8).Draw(rt, "troubles") {
			place := rapid.IntRange(1, 80).Draw(rt, "place")
			plan[place] = troubles()[rapid.IntRange(0, len(troubles())-1).Draw(rt, "trouble")]
		}
		courses()[rapid.IntRange(0, len(courses())-1).Draw(rt, "course")].meets(t, plan)
	})
}
