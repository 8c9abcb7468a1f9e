package messaging_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/messaging"
)

// pages serves one body per call and records what was asked for.
type pages struct {
	mu     sync.Mutex
	bodies []string
	asked  []string
}

func (p *pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if user, _, _ := r.BasicAuth(); user != account.SID || len(p.asked) >= len(p.bodies) {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	p.asked = append(p.asked, r.RequestURI)
	_, _ = io.WriteString(w, p.bodies[len(p.asked)-1])
}

// listed is a page of messages; a second of "" has no date.
func listed(next string, seconds ...string) string {
	var messages []string
	for _, s := range seconds {
		date := `null`
		if s != "" {
			date = `"Thu, 24 Aug 2023 05:01:` + s + ` +0000"`
		}
		messages = append(messages, fmt.Sprintf(`{"sid":"SM%s","date_created":%s,"date_sent":null}`, s, date))
	}
	if next != "null" {
		next = `"` + next + `"`
	}
	return `{"messages":[` + strings.Join(messages, ",") + `],"next_page_uri":` + next + `,"page":0}`
}

func sids(resources []messaging.Resource) (all []string) {
	for _, r := range resources {
		all = append(all, r.SID)
	}
	return all
}

func TestListFollowsItsPages(t *testing.T) {
	t.Parallel()
	const second = "/2010-04-01/Accounts/AC1/Messages.json?To=whatsapp%3AUS.1349&PageSize=3&Page=1&PageToken=PA%2Fx=~"
	const third = "/elsewhere.json?a=%2b+b&&c"
	for limit, want := range map[int][]string{
		10: {"SM59", "SM58", "SM57", "SM56", "SM55", "SM"},
		5:  {"SM59", "SM58", "SM57", "SM56", "SM55"},
		4:  {"SM59", "SM58", "SM57", "SM56"},
		1:  {"SM59"},
		0:  nil,
		-1: nil,
	} {
		p := &pages{bodies: []string{listed(second, "59", "57", "58"), listed(third, "56", "55"), listed("null", "")}}
		client := provider(t, messaging.Config{}, p.ServeHTTP)
		got, err := client.List(t.Context(), opaque, "whatsapp:+15550001111", limit)
		require.NoError(t, err)
		require.Equal(t, want, sids(got), limit)
		switch limit {
		case 10:
			first := "/2010-04-01/Accounts/AC1/Messages.json?From=whatsapp%3A%2B15550001111&PageSize=10&To=whatsapp%3AUS.13491208655302741918"
			require.Equal(t, []string{first, second, third}, p.asked)
		case 1:
			require.Len(t, p.asked, 1)
		case 0, -1:
			require.Empty(t, p.asked)
		}
	}
}

func TestListWithoutFilters(t *testing.T) {
	t.Parallel()
	p := &pages{bodies: []string{listed("/next", "59"), listed("/next")}}
	client := provider(t, messaging.Config{}, p.ServeHTTP)
	got, err := client.List(t.Context(), "", "", 5000)
	require.NoError(t, err, "an empty page ends the list whatever it names next")
	require.Len(t, got, 1)
	require.Equal(t, []string{"/2010-04-01/Accounts/AC1/Messages.json?PageSize=40", "/next"}, p.asked)
}

func TestListIsWholeOrAnError(t *testing.T) {
	t.Parallel()
	for name, bodies := range map[string][]string{
		"second page fails":        {listed("/next", "59")},
		"second page is not JSON":  {listed("/next", "59"), "<html>"},
		"second page is something": {listed("/next", "59"), `{"sid":"SM1"}`},
		"a message has no SID":     {`{"messages":[{"sid":null}]}`},
		"messages are missing":     {`{"messages":null}`},
	} {
		client := provider(t, messaging.Config{}, (&pages{bodies: bodies}).ServeHTTP)
		got, err := client.List(t.Context(), opaque, "", 50)
		failure := requireFailure(t, err)
		require.Empty(t, got, name)
		require.Equal(t, messaging.Retry, failure.Class, name)
		require.False(t, failure.Written, name)
	}
}

// Appended to the base URL, these would take the credentials to another host.
func TestListStaysOnItsHost(t *testing.T) {
	t.Parallel()
	for _, next := range []string{"https://example.com/x", "@example.com/x", ".example.com/x", ":81/x", "x"} {
		client := provider(t, messaging.Config{}, (&pages{bodies: []string{listed(next, "59")}}).ServeHTTP)
		_, err := client.List(t.Context(), opaque, "", 50)
		require.ErrorContains(t, requireFailure(t, err), "continues outside the API", next)
	}
}
