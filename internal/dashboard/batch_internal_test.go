package dashboard

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
)

// TestClientsThatKeepUpShareBytes: with one filter they write the same ones,
// and everybody gets what passes the own filter, in one piece or in several.
func TestClientsThatKeepUpShareBytes(t *testing.T) {
	t.Parallel()
	tail := newTail(64)
	tail.begin(1)
	var entries []delivery.Entry
	for seq := uint64(1); seq <= 20; seq++ {
		kind := []delivery.EventType{delivery.EventSent, delivery.EventRead}[seq%2]
		entries = append(entries, delivery.Entry{Seq: seq, Event: &delivery.Event{
			ID: fmt.Sprint(seq), Type: kind, Job: fmt.Sprint("job-", seq), From: "whatsapp:+15550001111",
		}})
	}
	tail.add(frames(entries), 21)

	take := func(query string, most int) string {
		sub, err := parseSubscription(query, "")
		require.NoError(t, err)
		var all strings.Builder
		for next := uint64(1); next < 21; {
			p, ok := tail.since(next, most)
			require.True(t, ok)
			all.Write(p.text(sub.filter, sub.filter.shape()))
			next = p.next
		}
		return all.String()
	}
	for query, passes := range map[string]int{
		"": 20, "type=sent": 10, "type=sent,read": 20, "job=job-7": 1, "from=15550001112": 0, "from=15550001111&type=read": 10,
	} {
		whole := take(query, 64)
		require.Equal(t, passes, strings.Count(whole, "\ndata: "), query)
		require.Equal(t, whole, take(query, 3), query)
	}

	p, ok := tail.since(1, 64)
	require.True(t, ok)
	again, _ := tail.since(1, 64)
	all := eventFilter{}
	require.Same(t, &p.text(all, all.shape())[0], &again.text(all, all.shape())[0])
	require.Empty(t, eventFilter{job: "job-7", types: []delivery.EventType{delivery.EventSent}}.shape())
}
