package messaging_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/messaging"
)

// peer is a provider down at the socket: serve gets each connection and the
// number it came as, from 1.
type peer struct {
	listener net.Listener
	serving  sync.WaitGroup

	mu     sync.Mutex
	bodies map[string]int // how often each form arrived whole
}

func newPeer(t *testing.T, serve func(p *peer, conn *net.TCPConn, number int)) *peer {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &peer{listener: listener, bodies: map[string]int{}}
	p.serving.Go(func() {
		for number := 1; ; number++ {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			p.serving.Go(func() {
				defer conn.Close()
				serve(p, conn.(*net.TCPConn), number)
			})
		}
	})
	t.Cleanup(p.stop)
	return p
}

func (p *peer) stop() {
	_ = p.listener.Close()
	p.serving.Wait()
}

func (p *peer) url() string { return "http://" + p.listener.Addr().String() }

// take reads one whole request and counts its form; false: none came.
func (p *peer) take(r *bufio.Reader) bool {
	request, err := http.ReadRequest(r)
	if err != nil {
		return false
	}
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bodies[string(body)]++
	return true
}

func (p *peer) arrived() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bodies
}

const created = "HTTP/1.1 201 Created\r\nContent-Length: 13\r\n\r\n{\"sid\":\"SM1\"}"

func say(conn net.Conn, text string) { _, _ = io.WriteString(conn, text) }

// untilClosed waits until the client has given the connection up.
func untilClosed(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

func TestLossAfterTheFormWasWritten(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer func(conn *net.TCPConn)
		cause  error
		status int
	}{
		"closed after reading":  {func(conn *net.TCPConn) {}, io.EOF, 0},
		"reset before answer":   {func(conn *net.TCPConn) { _ = conn.SetLinger(0) }, nil, 0},
		"no answer in time":     {func(conn *net.TCPConn) { untilClosed(conn) }, context.DeadlineExceeded, 0},
		"half a header":         {func(conn *net.TCPConn) { say(conn, created[:20]) }, io.ErrUnexpectedEOF, 0},
		"half a body":           {func(conn *net.TCPConn) { say(conn, created[:len(created)-5]) }, io.ErrUnexpectedEOF, 201},
		"half a body, no end":   {func(conn *net.TCPConn) { say(conn, created[:len(created)-5]); untilClosed(conn) }, context.DeadlineExceeded, 201},
		"not HTTP":              {func(conn *net.TCPConn) { say(conn, "220 smtp ready\r\n\r\n") }, nil, 0},
		"half a refusal of 5xx": {func(conn *net.TCPConn) { say(conn, "HTTP/1.1 500 x\r\nContent-Length: 9\r\n\r\n{") }, io.ErrUnexpectedEOF, 500},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPeer(t, func(p *peer, conn *net.TCPConn, _ int) {
				p.take(bufio.NewReader(conn))
				c.answer(conn)
			})
			client := newClient(t, messaging.Config{BaseURL: p.url(), Timeout: 200 * time.Millisecond})
			_, err := client.Create(t.Context(), messaging.Message{To: opaque})
			client.Close()
			p.stop()
			failure := requireFailure(t, err)
			require.Equal(t, messaging.Unknown, failure.Class)
			require.True(t, failure.Written)
			require.Equal(t, c.status, failure.HTTPStatus)
			require.Error(t, failure.Err)
			if c.cause != nil {
				require.ErrorIs(t, err, c.cause)
			}
			require.Equal(t, map[string]int{"To=whatsapp%3AUS.13491208655302741918&ValidityPeriod=36000": 1}, p.arrived())
		})
	}
}

// A refusal cut off in its body is a refusal all the same.
func TestHalfARefusal(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]messaging.Class{
		400: messaging.Permanent, 401: messaging.AccountBroken, 429: messaging.Throttled,
	} {
		p := newPeer(t, func(p *peer, conn *net.TCPConn, _ int) {
			p.take(bufio.NewReader(conn))
			say(conn, fmt.Sprintf("HTTP/1.1 %d x\r\nContent-Length: 99\r\n\r\n{\"code\":21", status))
		})
		client := newClient(t, messaging.Config{BaseURL: p.url()})
		_, err := client.Create(t.Context(), messaging.Message{To: opaque})
		failure := requireFailure(t, err)
		require.Equal(t, want, failure.Class)
		require.Equal(t, status, failure.HTTPStatus)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	}
}

func TestNothingWritten(t *testing.T) {
	t.Parallel()
	refused, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, refused.Close())

	stranger := httptest.NewUnstartedServer(http.NotFoundHandler())
	stranger.Config.ErrorLog = log.New(io.Discard, "", 0)
	stranger.StartTLS()
	t.Cleanup(stranger.Close)

	silent := newPeer(t, func(_ *peer, conn *net.TCPConn, _ int) { untilClosed(conn) })

	for name, cfg := range map[string]messaging.Config{
		"refused port":        {BaseURL: "http://" + refused.Addr().String()},
		"unknown certificate": {BaseURL: stranger.URL},
		"silent in TLS":       {BaseURL: "https://" + silent.listener.Addr().String(), Timeout: 100 * time.Millisecond},
		"malformed base URL":  {BaseURL: "http://a b"},
		"other scheme":        {BaseURL: "gopher://example.com"},
		"unknown host": {DialContext: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.DNSError{Err: "no such host", Name: "api.twilio.com", IsNotFound: true}
		}},
		"dead on arrival": {BaseURL: "http://x", DialContext: func(context.Context, string, string) (net.Conn, error) {
			conn, err := net.Dial("tcp", silent.listener.Addr().String())
			if err == nil {
				err = conn.Close()
			}
			return conn, err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := newClient(t, cfg)
			_, err := client.Create(t.Context(), messaging.Message{To: opaque})
			failure := requireFailure(t, err)
			require.Equal(t, messaging.Retry, failure.Class)
			require.False(t, failure.Written)
			require.Zero(t, failure.HTTPStatus)
			require.Error(t, failure.Err)
		})
	}
}

// The server takes the second POST from a connection kept alive and hangs up:
// net/http would repeat a GET on a new connection, and must not repeat this.
func TestNoReplayOnAConnectionClosedUnderTheRequest(t *testing.T) {
	t.Parallel()
	p := newPeer(t, func(p *peer, conn *net.TCPConn, number int) {
		r := bufio.NewReader(conn)
		for p.take(r) {
			say(conn, created)
			if number == 1 {
				p.take(r)
				return
			}
		}
	})
	client := newClient(t, messaging.Config{BaseURL: p.url()})
	_, err := client.Create(t.Context(), messaging.Message{Body: "first"})
	require.NoError(t, err)
	_, err = client.Create(t.Context(), messaging.Message{Body: "second"})
	failure := requireFailure(t, err)
	require.Equal(t, messaging.Unknown, failure.Class)
	require.True(t, failure.Written)

	_, err = client.Create(t.Context(), messaging.Message{Body: "third"})
	require.NoError(t, err)
	client.Close()
	p.stop()
	require.Equal(t, map[string]int{
		"Body=first&ValidityPeriod=36000": 1, "Body=second&ValidityPeriod=36000": 1, "Body=third&ValidityPeriod=36000": 1,
	}, p.arrived())
}

// The server closes every connection right after its answer, racing with the
// next POST: each arrives at most once, and what Written says is true.
func TestAtMostOnceOnStaleConnections(t *testing.T) {
	t.Parallel()
	for name, linger := range map[string]int{"closed": -1, "reset": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPeer(t, func(p *peer, conn *net.TCPConn, _ int) {
				_ = conn.SetLinger(linger)
				if p.take(bufio.NewReader(conn)) {
					say(conn, created)
				}
			})
			client := newClient(t, messaging.Config{BaseURL: p.url(), Timeout: 5 * time.Second})
			outcomes := map[string]error{}
			for i := range 500 {
				body := fmt.Sprintf("b%d", i)
				_, outcomes[body] = client.Create(t.Context(), messaging.Message{Body: body})
			}
			client.Close()
			p.stop()
			for body, err := range outcomes {
				times := p.arrived()["Body="+body+"&ValidityPeriod=36000"]
				var failure *messaging.Failure
				switch {
				case err == nil:
					require.Equal(t, 1, times, body)
				case errors.As(err, &failure) && failure.Written:
					require.LessOrEqual(t, times, 1, body)
					require.Equal(t, messaging.Unknown, failure.Class)
				default:
					require.Zero(t, times, body)
				}
			}
		})
	}
}

// A POST that was given up must not be delivered by the kernel afterwards.
func TestGivenUpMeansGivenUp(t *testing.T) {
	t.Parallel()
	const size = 256 << 10 // fits the sender's buffer, not the receiver's
	givenUp := make(chan struct{})
	received := make(chan int64, 1)
	p := newPeer(t, func(_ *peer, conn *net.TCPConn, _ int) {
		_ = conn.SetReadBuffer(4 << 10)
		<-givenUp
		_ = conn.SetReadBuffer(4 << 20)
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		n, _ := io.Copy(io.Discard, conn)
		received <- n
	})
	client := newClient(t, messaging.Config{
		BaseURL: p.url(), Timeout: 200 * time.Millisecond,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
			if err == nil {
				err = conn.(*net.TCPConn).SetWriteBuffer(2 * size)
			}
			return conn, err
		},
	})
	_, err := client.Create(t.Context(), messaging.Message{Body: strings.Repeat("x", size)})
	close(givenUp)
	require.Equal(t, messaging.Unknown, requireFailure(t, err).Class)
	require.Less(t, <-received, int64(size))
}
