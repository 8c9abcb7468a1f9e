package ratelimit_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluicehq/sluice/ratelimit"
)

// naive is a list of sends that is counted over and over, and a waiting room
// whose jobs are offered to the gate once a second in their order. It is the
// second model and knows nothing of scores, marks or stacks. Nothing is given
// back and nobody writes in, so that the list is all there is to count.
type naive struct {
	gate    *bench
	t       testing.TB
	limits  map[string]int     // of senders and pools
	reserve map[string]float64 // of pools
	pool    map[string]string  // sender → pool
	same    map[string]string  // address → the customer it is
	sends   []send
	waiting []ratelimit.Request // the oldest first
	now     time.Time           // the platform's clock
	ahead   time.Duration       // by which the gate's clock is ahead of it
	steps   bool                // that changes on the way
	n       int
}

type send struct {
	sender, pool, customer string
	at                     time.Time
}

// naiveOptions keep the borders between whole seconds, as modelOptions do, with
// a margin above what the clock steps add up to.
var naiveOptions = ratelimit.Options{
	Window: time.Minute, Margin: 10*time.Second + 600*time.Millisecond, DefaultMPS: 1e6, PairSpacing: -1,
}

func (n *naive) is(customer string) string {
	if same := n.same[customer]; same != "" {
		return same
	}
	return customer
}

// reached are the customers of a sender, or of a pool, within a span.
func (n *naive) reached(level string, span time.Duration) map[string]bool {
	customers := map[string]bool{}
	for _, s := range n.sends {
		if (s.sender == level || s.pool == level) && s.at.Add(span).After(n.now) {
			customers[n.is(s.customer)] = true
		}
	}
	return customers
}

// room says whether a job's customer needs a place, whether there is one, and
// how many places the pool has for the job.
func (n *naive) room(r ratelimit.Request) (needs, has bool, left int) {
	span := n.gate.opts.Window + n.gate.opts.Margin
	own, all := n.reached(r.Sender, span), n.reached(r.Pool, span)
	limit := n.limits[r.Pool]
	if r.Priority != ratelimit.High {
		limit -= int(math.Ceil(n.reserve[r.Pool] * float64(limit)))
	}
	has, left = true, math.MaxInt
	if !own[n.is(r.Customer)] {
		needs, has = true, len(own) < n.limits[r.Sender]
	}
	if !all[n.is(r.Customer)] {
		left = limit - len(all)
		needs, has = true, has && left > 0
	}
	return needs, has, left
}

// fresh is a new job. If it goes and needs a place, it takes none that another
// one waits for.
func (n *naive) fresh(rt *rapid.T) {
	n.n++
	r := job(fmt.Sprint("job", n.n), someSender.Draw(rt, "sender"), someCustomer.Draw(rt, "customer"))
	r.Pool, r.Priority = n.pool[r.Sender], ratelimit.Priority(rapid.IntRange(0, 2).Draw(rt, "priority"))
	needs, has, left := n.room(r)
	same, all := 0, 0
	for _, w := range n.waiting {
		if needy, _, _ := n.room(w); needy && w.Priority <= r.Priority && w.Pool == r.Pool {
			all++
			if w.Sender == r.Sender {
				same++
			}
		}
	}
	v := n.gate.admit(n.t, r)
	if v.Outcome == ratelimit.OutcomeGo {
		if needs && !n.steps {
			require.Zero(rt, same, "%s went before others of its sender", r.Job)
			require.Greater(rt, left, all, "%s took a place that others wait for", r.Job)
		}
		n.sends = append(n.sends, send{r.Sender, r.Pool, r.Customer, n.now})
		return
	}
	if !n.steps {
		require.True(rt, needs, "%s needs no place: %+v", r.Job, v)
		require.False(rt, has && len(n.waiting) == 0, "%s was held though nobody waits: %+v", r.Job, v)
	}
	n.waiting = append(n.waiting, r)
}

// second passes, and the waiting room is served. Whoever waits then has no place.
func (n *naive) second(rt *rapid.T) {
	d := time.Duration(rapid.IntRange(1, 30).Draw(rt, "seconds")) * time.Second
	n.now = n.now.Add(d)
	n.gate.clock.advance(d)
	for n.serve(rt) {
	}
	for _, w := range n.waiting {
		if _, has, _ := n.room(w); has && !n.steps {
			rt.Fatalf("%s is held in vain", w.Job)
		}
	}
}

// serve offers every waiting job once, by priority and age.
func (n *naive) serve(rt *rapid.T) (progress bool) {
	for p := ratelimit.High; p <= ratelimit.Low; p++ {
		for _, w := range slices.Clone(n.waiting) {
			if w.Priority != p || n.gate.reserve(n.t, w).Outcome != ratelimit.OutcomeGo {
				continue
			}
			require.Equal(rt, ratelimit.OutcomeGo, n.gate.admit(n.t, w).Outcome)
			n.sends = append(n.sends, send{w.Sender, w.Pool, w.Customer, n.now})
			n.waiting = slices.DeleteFunc(n.waiting, func(r ratelimit.Request) bool { return r.Job == w.Job })
			progress = true
		}
	}
	return progress
}

// alias shows two addresses side by side.
func (n *naive) alias(rt *rapid.T) {
	alias, customer := rapid.SampledFrom([]string{"+4", "+5", "+6"}).Draw(rt, "alias"), rapid.SampledFrom([]string{"+1", "+2", "+3"}).Draw(rt, "customer")
	if n.same[alias] != "" || rapid.IntRange(0, 3).Draw(rt, "seldom") > 0 {
		rt.Skip("not now")
	}
	n.same[alias] = customer
	n.gate.aliases(n.t, alias, customer)
}

// step sets the gate's clock forward or back, within the margin.
func (n *naive) step(rt *rapid.T) {
	if !n.steps {
		rt.Skip("the clocks agree")
	}
	ahead := time.Duration(rapid.IntRange(0, 10).Draw(rt, "seconds")) * time.Second
	n.gate.clock.advance(ahead - n.ahead)
	n.ahead = ahead
}

// check is the promise: no window ever holds more than its limit.
func (n *naive) check(rt *rapid.T) {
	for level, limit := range n.limits {
		require.LessOrEqual(rt, len(n.reached(level, n.gate.opts.Window)), limit, "of %s", level)
	}
}

func newNaive(t testing.TB, b *bench, rt *rapid.T, steps bool) *naive {
	n := &naive{
		gate: b, t: t, steps: steps, now: startAt, same: map[string]string{},
		limits: map[string]int{}, reserve: map[string]float64{}, pool: map[string]string{"s1": "p", "s2": "p", "s3": "q"},
	}
	some := rapid.IntRange(1, 4)
	for _, pool := range []string{"p", "q"} {
		n.limits[pool], n.reserve[pool] = some.Draw(rt, pool), rapid.SampledFrom([]float64{0, 0.3}).Draw(rt, "reserve")
		policy := ratelimit.PoolPolicy{Limit: limit(n.limits[pool]), Reserve: n.reserve[pool]}
		require.NoError(rt, b.SetPool(t.Context(), pool, policy, b.version()))
	}
	for _, sender := range []string{"s1", "s2", "s3"} {
		pool := n.pool[sender]
		n.limits[sender] = some.Draw(rt, sender)
		policy := ratelimit.SenderPolicy{Pool: pool, Limit: limit(n.limits[sender]), MPS: 1e6}
		require.NoError(rt, b.SetSender(t.Context(), sender, policy, b.version()))
	}
	return n
}

// Nothing goes beyond a limit and nothing is held in vain, in the order of
// priority and age.
func TestGateAgreesWithAList(t *testing.T) { t.Parallel(); runNaive(t, false) }

// A clock that steps by less than the margin never lets a window hold more.
func TestLimitHoldsWhenTheClockSteps(t *testing.T) { t.Parallel(); runNaive(t, true) }

func runNaive(t *testing.T, steps bool) {
	check := func(t *testing.T, b *bench) {
		rapid.Check(t, func(rt *rapid.T) {
			b.reset(t)
			n := newNaive(t, b, rt, steps)
			rt.Repeat(map[string]func(*rapid.T){
				"": n.check, "fresh": n.fresh, "second": n.second, "alias": n.alias, "step": n.step,
			})
		})
	}
	onEach(t, naiveOptions, check)
}
