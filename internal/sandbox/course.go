package sandbox

import "time"

// course is how something's status changes by itself: one stage after another
// from a time on, the last of them for good. The status is read from the clock,
// never written, so that nothing is lost when the process dies between two
// stages.
type course struct {
	Since  time.Time `json:"since"`
	Stages []stage   `json:"stages"`
}

type stage struct {
	Status string   `json:"status"`
	Lasts  Duration `json:"lasts,omitempty"` // 0 only in the last one
}

// always is the course of what has one status for good.
func always(status string) course { return course{Stages: []stage{{Status: status}}} }

// through is the course that passes each status for the same time and stays at
// the last.
func through(since time.Time, each time.Duration, statuses ...string) course {
	c := course{Since: since}
	for i, status := range statuses {
		s := stage{Status: status, Lasts: Duration(each)}
		if i == len(statuses)-1 {
			s.Lasts = 0
		}
		c.Stages = append(c.Stages, s)
	}
	return c
}

func (c course) at(now time.Time) string {
	end, last := c.Since, len(c.Stages)-1
	for _, s := range c.Stages[:last] {
		if end = end.Add(time.Duration(s.Lasts)); now.Before(end) {
			return s.Status
		}
	}
	return c.Stages[last].Status
}

func (c course) valid() bool { return len(c.Stages) > 0 }
