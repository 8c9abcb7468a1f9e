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

// modelTurn is a send that its sender got out, or will.
type modelTurn struct {
	sender string
	at     time.Time // of its acceptance
	takes  time.Duration
}

// model counts by looking at everything ever sent, each time.
type model struct {
	sends  []modelSend
	turns  []modelTurn
	limits map[string]int
	told   map[string]bool          // ids whose number is known
	takes  map[string]time.Duration // per message
	over   map[string]int
}

// backlog lets the sender work through everything, from the first message on.
func (m *model) backlog(sender string, now time.Time) time.Duration {
	var done time.Time
	for _, turn := range m.turns {
		if turn.sender != sender {
			continue
		}
		if done.Before(turn.at) {
			done = turn.at
		}
		done = done.Add(turn.takes)
	}
	if done.Before(now) {
		return 0
	}
	return done.Sub(now)
}

// wait takes a turn for a message. It is refused where 4 hours do not suffice,
// and takes no turn where it expires before.
func (m *model) wait(sender string, validity time.Duration, now time.Time) (refused, expired bool) {
	backlog, takes := m.backlog(sender, now), m.takes[sender]
	switch {
	case backlog+takes > 4*time.Hour:
		return true, false
	case backlog > validity:
		return false, true
	}
	m.turns = append(m.turns, modelTurn{sender, now, takes})
	return false, false
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

func (m *model) count(sender, customer string, now time.Time) (counted bool) {
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

// trial is a sandbox beside its model.
type trial struct {
	*model
	now     *clock
	box     *sandbox.Sandbox
	handler http.Handler
}

func (tr *trial) setLimit(t *rapid.T, sender string) {
	n := rapid.IntRange(0, 4).Draw(t, "limit")
	limit, pool := sandbox.Limit(n), account
	_, err := tr.box.PutSender(sender, sandbox.SenderPatch{Limit: &limit, Pool: &pool})
	require.NoError(t, err)
	tr.limits[sender] = n
}

// setRate draws seconds per message: powers of two, which leave nothing to
// round.
func (tr *trial) setRate(t *rapid.T, sender string) {
	rate, seconds := sandbox.Unpaced, rapid.SampledFrom([]int{0, 1, 1024, 4096, 8192}).Draw(t, "seconds")
	if seconds > 0 {
		rate = 1 / sandbox.Rate(seconds)
	}
	_, err := tr.box.PutSender(sender, sandbox.SenderPatch{MPS: &rate})
	require.NoError(t, err)
	tr.takes[sender] = time.Duration(seconds) * time.Second
}

func (tr *trial) send(t *rapid.T, sender string) {
	to := rapid.SampledFrom(addresses).Draw(t, "customer")
	validity := rapid.SampledFrom([]int{1, 600, 4096, 36000}).Draw(t, "validity")
	now, before := tr.now.Now(), len(tr.box.Ledger())
	got := post(tr.handler,
		form("From=whatsapp:+"+sender, "To="+to, fmt.Sprint("ValidityPeriod=", validity)).Encode())
	refused, expired := tr.wait(sender, time.Duration(validity)*time.Second, now)
	if refused {
		require.Contains(t, got.Body.String(), "21611")
		require.Len(t, tr.box.Ledger(), before)
		return
	}
	require.Equal(t, 201, got.Code, got.Body)
	counted := !expired && tr.count(sender, tr.who(to), now)
	require.Equal(t, counted, tr.box.Ledger()[before].Counted)
}

// addresses are of five customers, three of whom have two.
var addresses = []string{
	"whatsapp:+49151000001", "whatsapp:+49151000002",
	"whatsapp:+5491123456789", "whatsapp:+541123456789",
	"whatsapp:+5215512345678", "whatsapp:+525512345678",
	number, userID,
}

const (
	number = "whatsapp:+49151000003"
	userID = "whatsapp:DE.abc"
)

// who is the customer that an address is known to be of.
func (m *model) who(address string) string {
	switch {
	case address == "whatsapp:+541123456789":
		return "whatsapp:+5491123456789"
	case address == "whatsapp:+525512345678":
		return "whatsapp:+5215512345678"
	case address == userID && m.told[userID]:
		return number
	}
	return address
}

// tell shows the id and the number of one customer side by side.
func (tr *trial) tell(t *rapid.T, sender string) {
	_, err := tr.box.Receive(sandbox.Inbound{From: number, To: "whatsapp:+" + sender, Body: "Hello", ExternalUserID: userID})
	require.NoError(t, err)
	tr.now.Add(time.Second) // and the service window is shut again
	tr.told[userID] = true
	for i, s := range tr.sends {
		tr.sends[i].customer = tr.who(s.customer)
	}
}

func (tr *trial) agree(t *rapid.T) {
	l, now := tr.box.Limits(), tr.now.Now()
	for _, u := range l.Senders {
		require.Equal(t, tr.backlog(u.Sender, now).Seconds(), u.Backlog, u.Sender)
	}
	for _, u := range append(l.Senders, l.Pools...) {
		require.Len(t, tr.used(u.Sender, now), u.Used, u.Sender)
		require.Equal(t, tr.over[u.Sender], u.OverLimit, u.Sender)
		require.Equal(t, u.OverLimit, u.Exceeded, "the replay agrees with the counters")
	}
}

func TestLimitsAgreeWithTheModel(t *testing.T) {
	t.Parallel()
	senders := []string{"15550001111", "15550002222", "15550003333"}
	rapid.Check(t, func(t *rapid.T) {
		now := newClock()
		box := sandbox.New(sandbox.Config{Window: time.Hour, ServiceWindow: time.Nanosecond, Now: now.Now})
		tr := &trial{now: now, box: box, handler: box.Handler(), model: &model{
			limits: map[string]int{}, told: map[string]bool{}, takes: map[string]time.Duration{}, over: map[string]int{},
		}}
		for _, sender := range senders {
			tr.setLimit(t, sender)
			tr.setRate(t, sender)
		}
		one := func(do func(*rapid.T, string)) func(*rapid.T) {
			return func(t *rapid.T) { do(t, rapid.SampledFrom(senders).Draw(t, "sender")) }
		}
		t.Repeat(map[string]func(*rapid.T){
			"send": one(tr.send), "limit": one(tr.setLimit), "rate": one(tr.setRate), "tell": one(tr.tell), "": tr.agree,
			"pass": func(t *rapid.T) {
				now.Add(time.Duration(rapid.IntRange(0, 45).Draw(t, "minutes")) * time.Minute)
			},
		})
	})
}

// create posts a form without a network and requires it to be accepted.
func create(t require.TestingT, handler http.Handler, body string) {
	w := post(handler, body)
	require.Equal(t, 201, w.Code, w.Body.String())
}

func post(handler http.Handler, body string) *httptest.ResponseRecorder {
	req := httptest.NewRequest("POST", "/2010-04-01/Accounts/"+account+"/Messages.json", strings.NewReader(body))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(account, token)
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, req)
	return w
}
