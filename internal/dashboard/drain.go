package dashboard

import (
	"math"
	"time"

	"github.com/sluicehq/sluice/ratelimit"
)

// farOff is when an estimate stops being one.
const farOff = 10 * 365 * 24 * time.Hour

// drainsAt estimates when the last job that waits for a pool goes out: zero
// when none waits, and when they never will or not within ten years.
//
// While places are free, the senders' rate decides. Without them jobs go as
// places come back, the first at NextFreeAt and then at most one limit per
// window. The estimate is early rather than late: it takes the places of a
// window to come back together.
func drainsAt(p ratelimit.PoolLimits, window time.Duration) time.Time {
	waiting := p.Waiting[ratelimit.High] + p.Waiting[ratelimit.Normal] + p.Waiting[ratelimit.Low]
	if waiting <= 0 || p.Paused {
		return time.Time{}
	}
	var mps float64
	for _, s := range p.Senders {
		if !s.Paused {
			mps += s.MPS
		}
	}
	wait := float64(waiting) / mps // +Inf without a sender that sends
	if late := waiting - free(p); p.Limit != ratelimit.Unlimited && late > 0 {
		back := window
		if !p.NextFreeAt.IsZero() {
			back = p.NextFreeAt.Sub(p.Now)
		}
		windows := math.Ceil(float64(late)/float64(p.Limit)) - 1
		wait = max(wait, back.Seconds()+windows*window.Seconds())
	}
	if !(wait < farOff.Seconds()) { // NaN too
		return time.Time{}
	}
	return p.Now.Add(time.Duration(wait * float64(time.Second)))
}

// free is how many of the waiting jobs find a place. The reserve is not for
// those below high priority.
func free(p ratelimit.PoolLimits) int64 {
	places := int64(p.Free)
	if p.Waiting[ratelimit.Normal]+p.Waiting[ratelimit.Low] > 0 {
		places -= int64(p.Reserved)
	}
	return max(places, 0)
}
