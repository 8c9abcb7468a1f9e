package sandbox

import (
	"net/http"
	"strconv"
	"sync"
)

// crowd counts the requests under way per account.
type crowd struct {
	mu    sync.Mutex
	under map[string]int
}

// enter counts a request in and returns how many are under way with it; ok is
// false, and nothing counted, where that would be more than most. A negative
// most is no bound.
func (c *crowd) enter(account string, most int) (n int, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n = c.under[account] + 1
	if most >= 0 && n > most {
		return n, false
	}
	c.under[account] = n
	return n, true
}

func (c *crowd) leave(account string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.under[account]--; c.under[account] == 0 {
		delete(c.under, account)
	}
}

// admit serves a request of the account, or answers 429 where too many of its
// requests are under way.
func (s *Sandbox) admit(w http.ResponseWriter, account string, serve func()) {
	n, ok := s.crowd.enter(account, s.cfg.Concurrency)
	w.Header().Set("Twilio-Concurrent-Requests", strconv.Itoa(n))
	if !ok {
		tooMany(w)
		return
	}
	defer s.crowd.leave(account)
	serve()
}

// tooMany is the one refusal that says for certain that nothing was sent.
func tooMany(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "1")
	newProblem(http.StatusTooManyRequests, 20429, "there are too many requests at once").write(w)
}
