package main_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	operatorKey = "operator-key-of-the-test"
	readerKey   = "reader-key-of-the-test"
)

// staged is a house with something on every page: two pools, one of them with
// a full window and jobs that wait, and messages that failed. Pictures for the
// documentation take their time, so that there is something to see over it.
func staged(t *testing.T) house {
	lookChromium(t)
	settings, pace := quick(t).with("SLUICE_WINDOW", "10m", "SLUICE_SERVICE_WINDOW", "10m",
		"SLUICE_API_KEYS", operatorKey+",read:"+readerKey), time.Duration(0)
	if os.Getenv("SLUICE_SCREENSHOTS") != "" {
		settings, pace = settings.with("SLUICE_WINDOW", "2m"), time.Second
	}
	up := start(t, settings, "up")
	told := up.ready()
	h := house{
		process: up, addresses: told, api: newSite(t, told.API),
		provider: provider{newSite(t, told.Sandbox)}, nats: connect(t, told.NATS),
	}
	h.api.key = operatorKey
	h.provider.must(http.MethodPut, "/sandbox/customers", fields{"read": 0.4}, nil)
	h.api.must(http.MethodPut, "/v1/senders/"+alpha, fields{"limit": 20, "pool": "shop"}, nil)
	h.api.must(http.MethodPut, "/v1/senders/"+beta, fields{"limit": 250, "mps": 40, "pool": "receipts"}, nil)
	for n := 1; n <= 20; n++ {
		h.api.post(notice(fmt.Sprintf("order-%d", n), alpha, n).with("content_variables", fields{"1": fmt.Sprintf("order %d", n)}))
		for i := 3*n - 2; i <= 3*n; i++ {
			h.api.post(notice(fmt.Sprintf("receipt-%d", i), beta, 100+i).with("metadata", fields{"campaign": "receipts"}, "content_variables", fields{"1": fmt.Sprintf("receipt %d", i)}))
		}
		h.idle(pace * time.Duration(1+n%3))
	}
	h.api.await("order-20", "delivered", "read")
	for n := 21; n <= 27; n++ {
		priority := []string{"normal", "low", "high"}[n%3]
		h.api.post(notice(fmt.Sprintf("order-%d", n), alpha, n).with("body", "Your parcel is here", "priority", priority))
	}
	for n := 1; n <= 3; n++ {
		h.api.post(fields{"id": fmt.Sprintf("chat-%d", n), "from": whatsapp(beta), "to": customer(200 + n), "body": "Hi there"})
		h.api.await(fmt.Sprintf("chat-%d", n), "failed")
	}
	h.api.await("order-27", "parked")
	h.api.await("receipt-60", "delivered", "read")
	if pace > 0 {
		h.remember()
	}
	return h
}

// remember puts a day of a third sender into the log, as it would stand there.
func (h house) remember() {
	const gamma, day = "15550100003", 24 * time.Hour
	now, n := time.Now(), 0
	for ago := day; ago > 0; ago -= 3 * time.Minute {
		busy := 3 + 2*math.Sin(2*math.Pi*float64(day-ago)/float64(day))
		for range int(busy * (0.6 + 0.8*rand.Float64())) {
			n++
			e := fields{
				"id": fmt.Sprintf("past-%d", n), "job": fmt.Sprintf("news-%d", n), "attempt": 1, "type": "delivered",
				"at": now.Add(-ago), "from": whatsapp(gamma), "to": customer(1000 + n),
			}
			switch {
			case n%3 == 0:
				e["type"] = "read"
			case n%41 == 0:
				e["type"], e["error"] = "undelivered", fields{"code": 63049, "message": "not delivered"}
			case n%53 == 0:
				e["type"], e["error"] = "failed", fields{"code": 63024, "message": "not a WhatsApp user"}
			}
			e["status"] = e["type"]
			h.nats.publish(fmt.Sprintf("sluice.events.%s.%s", gamma, e["type"]), e.json(), "")
		}
	}
	h.api.await(fmt.Sprintf("news-%d", n), "delivered", "read", "failed", "undelivered")
}

// idle lets time pass where a picture is to show that it did.
func (h house) idle(d time.Duration) {
	if d > 0 {
		<-time.After(d)
	}
}

// signIn opens a page, signs in on the way and arrives there.
func (b *browser) signIn(path, key, name string) {
	b.t.Helper()
	b.open(path)
	b.awaitText("h1", "Sign in")
	b.fill("[name=key]", key)
	b.fill("[name=name]", name)
	b.submit("form.signin button")
}

// TestPagesInABrowser goes through every page as a person does, against one
// real process.
func TestPagesInABrowser(t *testing.T) {
	t.Parallel()
	h := staged(t)
	b := startBrowser(t, h.API)

	b.open("/jobs?status=parked")
	b.awaitText("h1", "Sign in")
	b.fill("[name=key]", "not a key")
	b.submit("form.signin button")
	b.awaitText("[role=alert]", "none of the keys")
	b.mu.Lock()
	b.errors = nil // the browser reports the 401 itself
	b.mu.Unlock()
	b.fill("[name=key]", operatorKey)
	b.fill("[name=name]", "Ada")
	b.submit("form.signin button")
	b.awaitText("h1", "Jobs")
	b.awaitText("#found", "order-27") // where the person was going

	t.Run("overview", func(t *testing.T) {
		b.under(t)
		b.open("/?span=15m")
		b.awaitText("#now", "Waiting")
		b.await(`document.querySelectorAll("#throughput svg .delivered, #throughput svg .read").length > 0`)
		b.awaitText("#funnel", "Delivered")
		b.awaitText("#pools", "shop")
		b.awaitText("#errors", "63016")
		b.awaitText("#pulse", "live")
		b.shootAt("/?span=24h", "overview")

		b.await(`document.querySelector("#now .figure").innerText === "7"`)
		h.api.post(notice("order-28", alpha, 28))
		b.await(`document.querySelector("#now .figure").innerText === "8"`) // by itself
	})
	t.Run("senders", func(t *testing.T) {
		b.under(t)
		b.open("/senders")
		b.awaitText("#pshop .use", "20 of 20 used")
		b.await(`document.querySelectorAll("#pshop .strip svg .back").length > 0`)
		b.awaitText("#pshop .facts", "high 2")
		b.shoot("senders")

		b.await(`document.querySelector("#d` + alpha + `").open = true`)
		b.fill("#d"+alpha+" [name=reason]", "complaints")
		b.submit("#d" + alpha + " form[action$=pause] button")
		b.awaitText(".notice", "Paused")
		b.awaitText("#s"+alpha, "complaints")
		require.Equal(t, "paused", h.sender(alpha).State)
		b.submit("#s" + alpha + " form[action$=resume] button")
		b.awaitText("#s"+alpha, "active")
		require.Equal(t, "active", h.sender(alpha).State)

		b.await(`document.querySelector("#d` + beta + `").open = true`)
		b.fill("#d"+beta+" [name=limit]", "2000")
		b.submit("#d" + beta + " form[action$=limit] button")
		b.awaitText("#s"+beta, "2,000")
	})
	t.Run("pause everything", func(t *testing.T) {
		b.under(t)
		b.await(`document.querySelector("#pause-all").open = true`)
		b.fill("#pause-all [name=reason]", "an incident")
		b.submit("#pause-all button")
		b.awaitText(".banner", "an incident")
		b.open("/jobs")
		b.submit(".banner button")
		b.await(`!document.querySelector(".banner")`)
	})
	t.Run("jobs", func(t *testing.T) {
		b.under(t)
		for _, find := range []string{"order-1", strings.TrimPrefix(customer(1), "whatsapp:"), h.api.job("order-1").SID} {
			b.open("/jobs?find=" + url.QueryEscape(find))
			b.awaitText("#found", "order-1")
			b.await(`document.querySelectorAll("#found tbody tr").length === 1`)
		}
		b.open("/jobs")
		b.await(`document.querySelectorAll("#found tbody tr").length === 50`)
		b.submit(".more a")
		b.awaitText("#found", "order-1")
		b.open("/jobs?status=failed&from=" + beta)
		b.await(`document.querySelectorAll("#found tbody tr").length === 3`)
	})
	t.Run("one job", func(t *testing.T) {
		b.under(t)
		b.open("/jobs/order-1")
		b.awaitText(".timeline", "delivered")
		b.open("/jobs/chat-1")
		b.awaitText(".why-box", "63016")
		b.open("/jobs/order-21")
		b.awaitText(".why-box", "Pool shop: 20 of 20 used")
		b.awaitText(".why-box", "the last that waits is out")
		b.submit("form[action$=cancel] button")
		b.awaitText(".notice", "Canceled")
		canceled := h.api.await("order-21", "canceled")
		require.Regexp(t, `^canceled by hand: Ada, key [0-9a-f]{8}$`, canceled.Reason)
	})
	t.Run("in doubt", func(t *testing.T) {
		b.under(t)
		b.open("/trouble?code=63016")
		b.awaitText("#dead", "chat-3")
		b.awaitText("#dead .chosen", "63016")

		write := func(n int) { // opens the window that the job lacked
			h.provider.must(http.MethodPost, "/sandbox/inbound", fields{"from": customer(200 + n), "to": whatsapp(beta), "body": "Hi"}, nil)
			h.api.awaitWindow(beta, 200+n)
		}
		write(1)
		b.submit("#dead .chosen form[action='/jobs/redrive'] button")
		b.awaitText(".notice", "3 taken up again")
		require.Equal(t, 2, h.api.await("chat-1", "delivered", "read").Attempt)

		h.api.await("chat-2", "failed")
		write(2)
		b.open("/jobs/chat-2")
		b.submit("form[action$=redrive] button")
		b.awaitText(".notice", "new attempt")
		redriven := h.api.await("chat-2", "delivered", "read")
		require.Equal(t, 3, redriven.Attempt)
		b.awaitText("#job", "Attempt 3") // by itself, with what came before
		b.await(`/delivered|read/.test(document.querySelector("#job .status").innerText)`)
		b.shoot("job")
	})
	t.Run("live", func(t *testing.T) {
		b.under(t)
		b.open("/live")
		b.awaitText("#pulse", "live")
		h.api.post(notice("watched", beta, 300))
		b.awaitText("#feed", "watched")
		b.await(`[...document.querySelectorAll("#feed tr")].some(r => /delivered/.test(r.innerText) && /watched/.test(r.innerText))`)
		h.api.post(notice("waits", alpha, 301))
		b.awaitText("#feed", "the sender's limit is used up")
	})
	t.Run("phone", func(t *testing.T) {
		b.under(t)
		thePhone(t, h, b)
	})
	b.requireQuiet()
}

// thePhone lets a customer answer, which opens the service window and lets a
// parked job out, and then opt out, which ends the next one.
func thePhone(t *testing.T, h house, b *browser) {
	b.open("/phone/")
	b.awaitText("#chats", "+"+strings.TrimPrefix(customer(20), "whatsapp:+"))
	require.Equal(t, "parked", h.api.job("order-24").Status)

	// The customer of order-24 has no message yet: they write first.
	b.await(`document.querySelector("#first").open = true`)
	b.fill("#first [name=customer]", strings.TrimPrefix(customer(24), "whatsapp:"))
	b.fill("#first [name=sender]", "+"+alpha)
	b.fill("#first [name=body]", "Where is my parcel?")
	b.submit("#first button")
	b.awaitText("#bar", "window open")
	h.api.await("order-24", "delivered", "read")
	b.awaitText("#lines", "Your parcel is here") // free form, as the window is open
	b.await(`[...document.querySelectorAll("#lines .theirs")].some(l => l.innerText.includes("read"))`)
	h.api.await("order-24", "read")

	b.fill("#body", "Great, thanks")
	b.await(`document.querySelector("#say button").click() ?? true`)
	b.awaitText("#lines", "Great, thanks")
	b.shoot("phone")

	b.submit(".quick button[value=STOP]")
	b.awaitText("#bar", "opted out")
	eventually(t, func() bool {
		var told struct{ Consents []struct{ State string } }
		h.api.must(http.MethodGet, "/v1/consents/"+url.PathEscape(customer(24)), nil, &told)
		return len(told.Consents) > 0 && told.Consents[0].State == "out"
	}, func() string { return "STOP is not recorded" })
	h.api.post(notice("after-stop", alpha, 24))
	require.Equal(t, "opted_out", h.api.await("after-stop", "suppressed").Reason)

	b.submit(".quick button[value=START]")
	b.awaitText("#bar", "window open")
}

// senderState is what GET /v1/senders/{sender} tells.
type senderState struct{ State string }

func (h house) sender(token string) (s senderState) {
	h.t.Helper()
	h.api.must(http.MethodGet, "/v1/senders/"+token, nil, &s)
	return s
}

// TestAReaderSeesAndChangesNothing signs in with a key that may only read.
func TestAReaderSeesAndChangesNothing(t *testing.T) {
	t.Parallel()
	h := staged(t)
	b := startBrowser(t, h.API)
	b.signIn("/senders", readerKey, "")
	b.awaitText("h1", "Senders")
	b.await(`document.querySelectorAll("main form, main details.menu").length === 0`)
	b.open("/jobs/order-1")
	b.awaitText("#job", "+15…01")
	b.await(`!document.querySelector("main form")`)
	b.await(`!document.body.innerText.includes("` + strings.TrimPrefix(customer(1), "whatsapp:") + `")`)
	b.open("/live")
	b.awaitText("#pulse", "live")
	h.api.post(notice("watched", beta, 300))
	b.awaitText("#feed", "watched")
	b.await(`!document.body.innerText.includes("` + strings.TrimPrefix(customer(300), "whatsapp:") + `")`)
	b.requireQuiet()
	b.submit("form[action='/sign-out'] button")
	b.awaitText("h1", "Sign in")
	b.open("/jobs")
	b.awaitText("h1", "Sign in")
}
