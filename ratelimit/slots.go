package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Slots is when the used places of a pool come back: Places[i] of them in the
// i-th of equal steps of Step from Now on, so that all steps together are one
// window with its margin.
type Slots struct {
	Now    time.Time
	Step   time.Duration
	Places []int
}

// MaxSteps bounds what [Gate.Slots] is asked for.
const MaxSteps = 96

// Slots reads when the places of a pool come back, in 1 to MaxSteps steps, at
// one moment. It changes nothing. A pool that nobody has named has no places.
func (g *Gate) Slots(ctx context.Context, pool string, steps int) (Slots, error) {
	if pool == "" || steps < 1 || steps > MaxSteps {
		return Slots{}, fmt.Errorf("slots: pool must be set and steps be 1 to %d", MaxSteps)
	}
	reply, err := g.ask(ctx, g.scripts.slots, []string{poolWindowKey(pool)}, steps)
	if err != nil {
		return Slots{}, err
	}
	row, err := decodeRow(reply, 2+steps)
	if err != nil {
		return Slots{}, fmt.Errorf("slots: %w", err)
	}
	var numbers []int64
	for _, text := range row {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return Slots{}, errors.New("slots: the script answered no number: " + text)
		}
		numbers = append(numbers, n)
	}
	r := Slots{
		Now: time.UnixMicro(numbers[0]), Step: time.Duration(numbers[1]) * time.Microsecond / time.Duration(steps),
		Places: make([]int, steps),
	}
	for i, n := range numbers[2:] {
		r.Places[i] = int(n)
	}
	return r, nil
}
