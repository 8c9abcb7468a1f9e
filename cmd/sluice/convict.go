package main

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/delivery"
)

// convict tells that the provider has taken more than one message for a job.
// The event's id names the message: told again, it changes nothing.
func (s *system) convict(ctx context.Context, r delivery.Record, sid string) error {
	s.metrics.duplicates.Inc()
	s.logger.ErrorContext(ctx, "the provider has two messages of one job", "job", r.ID, "sid", sid)
	_, err := s.log.Append(ctx, delivery.Event{
		ID: "duplicate:" + r.ID + ":" + sid, Type: delivery.EventDuplicate, At: time.Now().UTC(), Job: r.ID, Attempt: max(1, r.Attempt),
		From: r.From, To: r.To, SID: sid, Reason: fmt.Sprintf("the provider has taken this message and %s for one job", r.SID),
		Metadata: r.Metadata,
	})
	return err
}
