package messaging

import (
	"crypto/tls"
	"crypto/x509"
	"time"
)

var (
	DecodeResource = decodeResource
	DecodePage     = func(body []byte) (int, string, error) {
		p, err := decodePage(body)
		return len(p.resources), p.next, err
	}
	DecodeSenderPage = func(body []byte) (sids []string, next string, err error) {
		p, err := decodeSenderPage(body)
		for _, s := range p.senders {
			sids = append(sids, s.SID)
		}
		return sids, p.next, err
	}
	DecodeProblem   = func(body []byte) (int, string) { p := decodeProblem(body); return p.Code, p.Message }
	ParseRetryAfter = parseRetryAfter
)

// SetClock replaces the wall clock of a client.
func (c *Client) SetClock(now func() time.Time) { c.now = now }

// Trust makes a client accept certificates signed by roots.
func (c *Client) Trust(roots *x509.CertPool) {
	c.transport.TLSClientConfig = &tls.Config{RootCAs: roots}
}
