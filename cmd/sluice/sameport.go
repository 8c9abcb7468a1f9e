package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
)

// keepsPort reports whether the callbacks should come back to where they were:
// any free port will do, and a message under way names the one it was sent with.
// Only the sandbox knows of it, whose data is here.
func (h *house) keepsPort() bool {
	_, port, err := net.SplitHostPort(h.cfg.CallbacksAddr)
	return err == nil && port == "0" && h.cfg.PublicURL == "" && h.sandboxed() && h.sandboxFile() != ""
}

func (h *house) portFile() string { return filepath.Join(h.cfg.Data, "callbacks.port") }

// returnToPort names the port of the last run, if it is known and still free.
func (h *house) returnToPort() {
	data, err := os.ReadFile(h.portFile())
	if err != nil {
		return
	}
	host, _, _ := net.SplitHostPort(h.cfg.CallbacksAddr)
	before := net.JoinHostPort(host, strings.TrimSpace(string(data)))
	l, err := net.Listen("tcp", before)
	if err != nil {
		return
	}
	_ = l.Close()
	h.cfg.CallbacksAddr = before
}

// rememberPort is best effort: without it the states of messages under way at the
// end of this run come by asking for them.
func (h *house) rememberPort(base string) {
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(base, "http://"))
	_ = os.WriteFile(h.portFile(), []byte(port+"\n"), 0o600)
}
