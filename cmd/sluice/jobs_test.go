package main_test

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// house is `sluice up` with the sandbox inside, as users first meet it.
type house struct {
	*process
	addresses
	api      *site
	provider provider
	nats     bare
}

func startHouse(t testing.TB, settings env) house {
	t.Helper()
	up := start(t, settings, "up")
	told := up.ready()
	require.Equal(t, "up", told.Role)
	return house{
		process: up, addresses: told, api: newSite(t, told.API),
		provider: provider{newSite(t, told.Sandbox)}, nats: connect(t, told.NATS),
	}
}

func TestBareProducer(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t))
	events := h.nats.events()

	// The least a producer can do: a payload, and nothing else.
	job := fields{"from": whatsapp(alpha), "to": customer(1), "content_sid": template, "metadata": fields{"order": "17"}}
	h.nats.publish(subject("normal", alpha), job.json(), "")
	delivered := events.await("delivered", 1)[0]
	require.Equal(t, "sluice.events."+alpha+".delivered", delivered.subject)
	require.Equal(t, []string{"accepted", "sending", "queued", "sent", "delivered"},
		h.api.await(delivered.Job, "delivered", "read").types()[:5])
	for _, kind := range []string{"accepted", "queued", "sent", "delivered"} {
		require.Equal(t, map[string]string{"order": "17"}, events.of(kind)[0].Metadata, kind)
	}
	for _, e := range h.api.job(delivered.Job).Timeline {
		require.Equal(t, map[string]string{"order": "17"}, e.Metadata, e.Type)
	}

	// The id is the message's where the payload has none.
	h.nats.publish(subject("high", alpha), job.with("to", customer(2)).json(), "order-18")
	require.Equal(t, 1, h.api.await("order-18", "delivered", "read").Attempt)

	h.provider.requireOnce([]string{delivered.Job, "order-18"})
}

func TestWrongSubjectsHaveNoResponders(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t))
	for _, wrong := range []string{
		"sluice.jobs.urgent." + alpha, "sluice.jobs.normal", "sluice.jobs.normal." + alpha + ".more", "sluice.job.normal." + alpha,
	} {
		_, err := h.nats.js.Conn().Request(wrong, notice("lost", alpha, 1).json(), time.Second)
		require.ErrorIs(t, err, nats.ErrNoResponders, wrong)
	}
}

// TestBadMessagesAreRefused puts what is no job before one that is.
func TestBadMessagesAreRefused(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t))
	events := h.nats.events()
	good := notice("good", alpha, 1)
	bad := []struct {
		name, subject string
		data          []byte
		names         string // what the reason has to name
	}{
		{"not JSON", subject("normal", alpha), []byte(`{"to":`), "JSON"},
		{"empty", subject("normal", alpha), nil, "JSON"},
		{"an array", subject("normal", alpha), []byte(`[]`), "JSON"},
		{"invalid field", subject("normal", alpha), good.with("id", "bad-1", "to", "+0").json(), "to"},
		{"wrong type", subject("normal", alpha), good.with("id", "bad-2", "to", 7).json(), "to"},
		{"unknown field", subject("normal", alpha), good.with("id", "bad-3", "colour", "red").json(), "colour"},
		{"other sender", subject("normal", beta), good.with("id", "bad-4").json(), "from"},
		{"other priority", subject("high", alpha), good.with("id", "bad-5", "priority", "low").json(), "priority"},
		{"no sender's subject", subject("normal", "nobody"), good.with("id", "bad-6").json(), "nobody"},
		{"bytes", subject("low", alpha), bytes.Repeat([]byte{0xff}, 100), "JSON"},
	}
	for _, message := range bad {
		h.nats.publish(message.subject, message.data, "")
	}
	h.nats.publish(subject("normal", alpha), good.json(), "good")
	h.api.await("good", "delivered", "read")

	rejected := events.await("rejected", len(bad))
	require.Len(t, rejected, len(bad))
	for _, message := range bad {
		require.True(t, hasReason(rejected, message.names), "%s: %+v", message.name, rejected)
	}
	require.Equal(t, "rejected", h.api.job("bad-1").Status)
	h.provider.requireOnce([]string{"good"})
}

func hasReason(rejected []event, word string) bool {
	for _, e := range rejected {
		if bytes.Contains([]byte(e.Reason), []byte(word)) {
			return true
		}
	}
	return false
}

// TestSameJobManyTimes is one message, whichever way it comes and however late.
func TestSameJobManyTimes(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t))
	job := notice("order-17", alpha, 1)
	for range 5 {
		h.nats.publish(subject("normal", alpha), job.json(), "order-17")
		a := h.api.post(job)
		require.Equal(t, http.StatusAccepted, a.status, "%s", a.body)
	}
	before := h.api.await("order-17", "delivered", "read")

	// Once the queue has forgotten the id, the gate has not.
	eventually(t, func() bool { return !h.nats.publish(subject("normal", alpha), job.json(), "order-17").Duplicate },
		func() string { return "the queue still knows the id" })
	a := h.api.post(job)
	require.Equal(t, http.StatusAccepted, a.status)
	require.Regexp(t, `"status":"(delivered|read)"`, string(a.body))
	h.nats.publish(subject("normal", alpha), job.json(), "")

	// Whatever is handled after them was handled after the repetitions.
	settled(h, "afterwards")
	h.provider.requireOnce([]string{"order-17", "afterwards"})
	requireUntouched(t, before, h.api.job("order-17"))
}

// settled returns when the queue holds nothing that was published before.
func settled(h house, id string) {
	h.t.Helper()
	h.nats.publish(subject("normal", alpha), notice(id, alpha, 9_999).json(), id)
	h.api.await(id, "delivered", "read")
	var backlog struct{ Ready, Inflight int }
	eventually(h.t, func() bool {
		h.api.must(http.MethodGet, "/v1/backlog", nil, &backlog)
		return backlog.Ready+backlog.Inflight == 0
	}, func() string { return fmt.Sprintf("%+v", backlog) })
}

// requireUntouched allows what the provider may still tell of a delivered job.
func requireUntouched(t *testing.T, before, now record) {
	t.Helper()
	require.GreaterOrEqual(t, len(now.Timeline), len(before.Timeline))
	require.Equal(t, before.Timeline, now.Timeline[:len(before.Timeline)])
	for _, later := range now.Timeline[len(before.Timeline):] {
		require.Equal(t, "read", later.Type)
	}
	require.Contains(t, []string{"delivered", "read"}, now.Status)
	require.Equal(t, before.SID, now.SID)
	require.Equal(t, 1, now.Attempt)
}

// TestConflict gives an id away twice. The first job keeps it.
func TestConflict(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t))
	events := h.nats.events()
	job := notice("order-17", alpha, 1)
	require.Equal(t, http.StatusAccepted, h.api.post(job).status)
	before := h.api.await("order-17", "delivered", "read")

	for what, other := range map[string]fields{
		"other content": job.with("content_variables", fields{"1": "Ana"}), "other customer": job.with("to", customer(2)),
		"other sender": job.with("from", whatsapp(beta)),
	} {
		a := h.api.post(other)
		require.Equal(t, http.StatusConflict, a.status, what)
		code, field := a.problem(t)
		require.Equal(t, "conflict", code)
		require.Equal(t, "id", field)
	}
	h.nats.publish(subject("normal", alpha), job.with("to", customer(3)).json(), "")
	h.nats.publish(subject("normal", beta), job.with("from", whatsapp(beta)).json(), "")
	for _, e := range events.await("rejected", 2) {
		require.Equal(t, "conflict", e.Reason)
		require.Equal(t, "order-17", e.Job)
	}

	settled(h, "afterwards")
	requireUntouched(t, before, h.api.job("order-17"))
	h.provider.requireOnce([]string{"order-17", "afterwards"})
}
