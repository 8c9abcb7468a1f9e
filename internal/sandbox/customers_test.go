package sandbox_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/sandbox"
)

// writes lets the customer write to a sender.
func (r *rig) writes(to, body string) {
	r.t.Helper()
	_, err := r.box.Receive(sandbox.Inbound{From: "whatsapp:+4915112345678", To: to, Body: body})
	require.NoError(r.t, err)
}

func TestOptOut(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Config{})
	r.writes(from, " Stop\n")
	requireProblem(t, r.send(), http.StatusBadRequest, 21610)
	requireProblem(t, r.send("ContentSid=", "Body=free form"), http.StatusBadRequest, 21610)
	require.Empty(t, r.box.Ledger())
	require.Empty(t, r.box.Limits().Senders)
	r.sent(customer(1))
	r.sent("From=whatsapp:+15550002222")
	r.sent("From=", "MessagingServiceSid="+service)

	r.writes(from, "please START again")
	requireProblem(t, r.send(), http.StatusBadRequest, 21610)
	r.writes(from, "start")
	r.sent()
	r.writes(from, "cancel")
	requireProblem(t, r.send(), http.StatusBadRequest, 21610)
	r.ok("POST", "/sandbox/reset", "")
	r.sent()
}

func TestOptOutOfAMessagingService(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Config{})
	r.writes(service, "STOP")
	requireProblem(t, r.send("From=", "MessagingServiceSid="+service), http.StatusBadRequest, 21610)
	r.sent()
}

func TestOptOutKeywords(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Config{})
	for _, word := range strings.Fields("STOP unsubscribe End QUIT StopAll REVOKE OPTOUT CANCEL") {
		r.writes(from, word)
		requireProblem(t, r.send(), http.StatusBadRequest, 21610)
		r.writes(from, "UNSTOP")
		r.sent()
	}
	for _, text := range []string{"please stop", "STOP!", "STOP ALL", "the end", "HELP"} {
		r.writes(from, text)
		r.sent()
	}
}

func TestCustomersReply(t *testing.T) {
	t.Parallel()
	e := listen(t, nil)
	address := e.url + "/twilio/inbound"
	r := start(t, sandbox.Config{InboundURL: address})
	require.Equal(t, map[string]any{"read": 0.3, "reply": 0.0, "stop": 0.0}, r.ok("GET", "/sandbox/customers", "").body)
	r.ok("PUT", "/sandbox/customers", `{"read":0}`)
	require.Equal(t, map[string]any{"read": 0.0, "reply": 1.0, "stop": 0.0},
		r.ok("PUT", "/sandbox/customers", `{"reply":1}`).body, "what is not put stays")

	sid := r.sent()
	h := e.next(t)
	require.Equal(t, "delivered", r.entry(sid, "delivered").Status)
	require.Equal(t, sandbox.Sign(token, address, h.form), h.header.Get("X-Twilio-Signature"))
	for field, value := range map[string]string{
		"SmsStatus": "received", "AccountSid": account, "From": to, "To": from, "NumMedia": "0",
	} {
		require.Equal(t, value, h.form.Get(field), field)
	}
	require.NotEmpty(t, h.form.Get("Body"))
	require.NotEqual(t, sid, h.form.Get("MessageSid"))
	r.sent("ContentSid=", "Body=free form")
	require.True(t, r.box.Ledger()[1].InWindow)
}

func TestCustomersStop(t *testing.T) {
	t.Parallel()
	e := listen(t, nil)
	r := start(t, sandbox.Config{InboundURL: e.url, ReadShare: 1, ReplyShare: 1, StopShare: 1, Workers: oneByOne})
	r.sent("From=", "MessagingServiceSid="+service, "StatusCallback="+e.url)
	require.Equal(t, []string{"sent", "delivered", "read"}, e.statuses(t, 3))
	require.NotEqual(t, "STOP", e.next(t).form.Get("Body"), "the reply comes first")
	h := e.next(t)
	require.Equal(t, "STOP", h.form.Get("Body"))
	require.Equal(t, service, h.form.Get("MessagingServiceSid"))
	requireProblem(t, r.send("From=", "MessagingServiceSid="+service), http.StatusBadRequest, 21610)
}

func TestCustomersWithoutAnInboundURL(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Config{Now: newClock().Now, CallbackDelay: time.Hour, ReplyShare: 1})
	require.NoError(t, r.box.SetCustomers(sandbox.Customers{Stop: 1}))
	r.sent("ContentSid=", "Body=x")
	require.Len(t, sandbox.Look(r.box).Open, 1, "nobody answers what does not arrive")
	r.sent()
	require.Len(t, sandbox.Look(r.box).Open, 1+2+1)
	for more := true; more; {
		_, more = sandbox.Fire(r.box)
	}
	requireProblem(t, r.send(), http.StatusBadRequest, 21610)
}

// behaviour sends to 64 customers, lets everything happen, and returns who
// wrote and who stopped.
func behaviour(t *testing.T, cfg sandbox.Config) sandbox.View {
	t.Helper()
	cfg.Now = newClock().Now
	box := sandbox.New(cfg)
	for n := range 64 {
		create(t, box.Handler(), form(customer(n)).Encode())
	}
	for more := true; more; {
		_, more = sandbox.Fire(box)
	}
	return sandbox.Look(box)
}

func TestCustomersFollowTheSeed(t *testing.T) {
	t.Parallel()
	half := sandbox.Config{Seed: 1, ReplyShare: 0.5}
	first := behaviour(t, half)
	require.Greater(t, len(first.Service), 16)
	require.Less(t, len(first.Service), 48)
	require.Equal(t, first.Service, behaviour(t, half).Service)
	require.NotEqual(t, first.Service, behaviour(t, sandbox.Config{Seed: 2, ReplyShare: 0.5}).Service)

	half.StopShare = 0.25
	both := behaviour(t, half)
	require.NotEmpty(t, both.Stopped)
	require.Subset(t, both.Service, first.Service, "who stops has no bearing on who replies")
	half.ReplyShare, half.StopShare = 7, -1
	require.Len(t, behaviour(t, half).Service, 64)
}

func TestCustomersWriteAfterTheRestart(t *testing.T) {
	t.Parallel()
	cfg := sandbox.Config{File: journal(t), Now: newClock().Now, ReplyShare: 1, StopShare: 1}
	create(t, open(t, cfg).Handler(), form().Encode())

	cfg.ReplyShare, cfg.StopShare = 0, 0
	cfg.File = killed(t, cfg.File)
	box := open(t, cfg)
	require.Empty(t, sandbox.Look(box).Service)
	for more := true; more; {
		_, more = sandbox.Fire(box)
	}
	require.Len(t, sandbox.Look(box).Service, 1)
	require.Len(t, sandbox.Look(box).Stopped, 1)
	require.Equal(t, 2, strings.Count(read(t, cfg.File), `"received"`))

	cfg.File = killed(t, cfg.File)
	again := open(t, cfg)
	require.Empty(t, sandbox.Look(again).Open, "they do not write twice")
	require.Equal(t, sandbox.Look(box), sandbox.Look(again))
}
