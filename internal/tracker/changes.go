package tracker

import (
	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/ratelimit"
)

// Changes says what an entry of the log means for the gate.
func Changes(e delivery.Entry) []ratelimit.Change {
	switch {
	case e.Intent != nil:
		return []ratelimit.Change{granted(*e.Intent)}
	case e.Event != nil:
		return told(*e.Event)
	}
	return nil
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
		return inJob(e, as(ratelimit.Progress))
	case delivery.EventDelivered, delivery.EventRead:
		return inJob(e, as(ratelimit.Progress, ratelimit.Ended))
	case delivery.EventUndelivered, delivery.EventFailed, delivery.EventSuppressed,
		delivery.EventExpired, delivery.EventCanceled:
		return inJob(e, as(ratelimit.Failed, ratelimit.Ended))
	}
	return nil
}

// inJob drops changes of messages that no job is known for yet.
func inJob(e delivery.Event, changes []ratelimit.Change) []ratelimit.Change {
	if e.Job == "" {
		return nil
	}
	return changes
}
