package main_test

import (
	"encoding/json"
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
		field     string
		says      string
	}{
		{fields{"status": "rejected", "rejection_reason": "too loud"}, nil, "content_sid", "the template is rejected by Meta: too loud"},
		{fields{"status": "pending"}, nil, "content_sid", "the template is not approved yet"},
		{fields{"status": "disabled"}, nil, "content_sid", "the template is disabled"},
		{fields{"status": "approved", "variables": fields{"1": ""}}, nil, "content_variables", `variable "1" is filled neither`},
		{fields{"status": "approved", "variables": fields{"1": "Ana"}}, fields{"1": ""}, "content_variables", `variable "1" is empty`},
		{fields{"status": "approved", "variables": fields{"1": "Ana"}}, fields{"1": "a\nb"}, "content_variables", `variable "1" holds`},
	} {
		h.provider.template(c.template)
		id := "offer-" + string(rune('a'+i))
		var told struct {
			Error struct{ Code, Field, Message string }
		}
		eventually(t, func() bool { // until the change is noticed
			id += "x"
			job := offering(id, i)
			if c.variables != nil {
				job = job.with("content_variables", c.variables)
			}
			got := h.api.post(job)
			require.NoError(t, json.Unmarshal(got.body, &told))
			return got.status == http.StatusBadRequest && strings.HasPrefix(told.Error.Message, c.says)
		}, func() string { return id + " " + told.Error.Message })
		require.Equal(t, "invalid_field", told.Error.Code)
		require.Equal(t, c.field, told.Error.Field)
		require.Empty(t, h.api.job(id).Status, "nothing is left of it")
	}
	h.provider.template(fields{"status": "approved", "variables": fields{"1": "Ana"}})
	good := "good"
	eventually(t, func() bool {
		good += "-again"
		return h.api.post(offering(good, 50).with("content_variables", fields{"9": "not known"})).status == http.StatusAccepted
	}, func() string { return "a template that is in order goes" })
	h.api.await(good, "delivered", "read")
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
	require.Equal(t, http.StatusBadRequest, h.api.post(offering("offer-2", 2)).status, "the others' windows are shut")
}

// TestATemplateRejectedMeanwhileEndsItsJobs: what was accepted is never dropped
// in silence.
func TestATemplateRejectedMeanwhileEndsItsJobs(t *testing.T) {
	t.Parallel()
	h := fresh(t)
	pause := func(what string) { h.api.must(http.MethodPost, "/v1/senders/"+alpha+"/"+what, nil, nil) }
	h.provider.template(fields{"status": "approved"})
	pause("pause")
	require.Equal(t, http.StatusAccepted, h.api.post(offering("offer-1", 1)).status)
	h.api.await("offer-1", "parked")
	h.provider.template(fields{"status": "rejected", "rejection_reason": "too loud"})
	events, probe := h.nats.events(), "probe"
	eventually(t, func() bool { // until the dispatcher has noticed
		probe += "x"
		h.nats.publish(subject("normal", beta), notice(probe, beta, 2).with("content_sid", offer).json(), probe)
		return len(events.of("rejected")) > 0
	}, func() string { return "the change is noticed" })
	pause("resume")
	failed := h.api.await("offer-1", "failed")
	require.Equal(t, "template", failed.Reason)
	require.Equal(t, "content_sid: the template is rejected by Meta: too loud", failed.Error.Message)
	require.Empty(t, h.provider.ledger()["offer-1"])
}

// TestCategoryOfTheTemplateDecides what a job that names none is, and its lane.
func TestCategoryOfTheTemplateDecides(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t).with("SLUICE_SENDERS_SYNC", "1h"))
	h.provider.template(fields{"category": "MARKETING"})
	require.Zero(t, run(t, env{"SLUICE_API_URL": h.API}, "senders", "pause", alpha).code)
	for i, job := range []fields{
		offering("derived", 1), offering("named", 2).with("category", "authentication"), offering("ranked", 3).with("priority", "normal"),
	} {
		require.Equal(t, http.StatusAccepted, h.api.post(job).status, i)
	}
	// Over NATS the subject says how urgent it is, and the template what it is.
	h.nats.publish(subject("normal", alpha), offering("published", 4).json(), "published")
	h.nats.publish(subject("high", alpha), offering("told", 5).with("category", "authentication").json(), "told")
	for id, want := range map[string]string{
		"derived": "marketing", "named": "authentication", "ranked": "marketing", "published": "marketing", "told": "authentication",
	} {
		told := h.api.await(id, "parked")
		require.Equal(t, want, told.Category, id)
		require.Equal(t, []string{"accepted", "parked"}, told.types(), id)
		for _, e := range told.Timeline {
			require.Equal(t, want, e.Category, id)
		}
	}
	var told struct {
		Limits []struct {
			Parked struct{ High, Normal, Low int }
		}
	}
	h.api.must(http.MethodGet, "/v1/limits", nil, &told)
	require.Equal(t, 1, told.Limits[0].Parked.Low)
	require.Equal(t, 2, told.Limits[0].Parked.High)
	require.Equal(t, 2, told.Limits[0].Parked.Normal)
	var stats struct{ Categories map[string]int }
	h.api.must(http.MethodGet, "/v1/stats", nil, &stats)
	require.Equal(t, map[string]int{"authentication": 2, "utility": 0, "marketing": 3, "service": 0}, stats.Categories)
	require.Contains(t, run(t, env{"SLUICE_API_URL": h.API}, "jobs", "get", "published").stdout, "marketing")
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
