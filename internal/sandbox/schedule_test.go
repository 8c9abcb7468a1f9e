package sandbox

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPlan(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	type leaving struct {
		after  time.Duration
		status string
		silent bool
	}
	layOut := func(code int, callback string, fate callbackFate) (got []leaving) {
		m := &message{code: code, steps: stepsTo(code, fate.read), request: request{callback: callback}}
		for _, it := range plan(m, fate, start, 10*time.Millisecond) {
			what := m.steps[it.step].status
			if it.says != "" {
				what = it.says
			}
			got = append(got, leaving{it.due.Sub(start), what, it.silent})
		}
		return got
	}
	ms := time.Millisecond
	require.Equal(t, []leaving{{10 * ms, "sent", false}, {20 * ms, "delivered", false}},
		layOut(0, "http://x", callbackFate{}))
	require.Equal(t, []leaving{{30 * ms, "sent", false}, {20 * ms, "delivered", false}, {10 * ms, "read", false}},
		layOut(0, "http://x", callbackFate{read: true, shuffled: true}))
	require.Equal(t, []leaving{{110 * ms, "sent", true}, {120 * ms, "delivered", false}, {125 * ms, "delivered", false}},
		layOut(0, "http://x", callbackFate{late: 100 * ms, lost: [maxSteps]bool{true}, doubled: [maxSteps]bool{false, true}}))
	require.Equal(t, []leaving{{10 * ms, "undelivered", true}}, layOut(codeOverLimit, "", callbackFate{reply: true}))
	require.Equal(t, []leaving{
		{110 * ms, "sent", false}, {120 * ms, "delivered", false}, {150 * ms, replyText, false}, {160 * ms, stopText, false},
	}, layOut(0, "http://x", callbackFate{late: 100 * ms, reply: true, stop: true}))
}

func TestScheduleFiresInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, began := newSchedule(), time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		fired := make(chan time.Duration, 10)
		hooks := make(chan webhook)
		go q.run(ctx, func(it item) (webhook, bool) {
			fired <- time.Since(began)
			return it.hook, true
		}, hooks)
		at := func(d time.Duration, token string) item {
			return item{due: began.Add(d), hook: webhook{token: token}}
		}
		q.add(at(3*time.Second, "c"), at(time.Second, "a"), at(time.Second, "b"))
		synctest.Wait()
		q.add(at(2*time.Second, "late but sooner"))
		for _, want := range []time.Duration{1, 1, 2, 3} {
			require.Equal(t, want*time.Second, <-fired, "although nobody takes webhooks")
		}
		for _, want := range []string{"a", "b", "late but sooner"} {
			require.Equal(t, want, (<-hooks).token)
		}
		q.clear()
		synctest.Wait()
		q.add(at(3*time.Second, "after clear"))
		require.Equal(t, "after clear", (<-hooks).token, "c went with the rest")

		q.repeat(webhook{life: 0}, began)
		require.Empty(t, q.pending, "its message was forgotten")
		q.repeat(webhook{life: 1, token: "again"}, began)
		require.Equal(t, "again", (<-hooks).token)
		cancel()
		synctest.Wait()
	})
}

func TestNobodyAnswersWhatAResetForgot(t *testing.T) {
	t.Parallel()
	for _, reset := range []bool{false, true} {
		box := New(Config{})
		auth := credentials{"AC1", "x"}
		req := request{from: "whatsapp:+15550001111", to: "whatsapp:+4915112345678", template: true}
		_, bad := box.accept(auth, req, callbackFate{reply: true})
		require.Nil(t, bad)
		due, _, _ := box.due.take(time.Now().Add(time.Hour))
		if reset {
			require.NoError(t, box.Reset())
		}
		for _, it := range due {
			box.fire(it)
		}
		require.Equal(t, reset, len(box.service) == 0)
	}
}

func TestLateMessagesKeepTheirPauses(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	at := func(sid string, nth int, seconds time.Duration) item {
		return item{msg: &message{sid: sid}, nth: nth, due: now.Add(seconds * time.Second)}
	}
	past := replay{sids: []string{"late", "done", "early"}, open: map[string][]item{
		"late":  {at("late", 1, -8), at("late", 2, -9), at("late", 3, -5)}, // shuffled
		"done":  {},
		"early": {at("early", 0, 1), at("early", 1, 2)},
	}}
	var got []item
	for _, it := range past.unfinished(now) {
		got = append(got, at(it.msg.sid, it.nth, it.due.Sub(now)/time.Second))
	}
	require.Equal(t, []item{
		at("late", 1, 1), at("late", 2, 0), at("late", 3, 4), at("early", 0, 1), at("early", 1, 2),
	}, got)
}
