package senders_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/senders"
	"github.com/sluicehq/sluice/ratelimit"
)

func TestAConsentIsForOneSenderOrForAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t, senders.Config{})
	all, err := w.PutConsent(t.Context(), customer, senders.Consent{State: senders.OptedOut, Source: "web form"})
	require.NoError(t, err)
	require.Equal(t, senders.Consent{From: "all", State: senders.OptedOut, Source: "web form", At: noon}, all)
	for _, from := range []string{sender, "whatsapp:+" + sender} {
		one, err := w.PutConsent(t.Context(), customer, senders.Consent{From: from, State: senders.OptedIn})
		require.NoError(t, err)
		require.Equal(t, "whatsapp:+"+sender, one.From)
	}

	consents, err := w.Consents(t.Context(), customer)
	require.NoError(t, err)
	require.Len(t, consents, 2)
	require.Equal(t, map[string]consent{
		"491700000001 *":         {ratelimit.Out, noon},
		"491700000001 " + sender: {ratelimit.In, noon},
	}, w.gate.consents)
	for key := range w.facts.stored {
		require.NotContains(t, key, "49170", "an address never stands in a key")
	}

	none, err := w.Consents(t.Context(), "whatsapp:+491700000002")
	require.NoError(t, err)
	require.Empty(t, none)
	require.NotNil(t, none)
}

func TestAnOlderStatementNeverUndoesALaterOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, senders.Config{})
	_, err := w.PutConsent(t.Context(), customer, senders.Consent{State: senders.OptedOut})
	require.NoError(t, err)
	_, err = w.PutConsent(t.Context(), customer, senders.Consent{State: senders.OptedIn, At: noon.Add(-time.Hour)})
	require.ErrorIs(t, err, senders.ErrOlder)
	require.Equal(t, ratelimit.Out, w.gate.consents["491700000001 *"].Choice)

	w.now = noon.Add(time.Minute)
	_, err = w.PutConsent(t.Context(), customer, senders.Consent{State: senders.OptedIn})
	require.NoError(t, err)
	require.Equal(t, ratelimit.In, w.gate.consents["491700000001 *"].Choice)
}

// TestAnOptOutKeptUnderAnEarlierKeyHolds: numbers of Argentina and Mexico had
// two keys once, one for each form.
func TestAnOptOutKeptUnderAnEarlierKeyHolds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ long, short, digest string }{
		"Argentina": {"whatsapp:+5491123456789", "whatsapp:+541123456789", "e9a22549bbbbccb976d0c751b7e5ea19"},
		"Mexico":    {"whatsapp:+5215512345678", "whatsapp:+525512345678", "8a3b94bf7d6b4ce2c2c3587f7c412c70"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, senders.Config{})
			_, err := w.facts.Put(t.Context(), "consent."+c.digest+"."+sender,
				[]byte(`{"address":"`+c.long+`","from":"whatsapp:+`+sender+`","state":"out","source":"keyword","at":"2026-01-30T12:00:00Z"}`), 0)
			require.NoError(t, err)
			key := delivery.CustomerKey(c.long) + " " + sender
			require.Equal(t, ratelimit.Out, w.refill(t, senders.Config{}).consents[key].Choice, "after a lost Redis")

			for _, form := range []string{c.long, c.short} {
				said, err := w.Consents(t.Context(), form)
				require.NoError(t, err)
				require.Len(t, said, 1)
				require.Equal(t, senders.OptedOut, said[0].State)
				_, err = w.PutConsent(t.Context(), form, senders.Consent{From: sender, State: senders.OptedIn, At: noon.Add(-48 * time.Hour)})
				require.ErrorIs(t, err, senders.ErrOlder)
			}

			_, err = w.PutConsent(t.Context(), c.short, senders.Consent{From: sender, State: senders.OptedIn})
			require.NoError(t, err)
			said, err := w.Consents(t.Context(), c.long)
			require.NoError(t, err)
			require.Len(t, said, 1)
			require.Equal(t, senders.OptedIn, said[0].State, "the later word holds")
			require.Equal(t, ratelimit.In, w.refill(t, senders.Config{}).consents[key].Choice)
		})
	}
}

func TestABadConsentIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, senders.Config{})
	for field, c := range map[string]senders.Consent{
		"state":  {State: "maybe"},
		"from":   {State: senders.OptedIn, From: "somebody"},
		"at":     {State: senders.OptedIn, At: noon.Add(time.Hour)},
		"source": {State: senders.OptedIn, Source: string(make([]byte, 257))},
	} {
		_, err := w.PutConsent(t.Context(), customer, c)
		requireField(t, err, field)
	}
	_, err := w.PutConsent(t.Context(), "+49170", senders.Consent{State: senders.OptedIn})
	requireField(t, err, "address")
	_, err = w.Consents(t.Context(), "+49170")
	requireField(t, err, "address")
	require.Empty(t, w.facts.stored)
}

func requireField(t *testing.T, err error, field string) {
	t.Helper()
	var wrong *delivery.FieldError
	require.ErrorAs(t, err, &wrong)
	require.Equal(t, field, wrong.Field)
}
