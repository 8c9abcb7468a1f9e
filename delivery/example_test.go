package delivery_test

import (
	"fmt"
	"time"

	"github.com/sluicehq/sluice/delivery"
)

// Callbacks come in any order and more than once. What is true does not depend
// on it.
func ExampleRecord_Apply() {
	at := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	event := func(t delivery.EventType, attempt, second int) delivery.Event {
		return delivery.Event{
			ID: fmt.Sprintf("%s:%d", t, attempt), Type: t, At: at.Add(time.Duration(second) * time.Second),
			Job: "order-42", Attempt: attempt,
		}
	}
	var record delivery.Record
	for _, e := range []delivery.Event{
		event(delivery.EventAccepted, 1, 0),
		event(delivery.EventUndelivered, 1, 3),
		event(delivery.EventParked, 2, 4),
		event(delivery.EventDelivered, 2, 90),
		event(delivery.EventSent, 2, 88),       // late
		event(delivery.EventDelivered, 2, 91),  // repeated
		event(delivery.EventUndelivered, 1, 3), // late and repeated
	} {
		record = record.Apply(e)
		fmt.Println(e.Type, e.Attempt, "→", record.Status, record.Attempt)
	}
	fmt.Println(len(record.Timeline), "events")
	// Output:
	// accepted 1 → accepted 1
	// undelivered 1 → undelivered 1
	// parked 2 → parked 2
	// delivered 2 → delivered 2
	// sent 2 → delivered 2
	// delivered 2 → delivered 2
	// undelivered 1 → delivered 2
	// 5 events
}
