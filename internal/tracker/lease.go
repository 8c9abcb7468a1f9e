package tracker

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Lessor hands out leases, and takes them back from their holders.
type Lessor interface {
	Lease(ctx context.Context, name, holder string, ttl time.Duration) (bool, error)
	Unlease(ctx context.Context, name, holder string) error
}

// leaseLife is how long a projection stays without reader when its reader dies.
const leaseLife = 5 * time.Second

var (
	errLeaseLost = errors.New("another tracker follows the log")
	errLogOlder  = errors.New("the log ends before what was applied of it: NATS was restored from an older copy, or its data is lost; look at what was sent since, then `sluice rebuild --yes --paused`")
	errWentBack  = errors.New("the projection has lost entries that it had: Redis was emptied, or is an older copy")
)

// hold keeps a lease, and checks that what was written under it is still
// there, until either fails or ctx ends.
func hold(ctx context.Context, lessor Lessor, name, holder string, check func(context.Context) error) error {
	for pause(ctx, leaseLife/4) {
		mine, err := lessor.Lease(ctx, name, holder, leaseLife)
		if err == nil && !mine {
			err = errLeaseLost
		}
		if err == nil {
			err = check(ctx)
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// letGo ends a lease, so that another tracker takes over at once instead of
// after leaseLife. Best effort: a lease that is not given back runs out.
func letGo(lessor Lessor, name, holder string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = lessor.Unlease(ctx, name, holder)
}

// reach reads a projection's position, which is at least what this process
// applied to it, unless the projection has lost data: then it has to be
// followed anew from where it stands.
func reach(ctx context.Context, position func(context.Context) (uint64, error), applied uint64) (uint64, error) {
	at, err := position(ctx)
	if err == nil && at < applied {
		err = fmt.Errorf("%w: it stands at %d, not at %d", errWentBack, at, applied)
	}
	return at, err
}

// within reports an error when the log ends before what was applied of it:
// entries that come would have sequences that are taken for known.
func within(ctx context.Context, log Log, applied uint64) error {
	last, err := log.Last(ctx)
	if err == nil && last < applied {
		err = fmt.Errorf("%w (it ends at %d, applied are %d)", errLogOlder, last, applied)
	}
	return err
}

// pause waits, and reports whether ctx still stands.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
