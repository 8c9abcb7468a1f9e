package messaging

import (
	"errors"
	"io"
	"net"
	"net/http/httptrace"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// connection is a net.Conn that knows whether it was closed.
type connection struct {
	net.Conn
	closed bool
}

func (c *connection) Close() error { c.closed = true; return nil }

func newPost(maySend func() error) (*post, *connection) {
	p, conn := &post{form: "To=x", maySend: maySend}, &connection{}
	p.trace().GotConn(httptrace.GotConnInfo{Conn: conn})
	return p, conn
}

func always() error { return nil }

func TestPostBegunIsOnItsWay(t *testing.T) {
	t.Parallel()
	p, conn := newPost(always)
	body, err := p.again()
	require.NoError(t, err, "a post not begun may still go to another connection")
	form, err := io.ReadAll(body)
	require.NoError(t, err)
	require.Equal(t, "To=x", string(form))

	hooks := p.trace()
	hooks.WroteHeaderField("Host", nil)
	hooks.WroteHeaderField("Accept", nil)
	unsent, refusal := p.withdraw()
	require.False(t, unsent)
	require.NoError(t, refusal)
	require.False(t, conn.closed)
	_, err = p.again()
	require.ErrorIs(t, err, errBegun)
}

func TestPostWithdrawnIsNeverSent(t *testing.T) {
	t.Parallel()
	p, conn := newPost(always)
	unsent, refusal := p.withdraw()
	require.True(t, unsent)
	require.NoError(t, refusal)
	require.False(t, conn.closed)

	p.begin()
	require.True(t, conn.closed)
	unsent, _ = p.withdraw()
	require.True(t, unsent)
	_, err := p.again()
	require.ErrorIs(t, err, errBegun)
}

func TestPostPastItsTimeIsNotSent(t *testing.T) {
	t.Parallel()
	late := errors.New("late")
	p, conn := newPost(func() error { return late })
	p.begin()
	require.True(t, conn.closed)
	unsent, refusal := p.withdraw()
	require.True(t, unsent)
	require.ErrorIs(t, refusal, late)
}

func TestPostHasOneOutcome(t *testing.T) {
	t.Parallel()
	for range 2000 {
		p, conn := newPost(always)
		var unsent bool
		var both sync.WaitGroup
		both.Go(p.begin)
		both.Go(func() { unsent, _ = p.withdraw() })
		both.Wait()
		require.Equal(t, unsent, conn.closed)
	}
}
