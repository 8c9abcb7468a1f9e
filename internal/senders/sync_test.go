package senders_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/messaging"
	"github.com/sluicehq/sluice/internal/senders"
)

func TestMessagingLimitTexts(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]senders.Limit{
		"250 Customers/24hr": 250, "1K Customers/24hr": 1000, "2k customers/24hr": 2000, " 10K Customers/24hr ": 10_000,
		"100K": 100_000, "1.5K": 1500, "1M Customers": 1_000_000, "TIER_250": 250, "tier_2K": 2000, "0 Customers/24hr": 0,
		"UNLIMITED": senders.Unlimited, "Unlimited Customers/24hr": senders.Unlimited, "TIER_UNLIMITED": senders.Unlimited, "-1": senders.Unlimited,
	} {
		got, ok := senders.ParseMessagingLimit(text)
		require.True(t, ok, "%q", text)
		require.Equal(t, want, got, "%q", text)
	}
	for _, text := range []string{
		"", " ", "Unavailable", "null", "-2", "-250", "10KK", "K", "1e9", "∞", "10K_Customers", "up to 250", "9999999999999999999999",
		"1001M", "NaN", "Inf", "0x10", "unlimitedish",
	} {
		_, ok := senders.ParseMessagingLimit(text)
		require.False(t, ok, "%q", text)
	}
}

// FuzzMessagingLimit: only two words mean unlimited, and a number is a limit
// that can be stored.
func FuzzMessagingLimit(f *testing.F) {
	for _, text := range []string{"250 Customers/24hr", "1.5K", "Unlimited", "-1", "TIER_10K", "1M"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		limit, ok := senders.ParseMessagingLimit(text)
		if !ok {
			return
		}
		require.LessOrEqual(t, limit, senders.MaxLimit)
		require.True(t, limit >= 0 || limit == senders.Unlimited)
	})
}

// account is the Senders API of one account, in memory.
type account struct {
	list   []messaging.ChannelSender
	single map[string]messaging.ChannelSender // where it says another thing than the list
	fail   error
	asked  atomic.Int64
}

func (a *account) List(context.Context) ([]messaging.ChannelSender, error) {
	a.asked.Add(1)
	return a.list, a.fail
}

func (a *account) Fetch(_ context.Context, sid string) (messaging.ChannelSender, error) {
	if s, ok := a.single[sid]; ok {
		return s, nil
	}
	for _, s := range a.list {
		if s.SID == sid {
			return s, nil
		}
	}
	return messaging.ChannelSender{}, errors.New("not found")
}

func online(token, limit string) messaging.ChannelSender {
	return messaging.ChannelSender{
		SID: "XE" + token, Address: "whatsapp:+" + token, Status: messaging.SenderOnline,
		Properties: messaging.SenderProperties{Quality: "HIGH", Limit: limit},
	}
}

func offline(s messaging.ChannelSender) messaging.ChannelSender {
	s.Status = messaging.SenderOffline
	s.Reasons = []messaging.OfflineReason{{Code: "63112", Message: "the WABA was disabled"}}
	return s
}

// lessor gives every lease to who asks first.
type lessor struct {
	mu     sync.Mutex
	holder string
}

func (l *lessor) Lease(_ context.Context, _, holder string, _ time.Duration) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.holder == "" {
		l.holder = holder
	}
	return l.holder == holder, nil
}

// synced is a world with one account, AC1, and what was announced.
type synced struct {
	*world
	api  *account
	sync *senders.Sync
	said []delivery.Event
}

func newSynced(t *testing.T, list ...messaging.ChannelSender) *synced {
	t.Helper()
	s := &synced{api: &account{list: list}}
	s.world = newWorld(t, senders.Config{Account: "AC1", Announce: func(_ context.Context, e delivery.Event) error {
		s.said = append(s.said, e)
		return nil
	}})
	s.sync = senders.NewSync(s.Registry, map[string]senders.Provider{"AC1": s.api}, &lessor{}, senders.SyncConfig{Holder: "a"})
	return s
}

// pass compares once and returns the sender as it stands then.
func (s *synced) pass(t *testing.T) senders.Sender {
	t.Helper()
	require.NoError(t, s.sync.Pass(t.Context()))
	got, err := s.Sender(t.Context(), sender)
	require.NoError(t, err)
	return got
}

func TestProvidersWordReachesTheGate(t *testing.T) {
	t.Parallel()
	one := online(sender, "1K Customers/24hr")
	one.Configuration.WABA, one.Webhook.CallbackURL = "12", "https://x/in"
	s := newSynced(t, one)
	require.Equal(t, senders.Sender{
		Token: sender, Address: "whatsapp:+" + sender, Registered: true, Account: "AC1", Pool: "AC1",
		Limit: 1000, LimitFrom: senders.ByProvider, MPS: 80, State: senders.Active, Quality: "HIGH", Reasons: []string{},
		Status: "ONLINE", SID: "XE" + sender, WABA: "12", Webhook: "https://x/in",
	}, s.pass(t))
	require.Equal(t, 1000, *s.gate.senders[sender].Limit)
	require.Len(t, s.said, 1)
	require.Equal(t, delivery.EventSender, s.said[0].Type)
	require.Equal(t, "by=provider status=ONLINE limit=1000 quality=HIGH account=AC1 sid=XE"+sender+" waba_id=12 webhook=https://x/in", s.said[0].Reason)

	told := s.gate.told
	s.pass(t)
	require.Len(t, s.said, 1, "nothing new, nothing said")
	require.Equal(t, told, s.gate.told)

	s.api.list[0].Properties.Limit = "250 Customers/24hr"
	s.api.list[0].Properties.Quality = "LOW"
	require.Equal(t, senders.Limit(250), s.pass(t).Limit)
	require.Equal(t, 250, *s.gate.senders[sender].Limit)
	require.Equal(t, "by=provider limit=250 quality=LOW", s.said[1].Reason)
}

func TestWordsThatAreNotUnderstoodKeepTheLimit(t *testing.T) {
	t.Parallel()
	s := newSynced(t, online(sender, "Unavailable"))
	got := s.pass(t)
	require.Equal(t, []any{senders.Limit(250), senders.ByDefault}, []any{got.Limit, got.LimitFrom})
	s.api.list[0].Properties.Limit = "2K Customers/24hr"
	require.Equal(t, senders.Limit(2000), s.pass(t).Limit)
	for _, text := range []string{"Unavailable", "", "more than ever"} {
		s.api.list[0].Properties.Limit = text
		got = s.pass(t)
		require.Equal(t, []any{senders.Limit(2000), senders.ByProvider}, []any{got.Limit, got.LimitFrom}, "%q", text)
	}
}

func TestALimitByHandWinsUntilProviderIsPut(t *testing.T) {
	t.Parallel()
	s := newSynced(t, online(sender, "1K Customers/24hr"))
	_, err := s.PutSender(t.Context(), sender, patch(t, `{"limit":50}`))
	require.NoError(t, err)
	require.Equal(t, senders.Limit(50), s.pass(t).Limit)
	require.Equal(t, 50, *s.gate.senders[sender].Limit)
	got, err := s.PutSender(t.Context(), sender, patch(t, `{"limit":"provider"}`))
	require.NoError(t, err)
	require.Equal(t, []any{senders.Limit(1000), senders.ByProvider}, []any{got.Limit, got.LimitFrom})
	require.Equal(t, 1000, *s.gate.senders[sender].Limit)
}

func TestOfflineIsBelievedTheSecondTimeAndEndsByItself(t *testing.T) {
	t.Parallel()
	up := online(sender, "1K Customers/24hr")
	s := newSynced(t, up)
	s.pass(t)

	s.api.list[0] = offline(up)
	s.api.single = map[string]messaging.ChannelSender{up.SID: up}
	require.Equal(t, senders.Active, s.pass(t).State, "the list alone is not believed")

	s.api.single = nil
	got := s.pass(t)
	require.Equal(t, senders.Paused, got.State)
	require.Equal(t, []string{"the provider says OFFLINE", "63112 the WABA was disabled"}, got.Reasons)
	require.Equal(t, senders.Limit(1000), got.Limit)
	require.True(t, s.gate.senders[sender].Paused)
	require.Equal(t, "the provider says OFFLINE; 63112 the WABA was disabled", s.gate.senders[sender].PausedReason)

	s.api.list[0] = up
	require.Equal(t, senders.Active, s.pass(t).State)
	require.False(t, s.gate.senders[sender].Paused)
}

func TestOfflineThatCanNotBeReadAgainChangesNothing(t *testing.T) {
	t.Parallel()
	up := online(sender, "1K Customers/24hr")
	s := newSynced(t, up)
	s.pass(t)
	s.api.list[0] = offline(up)
	s.api.list[0].SID = "XEother"
	s.api.single = map[string]messaging.ChannelSender{}
	s.api.list = append(s.api.list[:0:0], s.api.list...)
	s.api.fail = nil
	broken := &flaky{s.api}
	s.sync = senders.NewSync(s.Registry, map[string]senders.Provider{"AC1": broken}, &lessor{}, senders.SyncConfig{})
	require.ErrorContains(t, s.sync.Pass(t.Context()), "second time")
	got, err := s.Sender(t.Context(), sender)
	require.NoError(t, err)
	require.Equal(t, senders.Active, got.State)
}

// flaky lists, but fetches nothing.
type flaky struct{ *account }

func (f *flaky) Fetch(context.Context, string) (messaging.ChannelSender, error) {
	return messaging.ChannelSender{}, errors.New("timed out")
}

func TestEveryStatusButOnlinePauses(t *testing.T) {
	t.Parallel()
	for _, status := range []messaging.SenderStatus{
		messaging.SenderCreating, messaging.SenderPendingVerification, messaging.SenderVerifying, messaging.SenderOffline,
		messaging.SenderTwilioReview, messaging.SenderDraft, messaging.SenderStubbed, "NEW_ONE",
	} {
		one := online(sender, "250 Customers/24hr")
		one.Status = status
		s := newSynced(t, one)
		require.Equal(t, senders.Paused, s.pass(t).State, status)
	}
	one := online(sender, "250 Customers/24hr")
	one.Status = messaging.SenderUpdating
	require.Equal(t, senders.Active, newSynced(t, one).pass(t).State)
}

func TestAPauseByHandOutlivesTheProviders(t *testing.T) {
	t.Parallel()
	up := online(sender, "250 Customers/24hr")
	s := newSynced(t, offline(up))
	_, err := s.PauseSender(t.Context(), sender, true, "moving")
	require.NoError(t, err)
	require.Equal(t, "moving", s.pass(t).Reasons[0])
	s.api.list[0] = up
	got := s.pass(t)
	require.Equal(t, senders.Paused, got.State)
	require.Equal(t, []string{"moving"}, got.Reasons)
}

func TestAbsentOrUnreadableChangesNothing(t *testing.T) {
	t.Parallel()
	s := newSynced(t, online(sender, "1K Customers/24hr"))
	before := s.pass(t)
	s.api.list = nil
	require.Equal(t, before, s.pass(t))
	s.api.fail = errors.New("no answer")
	require.ErrorContains(t, s.sync.Pass(t.Context()), "no answer")
	require.Len(t, s.said, 1)
}

func TestASenderFollowsItsAccount(t *testing.T) {
	t.Parallel()
	first, second := &account{list: []messaging.ChannelSender{online(sender, "250 Customers/24hr")}}, &account{}
	w := newWorld(t, senders.Config{Account: "AC1"})
	sync := senders.NewSync(w.Registry, map[string]senders.Provider{"AC1": first, "AC2": second}, &lessor{}, senders.SyncConfig{})
	account := func() string {
		require.NoError(t, sync.Pass(t.Context()))
		got, err := w.Sender(t.Context(), sender)
		require.NoError(t, err)
		return got.Account
	}
	require.Equal(t, "AC1", account())
	second.list = []messaging.ChannelSender{online(sender, "10K Customers/24hr")}
	require.Equal(t, "AC1", account(), "both have it: it stays")
	first.list = nil
	require.Equal(t, "AC2", account(), "it has moved")
	second.fail, second.list = errors.New("down"), nil
	first.list = []messaging.ChannelSender{online(sender, "250 Customers/24hr")}
	require.Error(t, sync.Pass(t.Context()))
	got, err := w.Sender(t.Context(), sender)
	require.NoError(t, err)
	require.Equal(t, "AC2", got.Account, "nobody knows whether AC2 has it still")

	second.fail = nil
	_, err = w.PutSender(t.Context(), sender, patch(t, `{"account":"AC9"}`))
	require.NoError(t, err)
	require.Equal(t, "AC9", account(), "what was put by hand holds, and no other's word counts")
}

func TestOneReplicaAsksEveryInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, senders.Config{})
		lease := &lessor{}
		accounts := make([]*account, 2)
		ctx, cancel := context.WithCancel(t.Context())
		for i := range accounts {
			accounts[i] = &account{}
			s := senders.NewSync(w.Registry, map[string]senders.Provider{"AC1": accounts[i]}, lease,
				senders.SyncConfig{Holder: fmt.Sprint("replica ", i), Every: time.Minute})
			go func() { _ = s.Run(ctx) }()
		}
		synctest.Wait()
		require.EqualValues(t, 1, accounts[0].asked.Load()+accounts[1].asked.Load(), "at once, and once")
		time.Sleep(10 * time.Minute) // of the bubble
		synctest.Wait()
		asked := accounts[0].asked.Load() + accounts[1].asked.Load()
		require.True(t, asked >= 9 && asked <= 13, "asked %d times", asked)
		require.Zero(t, accounts[0].asked.Load()*accounts[1].asked.Load(), "by one of them")
		cancel()
		synctest.Wait()
	})
}

func TestSendersThatNobodyRegisteredAreSeen(t *testing.T) {
	t.Parallel()
	seen := []string{"15550009999", sender, "15550009999", "not a sender"}
	w := newWorld(t, senders.Config{Seen: func(context.Context) ([]string, error) { return seen, nil }})
	_, err := w.PutSender(t.Context(), sender, senders.Patch{})
	require.NoError(t, err)
	all, err := w.Senders(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.Equal(t, []any{sender, true}, []any{all[0].Token, all[0].Registered})
	require.Equal(t, []any{"15550009999", false, senders.Limit(250)}, []any{all[1].Token, all[1].Registered, all[1].Limit})
	one, err := w.Sender(t.Context(), "15550009999")
	require.NoError(t, err)
	require.Equal(t, all[1], one)
	_, err = w.Sender(t.Context(), "15550008888")
	require.ErrorIs(t, err, senders.ErrNotFound)
}

// TestPoolsOfSendersThatNobodyRegistered: what is a member for the gate is one
// here, so that lists of pools and of limits agree.
func TestPoolsOfSendersThatNobodyRegistered(t *testing.T) {
	t.Parallel()
	seen := []string{"15550009999"}
	w := newWorld(t, senders.Config{Account: "AC1", Seen: func(context.Context) ([]string, error) { return seen, nil }})
	pools, err := w.Pools(t.Context())
	require.NoError(t, err)
	want := senders.Pool{Name: "AC1", Limit: 250, LimitFrom: senders.ByDefault, Senders: seen}
	require.Equal(t, []senders.Pool{want}, pools)
	one, err := w.Pool(t.Context(), "AC1")
	require.NoError(t, err)
	require.Equal(t, want, one)
	_, err = w.Pool(t.Context(), "AC2")
	require.ErrorIs(t, err, senders.ErrNotFound)

	// The largest of their limits, whoever has it.
	limit, larger := senders.Limit(100), senders.Limit(1000)
	_, err = w.PutSender(t.Context(), sender, senders.Patch{Limit: &limit})
	require.NoError(t, err)
	one, err = w.Pool(t.Context(), "AC1")
	require.NoError(t, err)
	require.Equal(t, senders.Limit(250), one.Limit)
	require.Equal(t, senders.BySenders, one.LimitFrom)
	require.ElementsMatch(t, []string{sender, "15550009999"}, one.Senders)
	one, err = w.PutPool(t.Context(), "AC1", senders.PoolPatch{Limit: &larger})
	require.NoError(t, err)
	require.Equal(t, larger, one.Limit)
	require.Len(t, one.Senders, 2)
}

func TestDirectoryKnowsWhoseASenderIs(t *testing.T) {
	t.Parallel()
	d := senders.NewDirectory()
	require.Error(t, d.Ready())
	learn := func(key, data string) { require.NoError(t, d.Learn(key, []byte(data))) }
	learn("sender."+sender, `{"provider":{"account":"AC1","sid":"XE1","status":"ONLINE"}}`)
	learn("pool."+sender, `{"account":"AC3"}`)
	require.Equal(t, "AC1", d.Account(sender))
	learn("sender."+sender, `{"account":"AC2","provider":{"account":"AC1","sid":"XE1","status":"ONLINE"}}`)
	require.Equal(t, "AC2", d.Account(sender))
	require.ErrorIs(t, d.Learn("sender."+sender, []byte(`{"account":1}`)), senders.ErrMalformed)
	require.Equal(t, "AC2", d.Account(sender))
	learn("sender."+sender, `{}`)
	require.Empty(t, d.Account(sender))
	d.CaughtUp()
	require.NoError(t, d.Ready())
}

// BenchmarkIdlePass is what 10,000 registered senders cost while nothing
// changes: one comparison of the provider's list with the facts.
func BenchmarkIdlePass(b *testing.B) {
	api := &account{}
	w := &world{facts: &facts{stored: map[string]senders.Fact{}}, gate: newGate()}
	w.Registry = senders.New(w.facts, w.gate, senders.Config{Account: "AC1"})
	for i := range 10_000 {
		api.list = append(api.list, online(fmt.Sprint(15_550_000_000+i), "10K Customers/24hr"))
	}
	sync := senders.NewSync(w.Registry, map[string]senders.Provider{"AC1": api}, &lessor{}, senders.SyncConfig{})
	require.NoError(b, sync.Pass(b.Context()))
	told, size := w.gate.told, 0
	for _, f := range w.facts.stored {
		size += len(f.Data)
	}
	for b.Loop() {
		require.NoError(b, sync.Pass(b.Context()))
	}
	require.Equal(b, told, w.gate.told, "nothing was told or stored")
	b.ReportMetric(float64(size)/10_000, "B/sender")
}

func TestProvidersWordSurvivesInTheFact(t *testing.T) {
	t.Parallel()
	s := newSynced(t, offline(online(sender, "1K Customers/24hr")))
	s.pass(t)
	fresh := s.refill(t, senders.Config{Account: "AC1"})
	require.Equal(t, s.gate.senders, fresh.senders, "a gate that lost everything learns it from the facts")
	var stored map[string]any
	require.NoError(t, json.Unmarshal(s.facts.stored["sender."+sender].Data, &stored))
	require.Equal(t, "OFFLINE", stored["provider"].(map[string]any)["status"])
}
