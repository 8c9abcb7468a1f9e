package dashboard_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
)

// message is one block of a stream: an event, or comments alone.
type message struct {
	id      uint64
	kind    string
	data    string
	comment bool
}

// follower is a client of GET /v1/events.
type follower struct {
	w     *world
	body  *bufio.Scanner
	close func()
}

// follow connects, with headers as in do.
func (w *world) follow(query string, headers ...string) *follower {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.server.URL+"/v1/events"+query, nil)
	require.NoError(w.t, err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := w.server.Client().Do(req)
	require.NoError(w.t, err)
	require.Equal(w.t, http.StatusOK, res.StatusCode)
	require.Equal(w.t, "text/event-stream", res.Header.Get("Content-Type"))
	require.Empty(w.t, res.TransferEncoding, "chunks cost further writes")
	f := &follower{w: w, body: bufio.NewScanner(res.Body), close: func() { cancel(); res.Body.Close() }}
	w.t.Cleanup(f.close)
	return f
}

// after connects as a client does that saw the id last.
func (w *world) after(last uint64, query string) *follower {
	w.t.Helper()
	return w.follow(query, "Last-Event-ID", strconv.FormatUint(last, 10))
}

// block reads up to the next empty line; not ok at the end of the stream.
func (f *follower) block() (m message, ok bool) {
	for f.body.Scan() {
		name, value, _ := strings.Cut(f.body.Text(), ": ")
		switch name {
		case "id":
			id, err := strconv.ParseUint(value, 10, 64)
			require.NoError(f.w.t, err)
			m.id = id
		case "event":
			m.kind = value
		case "data":
			m.data = value
		case "retry":
		case "":
			if f.body.Text() == "" {
				return m, true
			}
			m.comment = true
		default:
			require.Fail(f.w.t, "not a line of a stream", f.body.Text())
		}
	}
	return m, false
}

// next reads the next event; not ok at the end of the stream.
func (f *follower) next() (m message, ok bool) {
	for {
		if m, ok = f.block(); !ok || m.id > 0 {
			return m, ok
		}
	}
}

// ids reads the ids of the next n events.
func (f *follower) ids(n int) []uint64 {
	f.w.t.Helper()
	var ids []uint64
	for range n {
		m, ok := f.next()
		require.True(f.w.t, ok, "the stream ended after %v", ids)
		ids = append(ids, m.id)
	}
	return ids
}

func (m message) event(t require.TestingT) delivery.Event {
	var e delivery.Event
	require.NoError(t, json.Unmarshal([]byte(m.data), &e))
	return e
}
