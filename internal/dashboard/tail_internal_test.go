package dashboard

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluicehq/sluice/delivery"
)

// TestTail compares the tail with the whole list of what was ever added: a
// reader gets what the list has from its place on, or hears that it has lost
// it, and only if the buffer no longer reaches back that far.
func TestTail(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(2, 9).Draw(t, "size")
		begin := rapid.Uint64Range(1, 5).Draw(t, "begin")
		tail := newTail(size)
		tail.begin(begin)
		var all []*frame
		next := begin
		for range rapid.IntRange(0, 20).Draw(t, "rounds") {
			before, ok := tail.since(tail.end(), 1)
			require.True(t, ok)
			var added []*frame
			for range rapid.IntRange(0, 12).Draw(t, "added") {
				next += rapid.Uint64Range(0, 2).Draw(t, "gap")
				added = append(added, &frame{seq: next})
				next++
			}
			next += rapid.Uint64Range(0, 1).Draw(t, "unreadable")
			tail.add(added, next)
			all = append(all, added...)
			require.Equal(t, next, tail.end())
			<-before.ready

			most := rapid.IntRange(1, 10).Draw(t, "most")
			for seq := begin; seq < next+3; seq++ {
				checkSince(t, tail, all, seq, next, most)
			}
		}
	})
}

func checkSince(t *rapid.T, tail *tail, all []*frame, seq, next uint64, most int) {
	var owed []*frame
	for _, f := range all {
		if f.seq >= seq {
			owed = append(owed, f)
		}
	}
	p, ok := tail.since(seq, most)
	require.Equal(t, len(owed) <= len(tail.ring), ok)
	require.True(t, ok || !tail.near(seq), "near must be readable")
	if !ok {
		return
	}
	require.Equal(t, owed[:min(most, len(owed))], append([]*frame(nil), p.frames...))
	if len(owed) > most {
		<-p.ready
		require.Equal(t, owed[most-1].seq+1, p.next)
		return
	}
	require.Equal(t, max(seq, next), p.next)
	select {
	case <-p.ready:
		require.Fail(t, "there is no more")
	default:
	}
	if len(owed) <= len(tail.ring)/2 {
		require.True(t, tail.near(seq))
	}
}

func TestTypesOfALaterVersionAreLeftOut(t *testing.T) {
	t.Parallel()
	for _, kind := range []delivery.EventType{"", "later", "sent\ndata: {}"} {
		_, ok := newFrame(delivery.Entry{Seq: 1, Event: &delivery.Event{ID: "e", Type: kind}})
		require.False(t, ok)
	}
}
