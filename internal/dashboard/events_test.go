package dashboard_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/dashboard"
)

func TestEventsComeInTheOrderOfTheLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.log.happen(3)
	f := w.follow("") // begins at the end of the log

	job := delivery.Job{ID: "a", From: "whatsapp:+" + sender, To: customer, Body: "for their eyes only", Metadata: map[string]string{"k": "v\n"}}
	accepted := job.Happened(delivery.EventAccepted, 1, noon, "e1")
	w.log.append(accepted)
	intent := delivery.Intent{Job: job, Attempt: 1, Token: "t", At: noon}
	w.log.put(0, delivery.Entry{Intent: &intent})
	w.log.put(0, delivery.Entry{})                                                         // cannot be read
	w.log.append(delivery.Event{ID: "x", Type: "of a\nlater version", At: noon, Job: "a"}) // nor can this
	queued := job.Happened(delivery.EventQueued, 1, noon, "e2")
	queued.SID = sid
	w.log.put(10, delivery.Entry{Event: &queued})

	for _, want := range []struct {
		id    uint64
		event delivery.Event
	}{{4, accepted}, {5, intent.Event()}, {18, queued}} {
		m, ok := f.next()
		require.True(t, ok)
		require.Equal(t, want.id, m.id)
		require.Equal(t, string(want.event.Type), m.kind)
		require.Equal(t, want.event, m.event(t))
		require.NotContains(t, m.data, "eyes")
	}
	require.Equal(t, "sending", string(intent.Event().Type))
}

func TestEventsAreFiltered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	const other = "whatsapp:+15550002222"
	happened := noon
	event := func(kind delivery.EventType, job, from, to, sid string) {
		happened = happened.Add(time.Second)
		w.log.append(delivery.Event{ID: "e", Type: kind, At: happened, Job: job, From: from, To: to, SID: sid, Status: kind.Status()})
	}
	event(delivery.EventAccepted, "a", "whatsapp:+"+sender, customer, "")                    // 1
	event(delivery.EventQueued, "a", "whatsapp:+"+sender, customer, sid)                     // 2
	event(delivery.EventParked, "b", other, customer, "")                                    // 3
	event(delivery.EventInbound, "", customer, "whatsapp:+"+sender, "SM2")                   // 4
	event(delivery.EventReleased, "b", other, customer, "")                                  // 5
	event(delivery.EventSent, "", "whatsapp:+"+sender, "whatsapp:+491700000002", sid)        // 6
	happened = noon                                                                          // told late
	event(delivery.EventExpired, "c", "whatsapp:+15550003333", "whatsapp:+491700000003", "") // 7
	for query, want := range map[string][]uint64{
		"":                           {1, 2, 3, 4, 5, 6, 7},
		"from=15550001111":           {1, 2, 4, 6},
		"from=whatsapp:+15550002222": {3, 5},
		"to=+491700000001":           {1, 2, 3, 4, 5},
		"to=whatsapp:+491700000002":  {6},
		"sid=" + sid:                 {2, 6},
		"status=accepted":            {1},
		"status=parked":              {3, 5},
		"status=queued,sent":         {2, 6},
		"type=accepted&type=inbound": {1, 4},
		"type=released,":             {5},
		"job=a":                      {1, 2},
		"since=2026-01-31T12:00:03Z": {3, 4, 5, 6},
		"until=2026-01-31T12:00:03Z": {1, 2, 7},
		"since=2026-01-31T14:00:02+02:00&until=2026-01-31T12:00:05Z&from=15550002222":  {3},
		"from=15550001111&to=+491700000001&status=queued&type=queued&job=a&sid=" + sid: {2},
		"job=&from=&last_event_id=0": {1, 2, 3, 4, 5, 6, 7},
		"last_event_id=4":            {5, 6, 7},
	} {
		connect := func() *follower { return w.after(0, "?"+query) }
		if strings.Contains(query, "last_event_id") {
			connect = func() *follower { return w.follow("?" + query) }
		}
		f := connect()
		require.Equal(t, want, f.ids(len(want)), query)
		f.close()
	}
	f := w.after(5, "?last_event_id=2") // as a browser that connects again
	require.Equal(t, []uint64{6}, f.ids(1), "the header counts")
}

func TestStreamsThatCannotBeMeantAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.log.happen(5)
	for query, field := range map[string]string{
		"type=lost": "type", "status=lost": "status", "job=bad%20id": "job", "from=nobody": "from", "to=nobody": "to",
		"sid=%00": "sid", "since=noon": "since", "until=2026-01-31": "until",
		"since=2026-01-31T12:00:00Z&until=2026-01-31T12:00:00Z": "until", "cursor=c": "cursor", "limit=5": "limit", "job=a&job=b": "job",
		"last_event_id=-1": "last_event_id", "last_event_id=x": "last_event_id", "last_event_id=6": "last_event_id",
		"last_event_id=18446744073709551615": "last_event_id", "last_event_id=18446744073709551616": "last_event_id",
	} {
		w.refused(w.do("GET", "/v1/events?"+query, ""), 400, "invalid_field", field)
	}
	w.refused(w.do("GET", "/v1/events", "", "Last-Event-ID", "e5"), 400, "invalid_field", "last_event_id")
	require.Equal(t, []uint64{6}, func() []uint64 {
		f := w.after(5, "")
		w.log.happen(1)
		return f.ids(1)
	}())

	head := w.do("HEAD", "/v1/events", "")
	require.Equal(t, http.StatusOK, head.status)
	require.Empty(t, head.text)
	require.Eventually(t, func() bool { return w.api.Clients() <= 1 }, 10*time.Second, time.Millisecond, "it has no stream")
}

func TestASilentStreamIsKeptOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "", func(c *dashboard.Config) { c.Streams.Heartbeat = readTimeout / 20 })
	f := w.follow("?type=read")
	for beats := 0; beats < 30; { // for longer than a request may take to arrive
		w.log.happen(1) // which does not pass
		m, ok := f.block()
		require.True(t, ok)
		require.Zero(t, m.id)
		if m.comment {
			beats++
		}
	}
	last := w.log.append(delivery.Event{ID: "e", Type: delivery.EventRead, At: noon, Job: "a"})
	require.Equal(t, []uint64{last}, f.ids(1))
}

func TestOnlySoManyClientsAreServed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "", func(c *dashboard.Config) { c.Streams.Most = 2 })
	one, two := w.follow(""), w.follow("")
	r := w.do("GET", "/v1/events", "")
	w.refused(r, 503, "unavailable", "")
	require.Equal(t, "5", r.header.Get("Retry-After"))

	one.close()
	require.Eventually(t, func() bool { return w.api.Clients() == 1 }, 10*time.Second, time.Millisecond)
	three := w.follow("")
	w.log.happen(1)
	require.Equal(t, []uint64{1}, two.ids(1))
	require.Equal(t, []uint64{1}, three.ids(1))
}

func TestStreamsEndWithTheProcess(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.log.happen(1)
	live, behind := w.follow(""), w.after(0, "")
	require.Equal(t, []uint64{1}, behind.ids(1))
	w.stop()
	for _, f := range []*follower{live, behind} {
		_, ok := f.next()
		require.False(t, ok)
	}
	r := w.do("GET", "/v1/events", "")
	w.refused(r, 503, "unavailable", "")
	require.Equal(t, "1", r.header.Get("Retry-After"))
	require.Zero(t, w.api.Clients())
}

func TestAClientWaitsForAProcessThatHasJustBegun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "", func(c *dashboard.Config) { c.Events.(*memoryLog).fail.Store(true) })
	connected := make(chan *follower)
	go func() { connected <- w.follow("") }()
	require.Eventually(t, func() bool { return w.api.Clients() == 1 }, 10*time.Second, time.Millisecond)
	w.log.fail.Store(false)
	f := <-connected
	w.log.happen(1)
	require.Equal(t, []uint64{1}, f.ids(1))
}

func TestALogThatCannotBeAskedIsSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.follow("").close() // the tail has begun
	w.log.fail.Store(true)
	w.refused(w.do("GET", "/v1/events?last_event_id=7", ""), 503, "unavailable", "")
}

func TestWithoutALogThereAreNoEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "", func(c *dashboard.Config) { c.Events = nil })
	w.refused(w.do("GET", "/v1/events", ""), 404, "not_found", "")
	w.stop()
}

// FuzzSubscription checks that what a client asks for is refused by name or
// within every bound.
func FuzzSubscription(f *testing.F) {
	f.Add("from=15550001111&to=+491700000001&type=sent,read&status=sent&job=a", "17")
	f.Add("last_event_id=5", "")
	f.Add("last_event_id=18446744073709551615", " 1")
	f.Fuzz(func(t *testing.T, query, header string) {
		resume, last, err := dashboard.ParseSubscription(query, header)
		if err != nil {
			var field *delivery.FieldError
			require.ErrorAs(t, err, &field)
			return
		}
		require.True(t, resume || last == 0)
		if header = strings.TrimSpace(header); header != "" {
			require.True(t, resume)
			require.Equal(t, strings.TrimLeft(header, "0"), strings.TrimLeft(fmt.Sprint(last), "0"))
		}
	})
}
