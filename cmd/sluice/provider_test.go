package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// provider is a sandbox in a process of its own, so that its ledger outlives
// whatever happens to those who send through it.
type provider struct{ *site }

// startProvider starts `sluice sandbox`.
func startProvider(t testing.TB, settings env, args ...string) provider {
	t.Helper()
	up := start(t, settings, append([]string{"sandbox"}, args...)...).ready()
	require.Equal(t, "sandbox", up.Role)
	return provider{newSite(t, up.Sandbox)}
}

// message is one line of the sandbox's ledger.
type message struct {
	SID            string    `json:"sid"`
	Account        string    `json:"account"`
	From           string    `json:"from"`
	To             string    `json:"to"`
	AcceptedAt     time.Time `json:"accepted_at"`
	Status         string    `json:"status"`
	StatusCallback string    `json:"status_callback"`
	InWindow       bool      `json:"in_window"`
	Counted        bool      `json:"counted"`
}

var callbackJob = regexp.MustCompile(`/twilio/status/([^/]+)/[0-9]+`)

// ledger is every accepted message, by the job that its callback names.
func (p provider) ledger() map[string][]message {
	p.t.Helper()
	a := p.do(http.MethodGet, "/sandbox/messages", nil)
	require.Equal(p.t, http.StatusOK, a.status)
	byJob := map[string][]message{}
	for scan := bufio.NewScanner(bytes.NewReader(a.body)); scan.Scan(); {
		var m message
		require.NoError(p.t, json.Unmarshal(scan.Bytes(), &m))
		match := callbackJob.FindStringSubmatch(m.StatusCallback)
		require.NotNil(p.t, match, "a message without job in its callback: %s", scan.Text())
		byJob[match[1]] = append(byJob[match[1]], m)
	}
	return byJob
}

// accepted is how many messages the sandbox has taken.
func (p provider) accepted() int {
	p.t.Helper()
	return bytes.Count(p.do(http.MethodGet, "/sandbox/messages", nil).body, []byte("\n"))
}

// busiest is the largest number of messages from a sender within any span.
func (p provider) busiest(sender string, span time.Duration) int {
	p.t.Helper()
	var times []time.Time
	for _, messages := range p.ledger() {
		for _, m := range messages {
			if m.From == whatsapp(sender) {
				times = append(times, m.AcceptedAt)
			}
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	most, first := 0, 0
	for i, at := range times {
		for at.Sub(times[first]) >= span {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// faults replaces the sandbox's faults.
func (p provider) faults(f fields) {
	p.t.Helper()
	p.must(http.MethodPut, "/sandbox/faults", f, nil)
}

// requireOnce convicts whoever lost one of the jobs, sent one twice or
// exceeded a limit.
func (p provider) requireOnce(ids []string) {
	p.t.Helper()
	byJob := p.ledger()
	for _, id := range ids {
		require.Len(p.t, byJob[id], 1, "messages of job %s", id)
	}
	require.Len(p.t, byJob, len(ids), "messages of other jobs")
	var limits struct {
		OverLimit      int `json:"over_limit"`
		Pools, Senders []struct{ Exceeded int }
	}
	p.must(http.MethodGet, "/sandbox/limits", nil, &limits)
	require.Zero(p.t, limits.OverLimit)
	for _, usage := range append(limits.Pools, limits.Senders...) {
		require.Zero(p.t, usage.Exceeded, "%+v", limits)
	}
}
