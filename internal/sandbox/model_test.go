package sandbox_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluicehq/sluice/internal/sandbox"
)

// modelSend is a send that counted, as the model remembers it.
type modelSend struct {
	sender, customer string
	at               time.Time
}

// model counts by looking at everything ever sent, each time.
type model struct {
	sends  []modelSend
	limits map[string]int
	over   map[string]int
}

func (m *model) used(sender string, now time.Time) map[string]bool {
	customers := map[string]bool{}
	for _, s := range m.sends {
		if (sender == "" || s.sender == sender) && now.Sub(s.at) < time.Hour {
			customers[s.customer] = true
		}
	}
	return customers
}

func (m *model) send(sender, customer string, now time.Time) (counted bool) {
	largest := 0
	for _, limit := range m.limits {
		largest = max(largest, limit)
	}
	fits := func(used map[string]bool, limit int) bool { return used[customer] || len(used) < limit }
	own := fits(m.used(sender, now), m.limits[sender])
	pool := fits(m.used("", now), largest)
	if !own {
		m.over[sender]++
	}
	if !pool {
		m.over[""]++
	}
	if own && pool {
		m.sends = append(m.sends, modelSend{sender, customer, now})
	}
	return own && pool
}

func TestLimitsAgreeWithTheModel(t *testing.T) {
	t.Parallel()
	senders := []string{"15550001111", "15550002222", "15550003333"}
	rapid.Check(t, func(t *rapid.T) {
		now := newClock()
		box := sandbox.New(sandbox.Config{Window: time.Hour, Now: now.Now})
		handler := box.Handler()
		m := &model{limits: map[string]int{}, over: map[string]int{}}
		setLimit := func(sender string, n int) {
			limit, pool := sandbox.Limit(n), account
			_, err := box.PutSender(sender, sandbox.SenderPatch{Limit: &limit, Pool: &pool})
			require.NoError(t, err)
			m.limits[sender] = n
		}
		for _, sender := range senders {
			setLimit(sender, rapid.IntRange(0, 4).Draw(t, "limit"))
		}
		t.Repeat(map[string]func(*rapid.T){
			"send": func(t *rapid.T) {
				sender := rapid.SampledFrom(senders).Draw(t, "sender")
				to := fmt.Sprintf("whatsapp:+4915100000%d", rapid.IntRange(0, 6).Draw(t, "customer"))
				counted := m.send(sender, to, now.Now())
				create(t, handler, form("From=whatsapp:+"+sender, "To="+to).Encode())
				ledger := box.Ledger()
				require.Equal(t, counted, ledger[len(ledger)-1].Counted)
			},
			"pass": func(t *rapid.T) {
				now.Add(time.Duration(rapid.IntRange(0, 45).Draw(t, "minutes")) * time.Minute)
			},
			"limit": func(t *rapid.T) {
				setLimit(rapid.SampledFrom(senders).Draw(t, "sender"), rapid.IntRange(0, 4).Draw(t, "limit"))
			},
			"": func(t *rapid.T) {
				l := box.Limits()
				for _, u := range append(l.Senders, l.Pools...) {
					require.Len(t, m.used(u.Sender, now.Now()), u.Used, u.Sender)
					require.Equal(t, m.over[u.Sender], u.OverLimit, u.Sender)
					require.Equal(t, u.OverLimit, u.Exceeded, "the replay agrees with the counters")
				}
			},
		})
	})
}

// create posts a form without a network and requires it to be accepted.
func create(t require.TestingT, handler http.Handler, body string) {
	req := httptest.NewRequest("POST", "/2010-04-01/Accounts/"+account+"/Messages.json", strings.NewReader(body))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(account, token)
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, req)
	require.Equal(t, 201, w.Code, w.Body.String())
}
