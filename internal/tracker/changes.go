package tracker

import (
	"slices"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/ratelimit"
)

// Changes says what an entry of the log means for the gate. An entry that lacks
// what the gate asks for means nothing: it would stop all that follow it.
func Changes(e delivery.Entry) []ratelimit.Change {
	var changes []ratelimit.Change
	switch {
	case e.Intent != nil:
		changes = []ratelimit.Change{granted(*e.Intent)}
	case e.Event != nil:
		changes = told(*e.Event)
	}
	return slices.DeleteFunc(changes, incomplete)
}

// incomplete holds for callbacks of messages that no job is known for yet, and
// for entries of other authors.
func incomplete(c ratelimit.Change) bool {
	switch c.Kind {
	case ratelimit.Inbound:
		return c.At.IsZero() || c.Sender == "" || c.Customer == ""
	case ratelimit.Intent:
		if c.Token == "" || c.Sender == "" || c.Pool == "" || c.Customer == "" {
			return true
		}
	}
	return c.At.IsZero() || c.Job == "" || c.Attempt < 1
}

// granted restores a grant that the gate no longer has, with the verdict as it
// stood: counted or not, and in which pool.
func granted(i delivery.Intent) ratelimit.Change {
	return ratelimit.Change{
		Kind: ratelimit.Intent, Job: i.Job.ID, Attempt: i.Attempt, At: i.At, Token: i.Token,
		Digest: i.Job.Digest(), Sender: i.Job.Sender(), Pool: i.Pool,
		Customer: delivery.CustomerKey(i.Job.To), Counted: i.Counted,
	}
}

func told(e delivery.Event) []ratelimit.Change {
	base := ratelimit.Change{
		Job: e.Job, Attempt: e.Attempt, At: e.At, SID: e.SID, Status: string(e.Type.Status()),
		Sender: e.Sender(), Customer: delivery.CustomerKey(e.Customer()),
	}
	as := func(kinds ...ratelimit.ChangeKind) []ratelimit.Change {
		changes := make([]ratelimit.Change, len(kinds))
		for i, kind := range kinds {
			changes[i] = base
			changes[i].Kind = kind
		}
		return changes
	}
	switch e.Type {
	case delivery.EventInbound:
		return as(ratelimit.Inbound)
	case delivery.EventScheduled, delivery.EventParked:
		// With an error, the attempt before this one was refused for certain.
		if e.Error != nil && e.Attempt > 1 {
			base.Attempt--
			return as(ratelimit.Failed)
		}
	case delivery.EventUnknown, delivery.EventQueued, delivery.EventSent:
		return as(ratelimit.Progress)
	case delivery.EventDelivered, delivery.EventRead:
		return as(ratelimit.Progress, ratelimit.Ended)
	case delivery.EventUndelivered, delivery.EventFailed, delivery.EventSuppressed:
		return as(ratelimit.Failed, ratelimit.Ended)
	case delivery.EventExpired, delivery.EventCanceled:
		// No place is given back: a held job may have arrived after all, and a
		// reservation that nobody took over goes with the job's end.
		return as(ratelimit.Ended)
	}
	return nil
}
