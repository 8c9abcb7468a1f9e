package senders_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/senders"
)

// journal is a log that drops repetitions, and fails when told to.
type journal struct {
	events []delivery.Event
	told   int
	err    error
	before func()
}

func (j *journal) announce(ctx context.Context, e delivery.Event) error {
	if j.before != nil {
		j.before()
	}
	if err := errors.Join(j.err, ctx.Err()); err != nil {
		return err
	}
	j.told++
	for _, known := range j.events {
		if known.ID == e.ID {
			return nil
		}
	}
	j.events = append(j.events, e)
	return nil
}

func newAnnounced(t *testing.T) (*world, *journal) {
	t.Helper()
	j := &journal{}
	return newWorld(t, senders.Config{Announce: j.announce}), j
}

func TestWhatIsPutIsAnnounced(t *testing.T) {
	t.Parallel()
	const service = "MG0123456789abcdef0123456789abcdef"
	at := noon.Add(-time.Hour)
	consentKey := "consent." + delivery.CustomerToken(customer)
	for name, tc := range map[string]struct {
		put  func(context.Context, *world) error
		want delivery.Event // without its time
	}{
		"a sender": {
			func(ctx context.Context, w *world) error {
				_, err := w.PutSender(ctx, sender, patch(t, `{"pool":"brand","limit":1000,"mps":0.5,"account":"AC1","require_opt_in":false}`))
				return err
			},
			delivery.Event{
				ID: "fact:sender." + sender + ":1", Type: delivery.EventSender, From: "whatsapp:+" + sender,
				Reason: "pool=brand limit=1000 mps=0.5 account=AC1 require_opt_in=false",
			},
		},
		"a limit in words": {
			func(ctx context.Context, w *world) error {
				_, err := w.PutSender(ctx, sender, patch(t, `{"limit":"provider"}`))
				return err
			},
			delivery.Event{ID: "fact:sender." + sender + ":1", Type: delivery.EventSender, From: "whatsapp:+" + sender, Reason: "limit=provider"},
		},
		"a service without fields": {
			func(ctx context.Context, w *world) error {
				_, err := w.PutSender(ctx, service, senders.Patch{})
				return err
			},
			delivery.Event{ID: "fact:sender." + service + ":1", Type: delivery.EventSender, From: service, Reason: "registered"},
		},
		"a sender's pause": {
			func(ctx context.Context, w *world) error {
				_, err := w.PauseSender(ctx, sender, true, `wrong "template"`)
				return err
			},
			delivery.Event{
				ID: "fact:sender." + sender + ":1", Type: delivery.EventSender, From: "whatsapp:+" + sender,
				Reason: `paused=true reason="wrong \"template\""`,
			},
		},
		"the pause of everything": {
			func(ctx context.Context, w *world) error { _, err := w.Pause(ctx, true, "night"); return err },
			delivery.Event{ID: "fact:pause:1", Type: delivery.EventSender, Reason: "everything paused=true reason=night"},
		},
		"the end of it": {
			func(ctx context.Context, w *world) error { _, err := w.Pause(ctx, false, "left out"); return err },
			delivery.Event{ID: "fact:pause:1", Type: delivery.EventSender, Reason: "everything paused=false"},
		},
		"a pool": {
			func(ctx context.Context, w *world) error {
				_, err := w.PutPool(ctx, "brand", senders.PoolPatch{Limit: ptr(senders.Unlimited), Reserve: ptr(0.1)})
				return err
			},
			delivery.Event{ID: "fact:pool.brand:1", Type: delivery.EventPool, Reason: "pool=brand limit=unlimited reserve=0.1"},
		},
		"a consent for all": {
			func(ctx context.Context, w *world) error {
				_, err := w.PutConsent(ctx, customer, senders.Consent{State: senders.OptedOut, Source: "web form"})
				return err
			},
			delivery.Event{
				ID: "fact:" + consentKey + ".all:1", Type: delivery.EventConsent, To: customer,
				Reason: `from=all state=out source="web form" at=2026-01-31T12:00:00Z`,
			},
		},
		"a consent for one": {
			func(ctx context.Context, w *world) error {
				_, err := w.PutConsent(ctx, customer, senders.Consent{From: sender, State: senders.OptedIn, At: at})
				return err
			},
			delivery.Event{
				ID: "fact:" + consentKey + "." + sender + ":1", Type: delivery.EventConsent, From: "whatsapp:+" + sender, To: customer,
				Reason: "state=in at=2026-01-31T11:00:00Z",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, j := newAnnounced(t)
			j.before = func() { require.Equal(t, j.told+1, w.gate.told, "the gate is told first") }
			require.NoError(t, tc.put(t.Context(), w))
			tc.want.At = noon
			require.Equal(t, []delivery.Event{tc.want}, j.events)
			require.True(t, j.events[0].Type.Known())
			require.NotContains(t, j.events[0].ID, "49170")
			require.NotContains(t, j.events[0].Reason, "49170")

			// Put again it is the same event.
			require.NoError(t, tc.put(t.Context(), w))
			require.Equal(t, 2, j.told)
			require.Len(t, j.events, 1)
		})
	}
}

func TestEveryChangeOfAFactIsAnEventOfItsOwn(t *testing.T) {
	t.Parallel()
	w, j := newAnnounced(t)
	for _, limit := range []senders.Limit{1000, 2000, 1000} {
		_, err := w.PutSender(t.Context(), sender, senders.Patch{Limit: &limit})
		require.NoError(t, err)
	}
	require.Len(t, j.events, 3)
	require.Equal(t, "fact:sender."+sender+":3", j.events[2].ID)
	require.Equal(t, "limit=1000", j.events[2].Reason)
}

func TestWhatIsNotStoredIsNotAnnounced(t *testing.T) {
	t.Parallel()
	w, j := newAnnounced(t)
	_, err := w.PutSender(t.Context(), sender, senders.Patch{MPS: ptr(-1.0)})
	require.Error(t, err)
	_, err = w.PutConsent(t.Context(), customer, senders.Consent{State: senders.OptedOut})
	require.NoError(t, err)
	_, err = w.PutConsent(t.Context(), customer, senders.Consent{State: senders.OptedIn, At: noon.Add(-time.Hour)})
	require.ErrorIs(t, err, senders.ErrOlder)
	w.facts.fail = errors.New("no quorum")
	_, err = w.Pause(t.Context(), true, "")
	require.ErrorIs(t, err, w.facts.fail)
	require.Len(t, j.events, 1)
}

func TestUnannouncedIsSaidAndRepairedByPuttingAgain(t *testing.T) {
	t.Parallel()
	w, j := newAnnounced(t)
	j.err = errors.New("no quorum")
	s, err := w.PauseSender(t.Context(), sender, true, "stop")
	require.ErrorIs(t, err, senders.ErrUnannounced)
	require.ErrorIs(t, err, j.err)
	require.NotErrorIs(t, err, senders.ErrUntold)
	require.Equal(t, senders.Paused, s.State)
	require.True(t, w.gate.senders[sender].Paused, "what is stored holds all the same")

	j.err = nil
	_, err = w.PauseSender(t.Context(), sender, true, "stop")
	require.NoError(t, err)
	require.Equal(t, "fact:sender."+sender+":1", j.events[0].ID)
}

func TestUntoldIsAnnounced(t *testing.T) {
	t.Parallel()
	w, j := newAnnounced(t)
	w.gate.down = errors.New("connection refused")
	_, err := w.PutPool(t.Context(), "a", senders.PoolPatch{})
	require.ErrorIs(t, err, senders.ErrUntold)
	require.Equal(t, "pool=a", j.events[0].Reason, "the stored fact will hold, whoever tells the gate")
}

func TestAnnouncedEvenIfTheCallerGaveUp(t *testing.T) {
	t.Parallel()
	w, j := newAnnounced(t)
	ctx, cancel := context.WithCancel(t.Context())
	w.facts.race = cancel
	_, err := w.Pause(ctx, true, "now")
	require.NoError(t, err)
	require.Len(t, j.events, 1)
}

func TestASilentRegistryAnnouncesNothing(t *testing.T) {
	t.Parallel()
	w, j := newAnnounced(t)
	_, err := w.Silent().PutConsent(t.Context(), customer, senders.Consent{State: senders.OptedOut})
	require.NoError(t, err)
	require.Empty(t, j.events)
	require.Len(t, w.gate.consents, 1)
	_, err = w.Pause(t.Context(), true, "")
	require.NoError(t, err)
	require.Len(t, j.events, 1, "the one it was made from still does")
}

func TestRestoreAnnouncesNothing(t *testing.T) {
	t.Parallel()
	w, j := newAnnounced(t)
	_, err := w.Pause(t.Context(), true, "")
	require.NoError(t, err)
	fact := w.facts.stored["pause"]
	require.NoError(t, w.Restore(t.Context(), fact.Key, fact.Data, fact.Revision))
	require.Equal(t, 1, j.told)
}
