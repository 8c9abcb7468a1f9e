package dispatcher

import (
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// team does things side by side, so many at a time. A team of one does them at
// once and in order.
type team struct {
	size   int
	group  errgroup.Group
	failed atomic.Pointer[error] // the first failure
}

func newTeam(size int) *team {
	t := &team{size: size}
	t.group.SetLimit(size)
	return t
}

// do does what, perhaps later. It returns an error that is known by then, after
// which nothing more is begun.
func (t *team) do(what func() error) error {
	if t.size == 1 {
		return what()
	}
	if err := t.failed.Load(); err != nil {
		return *err
	}
	t.group.Go(func() error {
		err := what()
		if err != nil {
			t.failed.CompareAndSwap(nil, &err)
		}
		return err
	})
	return nil
}

// wait waits for all that was begun and returns the first error of what was
// done side by side.
func (t *team) wait() error { return t.group.Wait() }
