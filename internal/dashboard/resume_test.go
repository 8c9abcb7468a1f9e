package dashboard_test

import (
	"context"
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
// few events at a time, and come back with the id it saw last, while entries
// are appended in bursts that may be larger than the tail. Whether the client
// is owed what the log alone has, what the tail has, or what is only to come,
// it sees every event that passes, once.
func TestAClientThatComesBackMissesNothingAndSeesNothingTwice(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		before := rapid.IntRange(0, 40).Draw(rt, "before")
		gaps := rapid.SliceOfN(rapid.IntRange(0, 3), 1, 20).Draw(rt, "gaps") // 3: cannot be read
		bursts := rapid.SliceOfN(rapid.IntRange(0, 12), 1, 20).Draw(rt, "bursts")
		stays := rapid.SliceOfN(rapid.IntRange(1, 20), 1, 8).Draw(rt, "stays")
		filter := rapid.SampledFrom([]string{"", "?type=sent"}).Draw(rt, "filter")
		keep := rapid.IntRange(2, 32).Draw(rt, "keep")
		w := newWorld(t, "", func(c *dashboard.Config) {
			c.Streams.Keep = keep
			c.Events.(*memoryLog).happen(before)
		})
		defer w.server.Close()
		defer w.stop()
		w.follow("").close() // the tail has begun

		var last uint64
		var f *follower
		for read, stay := 0, 0; read < 60; read++ {
			if stay == 0 {
				if f != nil {
					f.close()
				}
				f, stay = w.after(last, filter), stays[read%len(stays)]
			}
			stay--
			for i := range bursts[read%len(bursts)] {
				w.log.putSome(gaps[(read+i)%len(gaps)])
			}
			want, owed := w.log.passing(filter != "", last)
			if !owed {
				want = w.log.append(delivery.Event{ID: "e", Type: delivery.EventSent, At: noon, Job: "a"})
			}
			m, ok := f.next()
			if !ok { // cut off
				stay = 0
				continue
			}
			require.Equal(rt, want, m.id)
			last = m.id
		}
		f.close()
	})
}

// putSome appends an entry after a gap, or one that cannot be read. Every
// other one is of the type sent.
func (l *memoryLog) putSome(gap int) {
	e := delivery.Event{ID: "e", Type: delivery.EventParked, At: noon, Job: "a"}
	if last, _ := l.Last(context.Background()); last%2 == 0 {
		e.Type = delivery.EventSent
	}
	if gap == 3 {
		l.put(0, delivery.Entry{})
		return
	}
	l.put(uint64(gap), delivery.Entry{Event: &e})
}

// passing is the first event after a sequence that a client must see.
func (l *memoryLog) passing(sentOnly bool, after uint64) (uint64, bool) {
	entries, _ := l.after(after+1, 1<<20)
	for _, entry := range entries {
		if e, ok := entry.AsEvent(); ok && (!sentOnly || e.Type == delivery.EventSent) {
			return entry.Seq, true
		}
	}
	return 0, false
}

// deadReader connects and never reads what it is sent.
func (w *world) deadReader() {
	w.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.server.URL, "http://"))
	require.NoError(w.t, err)
	w.t.Cleanup(func() { conn.Close() })
	require.NoError(w.t, conn.(*net.TCPConn).SetReadBuffer(4096))
	_, err = conn.Write([]byte("GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"))
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
