package callbacks

import "sync"

// recent remembers the ids of the last events stored, so that a repetition is
// answered without a write. It only saves work: the log drops repetitions too.
// It is safe for concurrent use.
type recent struct {
	mu    sync.Mutex
	ids   map[string]struct{}
	order []string // a ring, once it is full
	next  int      // the oldest place of the ring
}

// newRecent remembers at most n ids.
func newRecent(n int) *recent {
	return &recent{ids: make(map[string]struct{}, n), order: make([]string, 0, n)}
}

func (r *recent) has(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.ids[id]
	return ok
}

func (r *recent) add(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.ids[id]; ok {
		return
	}
	r.ids[id] = struct{}{}
	if len(r.order) < cap(r.order) {
		r.order = append(r.order, id)
		return
	}
	delete(r.ids, r.order[r.next])
	r.order[r.next] = id
	r.next = (r.next + 1) % len(r.order)
}
