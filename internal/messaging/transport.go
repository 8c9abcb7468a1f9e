package messaging

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

const (
	// idleConnTimeout stays below the idle limit of common load balancers
	// (60 s), so that it is mostly us who close an idle connection. A POST
	// written to one the other side has just closed has an unknown outcome.
	idleConnTimeout = 30 * time.Second

	// connectTimeout bounds dialling and the TLS handshake, each. net/http
	// goes on dialling after the call that wanted the connection has ended.
	connectTimeout = 5 * time.Second
)

type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// newTransport returns a transport that makes the fate of one POST as clear as
// the network allows.
//
// It speaks HTTP/1.1 only. Over HTTP/2 all calls share a connection: its loss
// makes every one of them unknown at once, the library repeats requests on its
// own account, and giving up a call does not take its bytes back from the
// kernel. Here a call has its connection to itself, and closing the one takes
// back the other.
func newTransport(maxConns int, timeout time.Duration, dial dialFunc) *http.Transport {
	if dial == nil {
		dial = (&net.Dialer{Timeout: min(timeout, connectTimeout), KeepAlive: 15 * time.Second}).DialContext
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         withoutLinger(dial),
		TLSHandshakeTimeout: min(timeout, connectTimeout),
		MaxConnsPerHost:     maxConns,
		MaxIdleConns:        maxConns,
		MaxIdleConnsPerHost: maxConns, // the default of 2 would dial for nearly every call
		IdleConnTimeout:     idleConnTimeout,
		ForceAttemptHTTP2:   false,
		Protocols:           &protocols,
		DisableCompression:  true, // an answer is about a kilobyte
	}
}

// withoutLinger makes closing a connection discard what the kernel has not
// delivered yet. Without it a POST that was given up can still arrive seconds
// later, after it was looked for in vain and sent again.
func withoutLinger(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if tcp, ok := conn.(interface{ SetLinger(sec int) error }); ok {
			if err := tcp.SetLinger(0); err != nil {
				_ = conn.Close()
				return nil, fmt.Errorf("make %s forget unsent bytes on close: %w", address, err)
			}
		}
		return conn, nil
	}
}
