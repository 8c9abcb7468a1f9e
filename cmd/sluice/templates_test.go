package main_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const offer = "HX0000000000000000000000000000000a"

// fresh is a house that looks at templates again all the time.
func fresh(t *testing.T) house {
	return startHouse(t, quick(t).with("SLUICE_SENDERS_SYNC", "200ms", "SLUICE_WINDOW", "10m"))
}

func (p provider) template(f fields) {
	p.t.Helper()
	p.must(http.MethodPut, "/sandbox/templates/"+offer, f, nil)
}

func offering(id string, n int) fields { return notice(id, alpha, n).with("content_sid", offer) }

// TestTemplatesAreRefusedByName: what WhatsApp would refuse is refused before
// it costs a place, and the field is named.
func TestTemplatesAreRefusedByName(t *testing.T) {
	t.Parallel()
	h := fresh(t)
	for i, c := range []struct {
		template  fields
		variables fields
		names     string
	}{
		{fields{"status": "rejected", "rejection_reason": "too loud"}, nil, "content_sid: the template is rejected by Meta: too loud"},
		{fields{"status": "pending"}, nil, "content_sid: the template is not approved yet"},
		{fields{"status": "disabled"}, nil, "content_sid"},
		{fields{"status": "approved", "variables": fields{"1": ""}}, nil, `content_variables: variable "1" is filled neither`},
		{fields{"status": "approved", "variables": fields{"1": "Ana"}}, fields{"1": "a\nb"}, `content_variables: variable "1" holds`},
	} {
		h.provider.template(c.template)
		id := "offer-" + string(rune('a'+i))
		var last record
		eventually(t, func() bool { // until the change is noticed
			id += "x"
			job := offering(id, i)
			if c.variables != nil {
				job = job.with("content_variables", c.variables)
			}
			require.Equal(t, http.StatusAccepted, h.api.post(job).status)
			last = h.api.await(id, "failed", "delivered", "read", "undelivered")
			return last.Reason == "template" && strings.HasPrefix(last.Error.Message, c.names)
		}, func() string { return last.Status + " " + last.Reason + " " + last.Error.Message })
	}
	h.provider.template(fields{"status": "approved", "variables": fields{"1": "Ana"}})
	good := "good"
	eventually(t, func() bool {
		good += "-again"
		require.Equal(t, http.StatusAccepted, h.api.post(offering(good, 50).with("content_variables", fields{"9": "not known"})).status)
		return h.api.await(good, "delivered", "read", "failed").Status != "failed"
	}, func() string { return "a template that is in order goes" })
}

func TestARejectedTemplateOverNATSIsNoJob(t *testing.T) {
	t.Parallel()
	h := fresh(t)
	h.provider.template(fields{"status": "rejected"})
	events := h.nats.events()
	h.nats.publish(subject("normal", alpha), offering("offer-1", 1).json(), "offer-1")
	rejected := events.await("rejected", 1)[0]
	require.Equal(t, "offer-1", rejected.Job)
	require.Contains(t, rejected.Reason, "content_sid")
	require.Zero(t, h.provider.accepted())
}

func TestAPausedTemplateWaits(t *testing.T) {
	t.Parallel()
	h := fresh(t)
	h.provider.must(http.MethodPut, "/sandbox/senders/"+alpha, fields{"limit": 1}, nil)
	h.provider.template(fields{"status": "paused"})
	require.Equal(t, http.StatusAccepted, h.api.post(offering("offer-1", 1)).status)
	require.Equal(t, "template_paused", h.api.await("offer-1", "parked").Reason)
	require.Equal(t, http.StatusAccepted, h.api.post(offering("offer-2", 2)).status)
	h.api.await("offer-2", "parked")
	h.api.must(http.MethodPost, "/v1/jobs/offer-2/cancel", nil, nil)
	h.api.await("offer-2", "canceled")

	// It stands in nobody's way, and holds no place.
	require.Equal(t, http.StatusAccepted, h.api.post(notice("order-1", alpha, 1)).status)
	h.api.await("order-1", "delivered", "read")

	h.provider.template(fields{"status": "approved"})
	done := h.api.await("offer-1", "delivered", "read")
	require.Equal(t, 1, done.Attempt)
	h.provider.requireOnce([]string{"offer-1", "order-1"})
}

// TestInsideTheWindowContentGoesUnapproved.
func TestInsideTheWindowContentGoesUnapproved(t *testing.T) {
	t.Parallel()
	h := fresh(t)
	h.provider.template(fields{"status": "unsubmitted"})
	h.provider.must(http.MethodPost, "/sandbox/inbound", fields{"from": customer(1), "to": whatsapp(alpha), "body": "Hello"}, nil)
	awaitWindow(h, "delivered", "read")
	require.Equal(t, http.StatusAccepted, h.api.post(offering("offer-1", 1)).status)
	h.api.await("offer-1", "delivered", "read")
	require.Equal(t, http.StatusAccepted, h.api.post(offering("offer-2", 2)).status)
	require.Equal(t, "template", h.api.await("offer-2", "failed").Reason)
}

// TestCategoryOfTheTemplateDecides the lane of a job that names none.
func TestCategoryOfTheTemplateDecides(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t).with("SLUICE_SENDERS_SYNC", "1h"))
	h.provider.template(fields{"category": "MARKETING"})
	require.Zero(t, run(t, env{"SLUICE_API_URL": h.API}, "senders", "pause", alpha).code)
	for i, job := range []fields{
		offering("derived", 1), offering("named", 2).with("category", "authentication"), offering("ranked", 3).with("priority", "normal"),
	} {
		require.Equal(t, http.StatusAccepted, h.api.post(job).status, i)
		h.api.await(job["id"].(string), "parked")
	}
	var told struct {
		Limits []struct {
			Parked struct{ High, Normal, Low int }
		}
	}
	h.api.must(http.MethodGet, "/v1/limits", nil, &told)
	require.Equal(t, 1, told.Limits[0].Parked.Low)
	require.Equal(t, 1, told.Limits[0].Parked.High)
	require.Equal(t, 1, told.Limits[0].Parked.Normal)
	require.Equal(t, http.StatusAccepted, h.api.post(offering("derived", 1)).status, "the same request is the same job")
}

// TestWithoutContentAPINothingIsRefused: what can't be read is held against
// nobody.
func TestWithoutContentAPINothingIsRefused(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t))
	h.provider.template(fields{"status": "rejected"})
	blind := start(t, quick(t).with("SLUICE_MESSAGES_URL", h.Sandbox, "SLUICE_CONTENT_URL", "http://"+fixedAddr(t)), "up")
	api := newSite(t, blind.ready().API)
	require.Equal(t, http.StatusAccepted, api.post(offering("offer-1", 1)).status)
	require.Equal(t, 63040, api.await("offer-1", "failed", "undelivered").Error.Code, "the provider's own word")
	require.Equal(t, http.StatusAccepted, api.post(notice("order-1", alpha, 2)).status)
	api.await("order-1", "queued", "sent", "delivered", "read")
}
