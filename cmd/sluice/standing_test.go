package main

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/senders"
)

// deafGate takes no pause.
type deafGate struct{ senders.Gate }

var errDeaf = errors.New("redis: i/o timeout")

func (deafGate) SetPause(context.Context, bool, string, uint64) error { return errDeaf }

// TestAPolicyThatTheGateDidNotTakeIsAnError: the gate must not open without it. One
// that nobody can read is told of, and holds up nothing.
func TestAPolicyThatTheGateDidNotTakeIsAnError(t *testing.T) {
	t.Parallel()
	s := &system{logger: slog.New(slog.DiscardHandler), registry: senders.New(nil, deafGate{}, senders.Config{})}
	require.ErrorIs(t, s.restore(t.Context(), "pause", []byte(`{"paused":true}`), 1), errDeaf)
	require.NoError(t, s.restore(t.Context(), "pause", []byte(`{`), 2))
}
