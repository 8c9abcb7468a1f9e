package senders_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/senders"
)

func TestAnAliasCountsAsThePhone(t *testing.T) {
	t.Parallel()
	const opaque = "whatsapp:US.abc"
	w := newWorld(t, senders.Config{})
	require.NoError(t, w.PutAlias(t.Context(), customer, opaque))
	require.NoError(t, w.PutAlias(t.Context(), opaque, customer))
	require.Equal(t, map[string]string{"US.abc": "491700000001"}, w.gate.aliases)
	require.Len(t, w.facts.stored, len(w.gate.aliases))
	for key := range w.facts.stored {
		require.NotContains(t, key, "abc", "an address never stands in a key")
	}
	require.Equal(t, w.gate.aliases, w.refill(t, senders.Config{}).aliases)

	// Shown beside another phone, it is that one's.
	require.NoError(t, w.PutAlias(t.Context(), "whatsapp:+491700000002", opaque))
	require.Equal(t, "491700000002", w.gate.aliases["US.abc"])
}

func TestAliasesAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, senders.Config{})
	for _, pair := range [][2]string{
		{customer, "whatsapp:+491700000002"}, {customer, "US.abc"}, {"", "whatsapp:US.abc"},
		{"whatsapp:US.abc", "whatsapp:US.ENT.xyz"},
	} {
		var field *delivery.FieldError
		require.ErrorAs(t, w.PutAlias(t.Context(), pair[0], pair[1]), &field)
	}
	require.Empty(t, w.facts.stored)
	key := "alias." + delivery.CustomerToken("whatsapp:US.abc")
	for _, data := range []string{`{`, `{"address":"whatsapp:US.other","customer":"whatsapp:+491700000002"}`, `{"address":"whatsapp:US.abc"}`} {
		require.ErrorIs(t, w.Restore(t.Context(), key, []byte(data), 1), senders.ErrMalformed)
	}
}
