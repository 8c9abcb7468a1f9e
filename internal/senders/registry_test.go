package senders_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/senders"
	"github.com/sluicehq/sluice/ratelimit"
)

func ptr[T any](v T) *T { return &v }

func patch(t *testing.T, body string) senders.Patch {
	t.Helper()
	p, err := senders.DecodePatch([]byte(body))
	require.NoError(t, err)
	return p
}

func TestASenderPutByHandIsRegisteredWithDefaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t, senders.Config{})
	_, err := w.Sender(t.Context(), sender)
	require.ErrorIs(t, err, senders.ErrNotFound)

	put, err := w.PutSender(t.Context(), sender, senders.Patch{})
	require.NoError(t, err)
	require.Equal(t, senders.Sender{
		Token: sender, Address: "whatsapp:+" + sender, Account: "default", Pool: "default",
		Limit: 250, LimitFrom: senders.ByDefault, MPS: 80,
		State: senders.Active, Quality: "unknown", Reasons: []string{}, Registered: true,
	}, put)
	got, err := w.Sender(t.Context(), sender)
	require.NoError(t, err)
	require.Equal(t, put, got)
	require.Equal(t, ratelimit.SenderPolicy{Pool: "default"}, w.gate.senders[sender],
		"limit and rate are left to the gate's defaults")
}

func TestAPatchChangesOnlyItsFields(t *testing.T) {
	t.Parallel()
	w := newWorld(t, senders.Config{Account: "AC1"})
	_, err := w.PutSender(t.Context(), sender, patch(t, `{"limit":1000,"mps":0.5,"require_opt_in":true}`))
	require.NoError(t, err)
	s, err := w.PutSender(t.Context(), sender, patch(t, `{"pool":"brand"}`))
	require.NoError(t, err)

	require.Equal(t, senders.Limit(1000), s.Limit)
	require.Equal(t, senders.ByHand, s.LimitFrom)
	require.InDelta(t, 0.5, s.MPS, 0)
	require.True(t, s.RequireOptIn)
	require.Equal(t, "brand", s.Pool)
	require.Equal(t, "AC1", s.Account)
	require.Equal(t, ratelimit.SenderPolicy{Pool: "brand", Limit: ptr(1000), MPS: 0.5, RequireOptIn: true},
		w.gate.senders[sender])

	s, err = w.PutSender(t.Context(), sender, patch(t, `{"limit":"provider","require_opt_in":false}`))
	require.NoError(t, err)
	require.Equal(t, senders.ByDefault, s.LimitFrom)
	require.Nil(t, w.gate.senders[sender].Limit)
	require.False(t, w.gate.senders[sender].RequireOptIn)

	s, err = w.PutSender(t.Context(), sender, patch(t, `{"limit":0}`))
	require.NoError(t, err)
	require.Equal(t, senders.Limit(0), s.Limit)
	require.Equal(t, ptr(0), w.gate.senders[sender].Limit, "no new customers is not the default")
}

func TestTheDefaultPoolIsTheAccountOrTheSender(t *testing.T) {
	t.Parallel()
	byAccount := newWorld(t, senders.Config{Account: "AC1"})
	s, err := byAccount.PutSender(t.Context(), sender, patch(t, `{"account":"AC2"}`))
	require.NoError(t, err)
	require.Equal(t, "AC2", s.Pool)
	require.Equal(t, "AC2", byAccount.gate.senders[sender].Pool)

	bySender := newWorld(t, senders.Config{PoolBy: senders.PoolBySender})
	s, err = bySender.PutSender(t.Context(), sender, senders.Patch{})
	require.NoError(t, err)
	require.Equal(t, sender, s.Pool)
}

func TestASenderIsPausedAndResumed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, senders.Config{})
	s, err := w.PauseSender(t.Context(), sender, true, "wrong template")
	require.NoError(t, err)
	require.Equal(t, senders.Paused, s.State)
	require.Equal(t, []string{"wrong template"}, s.Reasons)
	require.True(t, w.gate.senders[sender].Paused)
	require.Equal(t, "wrong template", w.gate.senders[sender].PausedReason)

	s, err = w.PutSender(t.Context(), sender, patch(t, `{"mps":5}`))
	require.NoError(t, err)
	require.Equal(t, senders.Paused, s.State, "a patch does not resume")

	s, err = w.PauseSender(t.Context(), sender, false, "")
	require.NoError(t, err)
	require.Equal(t, senders.Active, s.State)
	require.Empty(t, s.Reasons)
	require.False(t, w.gate.senders[sender].Paused)
}

func TestRefusalsNameTheField(t *testing.T) {
	t.Parallel()
	w := newWorld(t, senders.Config{})
	long := string(make([]rune, 257))
	for field, put := range map[string]func() error{
		"sender":  func() error { _, err := w.PutSender(t.Context(), "+1555", senders.Patch{}); return err },
		"pool":    func() error { _, err := w.PutPool(t.Context(), "a.b", senders.PoolPatch{}); return err },
		"reserve": func() error { _, err := w.PutPool(t.Context(), "a", senders.PoolPatch{Reserve: ptr(1.1)}); return err },
		"mps":     func() error { _, err := w.PutSender(t.Context(), sender, senders.Patch{MPS: ptr(0.0)}); return err },
		"account": func() error { _, err := w.PutSender(t.Context(), sender, senders.Patch{Account: ptr("")}); return err },
		"limit": func() error {
			_, err := w.PutSender(t.Context(), sender, senders.Patch{Limit: ptr(senders.Limit(-3))})
			return err
		},
		"reason": func() error { _, err := w.Pause(t.Context(), true, long); return err },
	} {
		var wrong *delivery.FieldError
		require.ErrorAs(t, put(), &wrong, field)
		require.Equal(t, field, wrong.Field)
	}
	require.Empty(t, w.facts.stored)
	require.Zero(t, w.gate.told)
}

func TestPoolsAreThoseOfTheirSendersAndThosePut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, senders.Config{})
	for token, body := range map[string]string{
		"15550000001": `{"pool":"a","limit":1000}`,
		"15550000002": `{"pool":"a"}`,
		"15550000003": `{"pool":"b","limit":"unlimited"}`,
		"15550000004": `{"pool":"d","limit":0}`,
	} {
		_, err := w.PutSender(t.Context(), token, patch(t, body))
		require.NoError(t, err)
	}
	_, err := w.PutPool(t.Context(), "c", senders.PoolPatch{Limit: ptr(senders.Limit(7)), Reserve: ptr(0.2)})
	require.NoError(t, err)

	pools, err := w.Pools(t.Context())
	require.NoError(t, err)
	require.Equal(t, []senders.Pool{
		{Name: "a", Limit: 1000, LimitFrom: senders.BySenders, Senders: []string{"15550000001", "15550000002"}},
		{Name: "b", Limit: senders.Unlimited, LimitFrom: senders.BySenders, Senders: []string{"15550000003"}},
		{Name: "c", Limit: 7, LimitFrom: senders.ByHand, Reserve: 0.2, Senders: []string{}},
		{Name: "d", Limit: 0, LimitFrom: senders.BySenders, Senders: []string{"15550000004"}},
	}, pools)
	require.Equal(t, ratelimit.PoolPolicy{Limit: ptr(7), Reserve: 0.2}, w.gate.pools["c"])

	p, err := w.PutPool(t.Context(), "a", senders.PoolPatch{Limit: ptr(senders.Limit(10))})
	require.NoError(t, err)
	require.Equal(t, senders.Limit(10), p.Limit)
	p, err = w.PutPool(t.Context(), "a", senders.PoolPatch{Limit: ptr(senders.FromProvider)})
	require.NoError(t, err)
	require.Equal(t, senders.Limit(1000), p.Limit)
	require.Nil(t, w.gate.pools["a"].Limit)

	_, err = w.Pool(t.Context(), "nobody")
	require.ErrorIs(t, err, senders.ErrNotFound)
}

func TestAWriterThatLosesARaceKeepsTheOthersFields(t *testing.T) {
	t.Parallel()
	w := newWorld(t, senders.Config{})
	w.facts.race = func() {
		_, err := w.PutSender(context.Background(), sender, senders.Patch{MPS: ptr(3.0)})
		require.NoError(t, err)
	}
	s, err := w.PutSender(t.Context(), sender, senders.Patch{Pool: ptr("mine")})
	require.NoError(t, err)
	require.Equal(t, "mine", s.Pool)
	require.InDelta(t, 3.0, s.MPS, 0)
}

func TestManyWritersLoseNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, senders.Config{})
	var all sync.WaitGroup
	for _, body := range []string{
		`{"pool":"p"}`, `{"limit":9}`, `{"mps":9}`, `{"account":"AC9"}`, `{"require_opt_in":true}`,
	} {
		p := patch(t, body)
		all.Go(func() {
			_, err := w.PutSender(context.Background(), sender, p)
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	s, err := w.Sender(t.Context(), sender)
	require.NoError(t, err)
	require.Equal(t, "p AC9 9 9 true", fmt.Sprint(s.Pool, " ", s.Account, " ", s.Limit, " ", s.MPS, " ", s.RequireOptIn))
	require.Equal(t, ratelimit.SenderPolicy{Pool: "p", Limit: ptr(9), MPS: 9, RequireOptIn: true}, w.gate.senders[sender])
}

func TestStoredButUntoldIsSaidAndRepairedByPuttingAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, senders.Config{})
	w.gate.down = errors.New("connection refused")
	s, err := w.PauseSender(t.Context(), sender, true, "stop")
	require.ErrorIs(t, err, senders.ErrUntold)
	require.Equal(t, senders.Paused, s.State)
	require.Empty(t, w.gate.senders)

	w.gate.down = nil
	before := w.facts.last
	_, err = w.PauseSender(t.Context(), sender, true, "stop")
	require.NoError(t, err)
	require.True(t, w.gate.senders[sender].Paused)
	require.Equal(t, before, w.facts.last, "what is already true is not stored again")
}

func TestTheGateIsToldEvenIfTheCallerGaveUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, senders.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	w.facts.race = cancel
	_, err := w.Pause(ctx, true, "now")
	require.NoError(t, err)
	require.Equal(t, "true now", w.gate.paused)
}

func TestAFailedStoreTellsNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, senders.Config{})
	w.facts.fail = errors.New("no quorum")
	_, err := w.PutSender(t.Context(), sender, senders.Patch{})
	require.ErrorIs(t, err, w.facts.fail)
	require.NotErrorIs(t, err, senders.ErrUntold)
	require.Zero(t, w.gate.told)
}

func TestRestoreBringsANewGateToTheSameState(t *testing.T) {
	t.Parallel()
	w := newWorld(t, senders.Config{})
	_, err := w.PutSender(t.Context(), sender, patch(t, `{"limit":5,"pool":"a"}`))
	require.NoError(t, err)
	_, err = w.PutPool(t.Context(), "a", senders.PoolPatch{Reserve: ptr(0.5)})
	require.NoError(t, err)
	_, err = w.PutConsent(t.Context(), customer, senders.Consent{State: senders.OptedOut, Source: "call"})
	require.NoError(t, err)
	_, err = w.Pause(t.Context(), true, "night")
	require.NoError(t, err)

	require.Equal(t, w.gate.senders, w.refill(t, senders.Config{}).senders)
	require.Equal(t, w.gate.pools, w.refill(t, senders.Config{}).pools)
	require.Equal(t, w.gate.consents, w.refill(t, senders.Config{}).consents)
	require.Equal(t, "true night", w.refill(t, senders.Config{}).paused)
}

func TestRestoreTakesFactsLateAndTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, senders.Config{})
	_, err := w.PutSender(t.Context(), sender, senders.Patch{MPS: ptr(1.0)})
	require.NoError(t, err)
	early := w.facts.stored["sender."+sender]
	_, err = w.PutSender(t.Context(), sender, senders.Patch{MPS: ptr(2.0)})
	require.NoError(t, err)
	require.NoError(t, w.Restore(t.Context(), early.Key, early.Data, early.Revision))
	require.InDelta(t, 2.0, w.gate.senders[sender].MPS, 0)
}

func TestRestoreRefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, senders.Config{})
	require.NoError(t, w.Restore(t.Context(), "other.x", []byte("anything"), 1), "not the registry's")
	for key, data := range map[string]string{
		"sender." + sender: "{",
		"pool.a":           `{"limit":"much"}`,
		"pause":            "[]",
		"consent.abc.all":  `{"address":"whatsapp:+491700000001","from":"all","state":"out"}`,
	} {
		require.ErrorIs(t, w.Restore(t.Context(), key, []byte(data), 1), senders.ErrMalformed, key)
	}
	require.Zero(t, w.gate.told)
}

func TestAChangeHoldsInTheRealGate(t *testing.T) {
	t.Parallel()
	rdb := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr(), MaxRetries: -1})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	gate := ratelimit.New(rdb, ratelimit.Options{Epoch: "test"})
	r := senders.New(&facts{stored: map[string]senders.Fact{}}, gate, senders.Config{})

	_, err := r.PutSender(t.Context(), sender, patch(t, `{"limit":1000,"mps":12.5}`))
	require.NoError(t, err)
	_, err = r.PutPool(t.Context(), "default", senders.PoolPatch{Reserve: ptr(0.1)})
	require.NoError(t, err)
	_, err = r.PutConsent(t.Context(), customer, senders.Consent{State: senders.OptedOut})
	require.NoError(t, err)
	_, err = r.Pause(t.Context(), true, "night")
	require.NoError(t, err)

	limits, err := gate.Limits(t.Context(), "default")
	require.NoError(t, err)
	require.Equal(t, 1000, limits.Limit)
	require.Equal(t, 100, limits.Reserved)
	require.Len(t, limits.Senders, 1)
	require.InDelta(t, 12.5, limits.Senders[0].MPS, 0)
}
