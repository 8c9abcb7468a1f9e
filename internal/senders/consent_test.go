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
