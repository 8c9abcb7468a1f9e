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
type trouble func(w *world, after bool) error

var troubles = []struct {
	name string
	trouble
}{
	{"fails", func(*world, bool) error { return errInjected }},
	{"dies", func(*world, bool) error { panic(crash{}) }},
	// The worker stands still while time passes for all others.
	{"stands still for a while", naps(10 * time.Second)},
	{"stands still beyond its grant", naps(45 * time.Second)},
	{"stands still beyond the grace", naps(90 * time.Second)},
	{"stands still for long", naps(5 * time.Minute)},
}

func naps(d time.Duration) trouble {
	return func(w *world, _ bool) error {
		if w.depth < 4 {
			w.until(w.clock.Now().Add(d))
		}
		return nil
	}
}

// TestOneTrouble puts each trouble at each place of each course.
func TestOneTrouble(t *testing.T) {
	t.Parallel()
	for _, c := range courses() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			places := countPlaces(t, c)
			for place := 1; place <= places; place++ {
				for _, trouble := range troubles {
					runWith(t, c, map[int]trouble2{place: {trouble.name, trouble.trouble}})
				}
			}
		})
	}
}

// TestTwoTroubles puts every pair of troubles at every pair of near places.
func TestTwoTroubles(t *testing.T) {
	t.Parallel()
	for _, c := range courses() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			places := countPlaces(t, c) + 12 // the first trouble makes the course longer
			for first := 1; first < places; first++ {
				for second := first + 1; second <= min(places, first+24); second++ {
					for _, a := range troubles {
						for _, b := range troubles {
							runWith(t, c, map[int]trouble2{first: {a.name, a.trouble}, second: {b.name, b.trouble}})
						}
					}
				}
			}
		})
	}
}

// TestManyTroubles draws longer runs of trouble.
func TestManyTroubles(t *testing.T) {
	t.Parallel()
	all := courses()
	rapid.Check(t, func(rt *rapid.T) {
		c := rapid.SampledFrom(all).Draw(rt, "course")
		plan := map[int]trouble2{}
		for range rapid.IntRange(2, 8).Draw(rt, "troubles") {
			b := rapid.SampledFrom(troubles).Draw(rt, "trouble")
			plan[rapid.IntRange(1, 80).Draw(rt, "place")] = trouble2{b.name, b.trouble}
		}
		runWith(t, c, plan)
	})
}

type trouble2 struct {
	name string
	do   trouble
}

func countPlaces(t *testing.T, c course) int {
	w := c.begin(t)
	w.until(time.Time{})
	return w.place
}

func runWith(t *testing.T, c course, plan map[int]trouble2) {
	t.Helper()
	w := c.begin(t)
	var met []string
	w.fault = func(n int, op string, after bool) error {
		b, here := plan[n]
		if !here {
			return nil
		}
		met = append(met, fmt.Sprintf("place %d: %s, after=%t, %s", n, op, after, b.name))
		return b.do(w, after)
	}
	defer func() {
		if t.Failed() {
			t.Logf("course %q, troubles %q", c.name, met)
		}
	}()
	w.until(time.Time{})
	w.holds("j")
}
