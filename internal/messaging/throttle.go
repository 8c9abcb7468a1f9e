package messaging

import (
	"context"
	"sync"
)

// throttle bounds how many calls of one account are under way at once. The
// provider answers 429 to too many and publishes no number, so the number is
// looked for: every round of calls that are answered adds one, a 429 halves.
// Who has to wait is served in the order of coming.
type throttle struct {
	most float64

	mu      sync.Mutex
	limit   float64         // 1 to most; guarded by mu
	busy    int             // guarded by mu
	cuts    int             // how often the limit was halved; guarded by mu
	waiting []chan struct{} // closed when its turn has come; guarded by mu
}

// turn is the right to one call. It must be ended once.
type turn struct{ cuts int }

func newThrottle(most int) *throttle {
	return &throttle{most: float64(most), limit: float64(most)}
}

// begin waits for a turn.
func (t *throttle) begin(ctx context.Context) (turn, error) {
	if ctx.Err() != nil {
		return turn{}, context.Cause(ctx)
	}
	t.mu.Lock()
	if len(t.waiting) == 0 && t.busy < int(t.limit) {
		defer t.mu.Unlock()
		t.busy++
		return turn{t.cuts}, nil
	}
	mine := make(chan struct{})
	t.waiting = append(t.waiting, mine)
	t.mu.Unlock()
	select {
	case <-mine:
	case <-ctx.Done():
		if !t.withdraw(mine) {
			t.end(turn{}, false) // the turn came at the same moment: pass it on
		}
		return turn{}, context.Cause(ctx)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return turn{t.cuts}, nil
}

// withdraw takes a waiting call out of the line, and reports whether it still
// stood there.
func (t *throttle) withdraw(mine chan struct{}) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, c := range t.waiting {
		if c == mine {
			t.waiting = append(t.waiting[:i], t.waiting[i+1:]...)
			return true
		}
	}
	return false
}

// end gives a turn back. refused says that the provider found it one too many.
// Calls that were under way together are refused together and halve once.
func (t *throttle) end(was turn, refused bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.busy--
	switch {
	case !refused:
		t.limit = min(t.most, t.limit+1/t.limit)
	case was.cuts == t.cuts:
		t.limit = max(1, t.limit/2)
		t.cuts++
	}
	for len(t.waiting) > 0 && t.busy < int(t.limit) {
		t.busy++
		close(t.waiting[0])
		t.waiting = t.waiting[1:]
	}
}
