package main_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// jobRow is one rule of a job: bodies that keep it, and bodies that break it,
// by the field that the refusal has to name.
type jobRow struct {
	rule string
	good []fields
	bad  map[string][]fields
}

// jobRows are the rules of a job, over a job that is good but for its id.
func jobRows() []jobRow {
	base := notice("", alpha, 1)
	freeForm := func(pairs ...any) fields {
		f := base.with(pairs...)
		delete(f, "content_sid")
		return f
	}
	without := func(name string) fields {
		f := base.with()
		delete(f, name)
		return f
	}
	each := func(name string, values ...any) []fields {
		var all []fields
		for _, v := range values {
			all = append(all, base.with(name, v))
		}
		return all
	}
	const service = "MG00000000000000000000000000000001"
	links := func(n int) []string {
		return strings.Fields(strings.Repeat("https://example.com/a.png ", n))
	}
	soon := time.Now().Add(time.Hour).UTC()
	return []jobRow{
		{
			rule: "id", good: each("id", "7", "order-17.a_b:c", strings.Repeat("a", 128)),
			bad: map[string][]fields{"id": each("id", "-a", "a-", "a..b", "a b", "ä", "a/b", strings.Repeat("a", 129), 7)},
		},
		{
			rule: "sender",
			good: []fields{base.with("from", whatsapp(beta)), without("from").with("messaging_service_sid", service)},
			bad: map[string][]fields{
				"from": append(each("from", alpha, "+"+alpha, "whatsapp:"+alpha, "whatsapp:+0555010000", "whatsapp:+123456",
					"whatsapp:+1234567890123456", 15550100001), without("from")),
				"messaging_service_sid": {base.with("messaging_service_sid", service), without("from").with("messaging_service_sid", "MG1")},
			},
		},
		{
			rule: "to",
			good: each("to", "whatsapp:+1234567", "whatsapp:+123456789012345", "whatsapp:US.13491208655302741918"),
			bad: map[string][]fields{"to": append(each("to", "+15552000001", "whatsapp:+0234567", "whatsapp:+123456", "whatsapp:+1234567890123456",
				"whatsapp:us.1349", "whatsapp:US.", "whatsapp:US."+strings.Repeat("a", 140), whatsapp(alpha), nil), without("to"))},
		},
		{
			rule: "template",
			good: append(each("content_variables", fields{"1": "Ana"}, `{"1":"Ana"}`, fields{}), base),
			bad: map[string][]fields{
				"content_sid": each("content_sid", "HX1", "SM00000000000000000000000000000001"),
				"content_variables": append(each("content_variables", fields{"1": 7}, fields{"1": nil}, []string{"Ana"}, "Ana"),
					freeForm("body", "Hi", "content_variables", fields{"1": "Ana"})),
			},
		},
		{
			rule: "free form",
			good: []fields{
				freeForm("body", strings.Repeat("ä", 1600)), freeForm("media_url", links(1)), freeForm("body", "Hi", "media_url", links(10)),
			},
			bad: map[string][]fields{
				"body": {freeForm(), freeForm("body", ""), freeForm("body", strings.Repeat("ä", 1601)), freeForm("body", []string{"Hi"})},
				"media_url": {
					freeForm("media_url", links(11)), freeForm("media_url", "https://example.com/a.png"),
					freeForm("media_url", []string{"ftp://example.com/a.png"}), freeForm("media_url", []string{"a.png"}),
				},
			},
		},
		{rule: "both forms", good: []fields{base.with("body", "Hi"), base.with("media_url", links(1))}},
		{
			rule: "category", good: each("category", "authentication", "utility", "marketing", "service"),
			bad: map[string][]fields{"category": each("category", "promotion", "Utility", 1)},
		},
		{
			rule: "priority", good: each("priority", "high", "normal", "low"),
			bad: map[string][]fields{"priority": each("priority", "urgent", 1)},
		},
		{
			rule: "times",
			good: []fields{
				base.with("send_at", soon.Format(time.RFC3339)), base.with("expires_at", "2099-01-31T09:00:00.5+05:30"),
				base.with("send_at", soon, "expires_at", soon.Add(time.Second)),
			},
			bad: map[string][]fields{
				"send_at":    each("send_at", "tomorrow", "2026-01-31", 1767225600),
				"expires_at": append(each("expires_at", "tomorrow"), base.with("send_at", soon, "expires_at", soon)),
			},
		},
		{
			rule: "on_unknown", good: each("on_unknown", "resend", "hold"),
			bad: map[string][]fields{"on_unknown": each("on_unknown", "drop", true)},
		},
		{
			rule: "metadata", good: each("metadata", fields{}, fields{"k": strings.Repeat("v", 2047)}),
			bad: map[string][]fields{"metadata": each("metadata", fields{"k": strings.Repeat("v", 2048)}, fields{"k": 1}, "k=v")},
		},
		{rule: "other fields", bad: map[string][]fields{"colour": each("colour", "red"), "Body": each("Body", "Hi")}},
	}
}

// TestEveryRuleOfAJob takes each rule to the HTTP server with bodies that keep
// it and bodies that break it, and the broken ones to the queue as well.
func TestEveryRuleOfAJob(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t).with("SLUICE_WINDOW", "1h"))
	h.api.must(http.MethodPost, "/v1/pause", nil, nil) // what is good need not be sent for this
	events := h.nats.events()
	var refused []string // fields, one a message on the queue
	for i, row := range jobRows() {
		for j, good := range row.good {
			if good["id"] == "" {
				good["id"] = fmt.Sprintf("good-%d-%d", i, j)
			}
			a := h.api.post(good)
			require.Equal(t, http.StatusAccepted, a.status, "%s: %s\n%s", row.rule, good.json(), a.body)
			state := h.api.job(good["id"].(string)) // free form has no window here
			require.True(t, slices.Contains([]string{"accepted", "parked", "scheduled"}, state.Status) || state.Reason == "no_window",
				"read at once: %+v", state)
		}
		for field, bodies := range row.bad {
			for _, bad := range bodies {
				if bad["id"] == "" {
					bad["id"] = fmt.Sprintf("bad-%d-%d", i, len(refused))
				}
				a := h.api.post(bad)
				require.Equal(t, http.StatusBadRequest, a.status, "%s: %s\n%s", row.rule, bad.json(), a.body)
				code, named := a.problem(t)
				require.Equal(t, "invalid_field", code)
				require.Equal(t, field, named, "%s: %s", row.rule, bad.json())
				h.nats.publish(subject("normal", alpha), bad.json(), "")
				refused = append(refused, field)
			}
		}
	}
	rejected := events.await("rejected", len(refused))
	require.Len(t, rejected, len(refused), "each bad message is refused once, and nothing else is")
	for _, field := range refused {
		require.True(t, hasReason(rejected, field), "no refusal names %s", field)
	}
}

// TestDefaultsOfAJob: what a job leaves open is filled as documented.
func TestDefaultsOfAJob(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t).with("SLUICE_WINDOW", "1h"))
	h.api.must(http.MethodPost, "/v1/pause", nil, nil)
	unnamed := notice("", alpha, 1)
	delete(unnamed, "id")
	var told struct{ ID string }
	h.api.must(http.MethodPost, "/v1/jobs", unnamed, &told)
	require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, told.ID, "a UUIDv7")

	for i, category := range []string{"authentication", "utility", "marketing", "service"} {
		h.api.must(http.MethodPost, "/v1/jobs", notice(category, alpha, i).with("category", category, "metadata", fields{"order": "17"}), nil)
	}
	var limits struct {
		Limits []struct {
			Parked struct{ High, Normal, Low int }
		}
	}
	eventually(t, func() bool {
		h.api.must(http.MethodGet, "/v1/limits", nil, &limits)
		return len(limits.Limits) == 1 && limits.Limits[0].Parked == struct{ High, Normal, Low int }{1, 3, 1}
	}, func() string {
		return fmt.Sprintf("authentication is high, marketing low, all else normal, but: %+v", limits)
	})
	var state struct{ Metadata map[string]string }
	h.api.must(http.MethodGet, "/v1/jobs/marketing", nil, &state)
	require.Equal(t, map[string]string{"order": "17"}, state.Metadata)
}
