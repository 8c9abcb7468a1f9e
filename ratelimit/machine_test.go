package ratelimit_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluicehq/sluice/ratelimit"
)

// machine drives the gate and the model with the same steps.
type machine struct {
	*model
	gate *bench
	ctx  context.Context
	// changes: policies change on the way, and attempts that were given back
	// turn out to be delivered. Without them the limit holds at every moment.
	changes bool
}

// modelOptions keeps every border of a window between two whole seconds, where
// the machine's clock never stands.
var modelOptions = ratelimit.Options{
	Window: time.Minute, ServiceWindow: 45 * time.Second, DefaultLimit: 3, DefaultMPS: 1e6,
	PairSpacing: 7 * time.Second, PairBurst: 2,
}

// The scripts decide as the model does, step by step, and place by place.
func TestGateIsTheModel(t *testing.T) {
	t.Parallel()
	runMachine(t, true)
}

// With limits that stay, no window of any sender or pool ever holds more.
func TestLimitHoldsAtEveryMoment(t *testing.T) {
	t.Parallel()
	runMachine(t, false)
}

func runMachine(t *testing.T, changes bool) {
	check := func(t *testing.T, b *bench) {
		rapid.Check(t, func(rt *rapid.T) {
			b.reset(t)
			m := &machine{model: newModel(b.opts), gate: b, ctx: t.Context(), changes: changes}
			m.setLimits(rt)
			rt.Repeat(m.actions())
		})
	}
	t.Run("miniredis", func(t *testing.T) {
		t.Parallel()
		check(t, onMini(t, modelOptions))
	})
	if !engines.Found() {
		return
	}
	t.Run("cluster", func(t *testing.T) {
		t.Parallel()
		b, _ := onCluster(t, modelOptions)
		check(t, b)
	})
	t.Run("sentinel", func(t *testing.T) {
		t.Parallel()
		check(t, newBench(t, engines.FailedOver(t), modelOptions, true))
	})
	for i := range 4 {
		t.Run(fmt.Sprint("redis ", i), func(t *testing.T) {
			t.Parallel()
			check(t, onReal(t, modelOptions))
		})
	}
}

// reset empties the gate for the next sequence.
func (b *bench) reset(t testing.TB) {
	require.NoError(t, b.rdb.FlushDB(t.Context()).Err())
	b.clock.advance(startAt.Sub(b.clock.Now()))
	b.open(t)
}

func (m *machine) actions() map[string]func(*rapid.T) {
	actions := map[string]func(*rapid.T){
		"":         m.check,
		"new":      m.newJob,
		"again":    m.again,
		"reserve":  m.reserveOne,
		"repeat":   m.repeat,
		"giveback": m.giveOneBack,
		"evidence": m.evidence,
		"inbound":  m.inbound,
		"tick":     m.tick,
		"alias":    m.oneCustomer,
	}
	if m.changes {
		actions["sender"] = m.changeSender
		actions["pool"] = m.changePool
	}
	return actions
}

var (
	someSender   = rapid.SampledFrom([]string{"s1", "s2", "s3"})
	somePool     = rapid.SampledFrom([]string{"p", "q"})
	someCustomer = rapid.SampledFrom([]string{"+1", "+2", "+3", "+4", "+5", "+6"})
	someLimit    = rapid.Custom(func(t *rapid.T) *int {
		n := rapid.IntRange(-2, 4).Draw(t, "limit")
		if n == -2 {
			return nil
		}
		return &n
	})
)

// setLimits gives the pools limits that hold from the start.
func (m *machine) setLimits(rt *rapid.T) {
	if m.changes {
		return
	}
	for _, pool := range []string{"p", "q"} {
		m.setPool(rt, pool, ratelimit.PoolPolicy{
			Limit: someLimit.Draw(rt, pool), Reserve: rapid.SampledFrom([]float64{0, 0.3}).Draw(rt, "reserve"),
		})
	}
}

func (m *machine) setPool(rt *rapid.T, pool string, p ratelimit.PoolPolicy) {
	m.pools[pool] = p
	require.NoError(rt, m.gate.SetPool(m.ctx, pool, p, m.gate.version()))
}

func (m *machine) newJob(rt *rapid.T) {
	sender := someSender.Draw(rt, "sender")
	r := job(fmt.Sprint("job", len(m.jobs)), sender, someCustomer.Draw(rt, "customer"))
	r.Pool = map[string]string{"s1": "p", "s2": "p", "s3": "q"}[sender]
	r.Priority = ratelimit.Priority(rapid.IntRange(0, 2).Draw(rt, "priority"))
	r.FreeForm = rapid.Bool().Draw(rt, "free form")
	r.Template = !r.FreeForm || rapid.Bool().Draw(rt, "template")
	t := &task{Request: r}
	m.jobs = append(m.jobs, t)
	m.ask(rt, t, false)
}

// ask puts one question to both and compares the answers.
func (m *machine) ask(rt *rapid.T, t *task, reserving bool) {
	question := m.gate.Admit
	if reserving {
		question = m.gate.Reserve
	}
	got, err := question(m.ctx, t.Request)
	require.NoError(rt, err)
	want := m.decide(t, reserving)
	want.Now = got.Now
	require.Equal(rt, want, got, "%s", t.Job)
	if got.Outcome == ratelimit.OutcomeGo && !reserving {
		require.False(rt, got.At.Before(m.now))
	}
}

// some picks a job in one of the states.
func (m *machine) some(rt *rapid.T, states ...string) *task {
	var fit []*task
	for _, t := range m.jobs {
		for _, s := range states {
			if t.state == s {
				fit = append(fit, t)
			}
		}
	}
	if len(fit) == 0 {
		rt.Skip("none")
	}
	t := fit[rapid.IntRange(0, len(fit)-1).Draw(rt, "which")]
	rt.Log(t.Job, t.state)
	return t
}

func (m *machine) again(rt *rapid.T) {
	t := m.some(rt, "parked", "reserved")
	t.Token = fmt.Sprint("token ", rapid.Uint32().Draw(rt, "token"))
	m.ask(rt, t, false)
}

func (m *machine) reserveOne(rt *rapid.T) { m.ask(rt, m.some(rt, "parked", "reserved"), true) }

// repeat asks again for what was granted, with its token or another.
func (m *machine) repeat(rt *rapid.T) {
	t := m.some(rt, "granted", "back", "delivered")
	r := t.Request
	own := rapid.Bool().Draw(rt, "own token")
	if !own {
		r.Token = "another"
	}
	got, err := m.gate.Admit(m.ctx, r)
	require.NoError(rt, err)
	if own && t.state == "granted" && !m.now.After(t.verdict.Now.Add(m.gate.opts.GrantLife)) {
		require.Equal(rt, t.verdict, got)
		return
	}
	require.Equal(rt, ratelimit.OutcomePrior, got.Outcome)
	require.Equal(rt, t.verdict.Now, got.At)
	require.Equal(rt, t.state == "delivered", got.Settled)
}

func (m *machine) giveOneBack(rt *rapid.T) {
	t := m.some(rt, "granted", "back", "delivered")
	if rapid.Bool().Draw(rt, "by the log") {
		require.NoError(rt, m.apply(ratelimit.Change{Kind: ratelimit.Failed, Job: t.Job, Attempt: 1}))
	} else {
		require.NoError(rt, m.gate.GiveBack(m.ctx, t.Job, 1, t.Token))
	}
	if t.state == "granted" {
		m.model.giveBack(t)
		t.state = "back"
	}
}

func (m *machine) apply(c ratelimit.Change) error {
	from, err := m.gate.Position(m.ctx)
	if err != nil {
		return err
	}
	return m.gate.Apply(m.ctx, from, from+1, []ratelimit.Change{c})
}

func (m *machine) evidence(rt *rapid.T) {
	t := m.some(rt, "granted", "back", "delivered")
	at := m.now.Add(-time.Duration(rapid.IntRange(0, 70).Draw(rt, "seconds ago")) * time.Second)
	status := rapid.SampledFrom([]string{"queued", "sent", "unknown", "delivered", "read"}).Draw(rt, "status")
	delivered := status == "delivered" || status == "read"
	if !m.changes && (t.state == "back" || !t.at.After(m.now.Add(-m.window))) {
		// The platform would count a customer whose place is another's by now.
		rt.Skip("too late to keep the limit")
	}
	require.NoError(rt, m.apply(ratelimit.Change{Kind: ratelimit.Progress, Job: t.Job, Attempt: 1, At: at, Status: status}))
	m.prove(t, at, delivered)
}

func (m *machine) inbound(rt *rapid.T) {
	sender, customer := someSender.Draw(rt, "sender"), someCustomer.Draw(rt, "customer")
	require.NoError(rt, m.apply(ratelimit.Change{Kind: ratelimit.Inbound, Sender: sender, Customer: customer, At: m.now}))
	if at := m.wrote[[2]string{sender, m.is(customer)}]; m.now.After(at) {
		m.wrote[[2]string{sender, m.is(customer)}] = m.now
	}
}

func (m *machine) tick(rt *rapid.T) {
	d := time.Duration(rapid.IntRange(1, 30).Draw(rt, "seconds")) * time.Second
	m.gate.clock.advance(d)
	m.now = m.now.Add(d)
}

// oneCustomer shows two addresses side by side.
func (m *machine) oneCustomer(rt *rapid.T) {
	if rapid.IntRange(0, 4).Draw(rt, "seldom") > 0 {
		rt.Skip("not now")
	}
	alias, customer := someCustomer.Draw(rt, "alias"), someCustomer.Draw(rt, "customer")
	if !m.changes && m.alias[alias] != "" {
		rt.Skip("one customer that proves to be two may have been written to as two")
	}
	require.NoError(rt, m.gate.SetAlias(m.ctx, alias, customer, m.gate.version()))
	m.merge(alias, customer)
}

func (m *machine) changeSender(rt *rapid.T) {
	sender := someSender.Draw(rt, "sender")
	p := ratelimit.SenderPolicy{
		Pool: somePool.Draw(rt, "pool"), Limit: someLimit.Draw(rt, "limit"), MPS: 1e6,
		Paused: rapid.IntRange(0, 5).Draw(rt, "paused") == 0,
	}
	require.NoError(rt, m.gate.SetSender(m.ctx, sender, p, m.gate.version()))
	m.senders[sender] = &p
	m.join(sender, p.Pool)
}

func (m *machine) changePool(rt *rapid.T) {
	m.setPool(rt, somePool.Draw(rt, "pool"), ratelimit.PoolPolicy{
		Limit: someLimit.Draw(rt, "limit"), Reserve: rapid.SampledFrom([]float64{0, 0.3, 1}).Draw(rt, "reserve"),
		Paused: rapid.IntRange(0, 5).Draw(rt, "paused") == 0,
	})
}

// check compares every window and counter, and the naive count with the limit.
func (m *machine) check(rt *rapid.T) {
	for _, pool := range []string{"p", "q"} {
		state, err := m.gate.Limits(m.ctx, pool)
		require.NoError(rt, err)
		require.Equal(rt, len(m.times(poolWindow(pool))), state.Used, "pool %s", pool)
		require.Equal(rt, m.waiting(pool, nil), state.Waiting, "pool %s", pool)
		require.Equal(rt, m.poolLimit(pool, ratelimit.High), state.Limit, "pool %s", pool)
		for _, s := range state.Senders {
			times := m.times(senderWindow(s.Sender))
			require.Equal(rt, len(times), s.Used, "sender %s", s.Sender)
			require.Equal(rt, len(times) > 0, !s.NextFreeAt.IsZero())
			if len(times) > 0 {
				require.Equal(rt, times[0].Add(m.span), s.NextFreeAt)
			}
			if !m.changes && s.Limit >= 0 {
				require.LessOrEqual(rt, m.naive(func(t *task) bool { return t.Sender == s.Sender }), s.Limit)
			}
		}
		if !m.changes && state.Limit >= 0 {
			require.LessOrEqual(rt, m.naive(func(t *task) bool { return t.pool == pool }), state.Limit)
		}
	}
}
