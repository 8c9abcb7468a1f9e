package messaging

import (
	"errors"
	"io"
	"net"
	"net/http/httptrace"
	"strings"
	"sync"
)

var errBegun = errors.New("the request was handed to a connection before and must not be sent twice")

// post is one POST on its way and the proof of whether it left. A connection
// begins it, or its caller withdraws it; whichever comes first decides for
// good. "Not written" is thereby a fact about this value: it does not rest on
// the order in which net/http ends its goroutines, nor on when it repeats a
// request.
type post struct {
	form    string
	maySend func() error // asked once, right before the first byte

	mu        sync.Mutex
	conn      net.Conn // the connection it was given last
	begun     bool
	withdrawn bool
	refusal   error // what maySend said
}

// trace ties the post to the connection that net/http picks for it.
func (p *post) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.conn = info.Conn
		},
		WroteHeaderField: func(string, []string) { p.begin() },
	}
}

// begin runs on the goroutine that writes the request, when the first header
// field lies in the connection's buffer and nothing has been flushed yet. A
// hook cannot refuse; it closes the connection instead, which can then no
// longer take what is in its buffer.
func (p *post) begin() {
	if conn := p.tryBegin(); conn != nil {
		_ = conn.Close()
	}
}

// tryBegin returns nil if the request may go out, else the connection to close.
func (p *post) tryBegin() net.Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.begun && !p.withdrawn {
		p.refusal = p.maySend()
		// If it may go, it may be on its way from here on: should the answer
		// stay away, or the process die, the message may or may not exist.
		p.begun, p.withdrawn = p.refusal == nil, p.refusal != nil
	}
	if p.begun {
		return nil
	}
	return p.conn
}

// withdraw reports whether no connection has begun the post, and makes sure
// that none ever will. refusal is set if its time was over.
func (p *post) withdraw() (unsent bool, refusal error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.withdrawn = !p.begun
	return p.withdrawn, p.refusal
}

// body is the form as an in-memory reader of a type that net/http knows; of any
// other it would send the headers ahead in a packet of their own.
func (p *post) body() io.ReadCloser { return io.NopCloser(strings.NewReader(p.form)) }

// again is the request's GetBody. net/http asks for it to start over on
// another connection when an idle one turned out to be dead.
func (p *post) again() (io.ReadCloser, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.begun || p.withdrawn {
		return nil, errBegun
	}
	return p.body(), nil
}
