package senders_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/senders"
)

func TestEventsSayWhoAskedForAChange(t *testing.T) {
	t.Parallel()
	w, j := newAnnounced(t)
	ctx := senders.By(t.Context(), "Ada, key 0f3c")
	_, err := w.PauseSender(ctx, sender, true, "complaints")
	require.NoError(t, err)
	_, err = w.Pause(senders.By(t.Context(), ""), true, "")
	require.NoError(t, err)
	require.Len(t, j.events, 2)
	require.Equal(t, `paused=true reason=complaints by="Ada, key 0f3c"`, j.events[0].Reason)
	require.Equal(t, `everything paused=true`, j.events[1].Reason)
}

func TestStandingTellsWhetherEverythingIsPaused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, senders.Config{})
	for _, paused := range []bool{false, true, false} {
		if paused || w.facts.last > 0 {
			_, err := w.Pause(t.Context(), paused, "incident")
			require.NoError(t, err)
		}
		p, err := w.Standing(t.Context())
		require.NoError(t, err)
		require.Equal(t, paused, p.Paused)
		require.Equal(t, paused, p.Reason == "incident")
	}
}
