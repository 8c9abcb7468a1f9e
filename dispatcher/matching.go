package dispatcher

import (
	"slices"
	"time"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/messaging"
)

// mostListed bounds the search; the list is newest first and holds one pair of
// addresses only.
const mostListed = 100

// skew is how far the provider's whole seconds and its clock may be off ours.
const skew = 5 * time.Second

// outbound are the listed messages that were made through the API for the job's
// customer, the oldest first. What a messaging service sent bears its SID, whichever
// number it chose; what a number sent itself may bear one too, which tells nothing.
func outbound(listed []messaging.Resource, job delivery.Job) []messaging.Resource {
	var ours []messaging.Resource
	for _, m := range listed {
		if service := job.MessagingServiceSID; service != "" && m.MessagingServiceSID != "" && m.MessagingServiceSID != service {
			continue
		}
		if (m.Direction == "" || m.Direction == "outbound-api") && m.To == job.To && m.SID != "" {
			ours = append(ours, m)
		}
	}
	slices.SortStableFunc(ours, func(a, b messaging.Resource) int { return a.DateCreated.Compare(b.DateCreated) })
	return ours
}

// attempt is one whose message is looked for, this job's or a rival's.
type attempt struct {
	intent       delivery.Intent
	begun, ended time.Time
	own          bool
}

// fits reports whether a message may be the attempt's. Free form is told apart
// by its text; the text of a template is the provider's, so it tells nothing.
func (a attempt) fits(m messaging.Resource) bool {
	inTime := !m.DateCreated.Before(a.begun.Add(-skew)) && !m.DateCreated.After(a.ended.Add(skew))
	free := a.intent.FreeForm || !a.intent.Job.Template()
	return inTime && (!free || a.intent.Job.Body == m.Body)
}

// matching is the place of the message that is the attempt's in the list, -1 if
// there is none. Open attempts and messages are matched one to one: as many as
// possible, and those next to each other in time.
func matching(listed []messaging.Resource, w window, rivals []delivery.Intent, longest time.Duration) int {
	attempts := []attempt{{intent: w.intent, begun: w.begun, ended: w.ended, own: true}}
	for _, r := range rivals {
		attempts = append(attempts, attempt{intent: r, begun: r.At, ended: r.At.Add(longest)})
	}
	slices.SortStableFunc(attempts, func(a, b attempt) int { return a.begun.Compare(b.begun) })
	return align(attempts, listed)
}

// score is how good a matching is: more pairs first, then less time between
// them. own is the message matched to this job's attempt, -1 for none.
type score struct {
	pairs int
	apart time.Duration
	own   int
}

func (s score) better(than score) bool {
	if s.pairs != than.pairs {
		return s.pairs > than.pairs
	}
	return s.apart < than.apart
}

// align matches two rows in the order of time: crossing pairs would only be
// further apart. best[j] is the best matching of the attempts so far with the
// first j messages.
func align(attempts []attempt, listed []messaging.Resource) int {
	best := make([]score, len(listed)+1)
	for j := range best {
		best[j].own = -1
	}
	for _, a := range attempts {
		next := make([]score, len(best))
		next[0] = best[0]
		for j, m := range listed {
			next[j+1] = best[j+1] // without this attempt
			if next[j].better(next[j+1]) {
				next[j+1] = next[j] // without this message
			}
			if !a.fits(m) {
				continue
			}
			pair := score{best[j].pairs + 1, best[j].apart + m.DateCreated.Sub(a.begun).Abs(), best[j].own}
			if a.own {
				pair.own = j
			}
			if pair.better(next[j+1]) {
				next[j+1] = pair
			}
		}
		best = next
	}
	return best[len(listed)].own
}
