package dashboard

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestFiguresAreCountedSeldom: the dearer the counting, the longer its result
// serves.
func TestFiguresAreCountedSeldom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var f figures
		var counted int
		cost := 2 * time.Second
		ask := func() {
			_, err := f.of("1h", func() (counts, error) {
				counted++
				time.Sleep(cost) // of the bubble's clock
				return counts{}, nil
			})
			require.NoError(t, err)
		}
		ask()
		ask()
		require.Equal(t, 1, counted)
		time.Sleep(20 * time.Second) // ten times what it cost
		ask()
		require.Equal(t, 1, counted)
		time.Sleep(time.Millisecond)
		cost = 0
		ask()
		require.Equal(t, 2, counted)
		time.Sleep(time.Second + 1)
		ask()
		require.Equal(t, 3, counted, "never older than a second where it costs nothing")
	})
}

func TestAFigureThatCouldNotBeCountedIsNotKept(t *testing.T) {
	t.Parallel()
	var f figures
	broken := errors.New("down")
	_, err := f.of("1h", func() (counts, error) { return counts{}, broken })
	require.ErrorIs(t, err, broken)
	_, err = f.of("1h", func() (counts, error) { return counts{}, nil })
	require.NoError(t, err)
}

func TestSpansBeginAtRoundTimes(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 31, 12, 34, 56, 0, time.UTC)
	for _, s := range spans {
		bounds := s.bounds(now)
		require.Len(t, bounds, s.Steps+1)
		require.True(t, bounds[s.Steps].After(now))
		require.False(t, bounds[s.Steps-1].After(now), "now is in the last step")
		for i := range s.Steps {
			require.Equal(t, s.Step, bounds[i+1].Sub(bounds[i]))
			require.Zero(t, bounds[i].UnixNano()%int64(s.Step), s.Name)
		}
	}
	require.Equal(t, "1h", spanOf("no such").Name)
}

func TestDurationsAreSpelt(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Hour: "now", 0: "now", time.Millisecond: "under 1 s", 59 * time.Second: "59 s", time.Minute: "1 min",
		61 * time.Second: "1 min 1 s", 252 * time.Minute: "4 h 12 min", 50 * time.Hour: "2 d 2 h", 24*time.Hour + time.Minute: "1 d",
	} {
		require.Equal(t, want, spell(d), d.String())
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1234567: "-1,234,567", 100000: "100,000"} {
		require.Equal(t, want, grouped(n))
	}
	require.Equal(t, "in 6 h", inTime(roughly(6*time.Hour+3*time.Minute+36*time.Second)))
}
