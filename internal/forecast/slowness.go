package forecast

import (
	"math"
	"time"
)

// slowness is a rate of which only a share is left, and which grows back evenly
// until all of it is there.
type slowness struct {
	share  float64 // at the start of the forecast
	growth float64 // of the share, per ns
	whole  float64 // ns from the start until all is there
}

func newSlowness(share float64, regain time.Duration) slowness {
	if !(share > 0 && share < 1) || regain <= 0 {
		return slowness{share: 1}
	}
	return slowness{share: share, growth: 1 / float64(regain), whole: (1 - share) * float64(regain)}
}

// plus is when so much is sent, from a time on, as takes some ns at the whole rate.
func (s slowness) plus(at time.Duration, ns float64) time.Duration {
	if float64(at) >= s.whole {
		return plus(at, ns)
	}
	return plus(0, s.until(s.sent(float64(at))+ns))
}

// sent is how much, in ns of the whole rate, can go up to a time before all of it
// is there.
func (s slowness) sent(at float64) float64 { return s.share*at + s.growth*at*at/2 }

// until is when that much has gone.
func (s slowness) until(sent float64) float64 {
	if slow := s.sent(s.whole); sent > slow {
		return s.whole + sent - slow
	}
	return (math.Sqrt(s.share*s.share+2*s.growth*sent) - s.share) / s.growth
}
