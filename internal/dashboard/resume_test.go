package dashboard_test

import (
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/dashboard"
)

// TestAClientThatComesBackMissesNothingAndSeesNothingTwice has a client read a
// few events at a time, and come back with the id it saw last, while a writer
// appends. Whether the client is owed what the log alone has, what the tail
// has, or what is only to come, it sees every entry that passes, once.
func TestAClientThatComesBackMissesNothingAndSeesNothingTwice(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		before := rapid.IntRange(0, 40).Draw(rt, "before")
		while := rapid.SliceOfN(rapid.IntRange(0, 3), 1, 200).Draw(rt, "while") // gap before each; 3: cannot be read
		reads := rapid.SliceOfN(rapid.IntRange(0, 30), 1, 8).Draw(rt, "reads")
		filter := rapid.SampledFrom([]string{"", "?type=sent"}).Draw(rt, "filter")

		w := newWorld(t, "", func(c *dashboard.Config) {
			c.Streams.Keep = rapid.IntRange(2, 32).Draw(rt, "keep")
			c.Events.(*memoryLog).happen(before)
		})
		defer w.server.Close()
		defer w.stop()
		first := w.follow("")
		first.close() // the tail begins before the writer
		var writer sync.WaitGroup
		writer.Go(func() {
			for i, gap := range while {
				e := delivery.Event{ID: "e", Type: delivery.EventParked, At: noon, Job: "a"}
				if i%2 == 0 {
					e.Type = delivery.EventSent
				}
				if gap == 3 {
					w.log.put(0, delivery.Entry{})
				} else {
					w.log.put(uint64(gap), delivery.Entry{Event: &e})
				}
			}
			end := delivery.Event{ID: "end", Type: delivery.EventSent, At: noon, Job: "end"}
			w.log.append(end)
		})
		seen := readToTheEnd(w, reads, filter)
		writer.Wait()
		require.Equal(rt, w.log.passing(filter != ""), seen)
	})
}

// readToTheEnd reads some events per connection, until that of the job "end".
func readToTheEnd(w *world, reads []int, filter string) (seen []uint64) {
	last := uint64(0)
	for i := 0; ; i++ {
		f := w.after(last, filter)
		for n := reads[i%len(reads)]; n >= 0 || i >= 2*len(reads); n-- { // at last it stays
			m, ok := f.next()
			if !ok {
				break // cut off
			}
			seen, last = append(seen, m.id), m.id
			if m.event(w.t).Job == "end" {
				f.close()
				return seen
			}
		}
		f.close()
	}
}

// passing lists the sequences that a client must see.
func (l *memoryLog) passing(sentOnly bool) (ids []uint64) {
	for _, entry := range l.entries {
		if e, ok := entry.AsEvent(); ok && (!sentOnly || e.Type == delivery.EventSent) {
			ids = append(ids, entry.Seq)
		}
	}
	return ids
}

// deadReader connects and never reads what it is sent.
func (w *world) deadReader() {
	w.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.server.URL, "http://"))
	require.NoError(w.t, err)
	w.t.Cleanup(func() { conn.Close() })
	require.NoError(w.t, conn.(*net.TCPConn).SetReadBuffer(4096))
	_, err = conn.Write([]byte("GET /v1/events HTTP/1.1\r\nHost: sluice\r\n\r\n"))
	require.NoError(w.t, err)
}

func TestAClientThatDoesNotReadIsCutOffWhileOthersFlow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "", func(c *dashboard.Config) { c.Streams.Stall = 200 * time.Millisecond })
	f := w.follow("")
	w.deadReader()
	require.Eventually(t, func() bool { return w.api.Clients() == 2 }, 10*time.Second, time.Millisecond)
	large := delivery.Event{ID: "e", Type: delivery.EventSent, At: noon, Job: "a", Reason: strings.Repeat("x", 2000)}
	for last := uint64(0); w.api.Clients() == 2; last++ { // until its buffers are full and a write has stalled
		require.Equal(t, last+1, w.log.append(large))
		require.Equal(t, []uint64{last + 1}, f.ids(1))
	}
	w.log.append(large)
	f.ids(1)
	require.EqualValues(t, 1, w.api.Clients())
}

func TestOnlySoManyReadTheLogForThemselves(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "", func(c *dashboard.Config) {
		c.Streams = dashboard.Streams{CatchUps: 2, Keep: 2}
		c.Events.(*memoryLog).happen(2000)
	})
	var clients sync.WaitGroup
	for range 10 {
		f := w.after(0, "")
		clients.Go(func() {
			for want := uint64(1); want <= 2000; want++ {
				m, ok := f.next()
				if !ok || m.id != want {
					t.Errorf("%d comes where %d should", m.id, want)
					return
				}
			}
		})
	}
	clients.Wait()
	require.LessOrEqual(t, w.log.most.Load(), int64(3), "the hub and two clients")
}
