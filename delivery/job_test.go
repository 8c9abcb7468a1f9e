package delivery_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
)

const (
	template = "HX0123456789abcdef0123456789abcdef"
	service  = "MG0123456789abcdef0123456789ABCDEF"
)

// valid is a job that breaks no rule.
func valid() delivery.Job {
	return delivery.Job{
		ID: "order-42", From: "whatsapp:+15550001000", To: "whatsapp:+491700000001",
		ContentSID: template, ContentVariables: delivery.Variables{"1": "Ada"}, Category: delivery.Utility,
	}.WithDefaults("")
}

func TestValidate(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	text := func(j *delivery.Job) { j.ContentSID, j.ContentVariables, j.Body = "", nil, "Hello" }
	media := func(urls ...string) func(*delivery.Job) {
		return func(j *delivery.Job) { text(j); j.MediaURL = urls }
	}
	cases := []struct {
		name   string
		change func(*delivery.Job)
		field  string // of the error; empty: the job is good
	}{
		{"template", func(*delivery.Job) {}, ""},

		{"id of one character", func(j *delivery.Job) { j.ID = "7" }, ""},
		{"id of 128 characters", func(j *delivery.Job) { j.ID = strings.Repeat("x", 128) }, ""},
		{"id of every character", func(j *delivery.Job) { j.ID = "aZ09._:-x" }, ""},
		{"id missing", func(j *delivery.Job) { j.ID = "" }, "id"},
		{"id of 129 characters", func(j *delivery.Job) { j.ID = strings.Repeat("x", 129) }, "id"},
		{"id that begins with a dot", func(j *delivery.Job) { j.ID = ".x" }, "id"},
		{"id that ends with a colon", func(j *delivery.Job) { j.ID = "x:" }, "id"},
		{"id with two dots", func(j *delivery.Job) { j.ID = "a..b" }, "id"},
		{"id with a slash", func(j *delivery.Job) { j.ID = "a/b" }, "id"},
		{"id with a line end", func(j *delivery.Job) { j.ID = "ab\n" }, "id"},
		{"id beyond ASCII", func(j *delivery.Job) { j.ID = "größe" }, "id"},

		{"messaging service", func(j *delivery.Job) { j.From, j.MessagingServiceSID = "", service }, ""},
		{"no sender", func(j *delivery.Job) { j.From = "" }, "from"},
		{"two senders", func(j *delivery.Job) { j.MessagingServiceSID = service }, "messaging_service_sid"},
		{"sender without channel", func(j *delivery.Job) { j.From = "+15550001000" }, "from"},
		{"sender without plus", func(j *delivery.Job) { j.From = "whatsapp:15550001000" }, "from"},
		{"opaque sender", func(j *delivery.Job) { j.From = "whatsapp:US.abc" }, "from"},
		{"service as from", func(j *delivery.Job) { j.From = service }, "from"},
		{"short service sid", func(j *delivery.Job) { j.From, j.MessagingServiceSID = "", "MG01" }, "messaging_service_sid"},

		{"customer of 7 digits", func(j *delivery.Job) { j.To = "whatsapp:+1234567" }, ""},
		{"customer of 15 digits", func(j *delivery.Job) { j.To = "whatsapp:+123456789012345" }, ""},
		{"Argentine mobile form", func(j *delivery.Job) { j.To = "whatsapp:+5491122334455" }, ""},
		{"opaque customer", func(j *delivery.Job) { j.To = "whatsapp:US.13491208655302741918" }, ""},
		{"opaque customer in parts", func(j *delivery.Job) { j.To = "whatsapp:DE.ENT.a1B2" }, ""},
		{"opaque customer of 140 characters", func(j *delivery.Job) { j.To = "whatsapp:US." + strings.Repeat("a", 128) }, ""},
		{"opaque customer of 141 characters", func(j *delivery.Job) { j.To = "whatsapp:US." + strings.Repeat("a", 129) }, "to"},
		{"no customer", func(j *delivery.Job) { j.To = "" }, "to"},
		{"customer of 6 digits", func(j *delivery.Job) { j.To = "whatsapp:+123456" }, "to"},
		{"customer of 16 digits", func(j *delivery.Job) { j.To = "whatsapp:+1234567890123456" }, "to"},
		{"customer that begins with 0", func(j *delivery.Job) { j.To = "whatsapp:+0123456789" }, "to"},
		{"customer without channel", func(j *delivery.Job) { j.To = "+491700000001" }, "to"},
		{"customer of SMS", func(j *delivery.Job) { j.To = "sms:+491700000001" }, "to"},
		{"customer with spaces", func(j *delivery.Job) { j.To = "whatsapp:+49 170 0000001" }, "to"},
		{"customer with a line end", func(j *delivery.Job) { j.To = "whatsapp:+491700000001\n" }, "to"},
		{"country of three letters", func(j *delivery.Job) { j.To = "whatsapp:USA.123" }, "to"},
		{"country in small letters", func(j *delivery.Job) { j.To = "whatsapp:us.123" }, "to"},
		{"opaque customer without id", func(j *delivery.Job) { j.To = "whatsapp:US." }, "to"},
		{"to the sender itself", func(j *delivery.Job) { j.To = j.From }, "to"},

		{"template without variables", func(j *delivery.Job) { j.ContentVariables = nil }, ""},
		{"short content sid", func(j *delivery.Job) { j.ContentSID = "HX01" }, "content_sid"},
		{"content sid of another kind", func(j *delivery.Job) { j.ContentSID = service }, "content_sid"},
		{"variables without template", func(j *delivery.Job) { text(j); j.ContentVariables = delivery.Variables{"1": "x"} }, "content_variables"},

		{"free form", text, ""},
		{"both forms", func(j *delivery.Job) { j.Body = "Hello" }, ""},
		{"media alone", func(j *delivery.Job) { media("https://example.com/a.png")(j); j.Body = "" }, ""},
		{"no content", func(j *delivery.Job) { text(j); j.Body = "" }, "body"},
		{"1600 characters", func(j *delivery.Job) { text(j); j.Body = strings.Repeat("ü", 1600) }, ""},
		{"1601 characters", func(j *delivery.Job) { text(j); j.Body = strings.Repeat("x", 1601) }, "body"},
		{"10 media", media(strings.Split(strings.Repeat("http://example.com/a ", 10), " ")[:10]...), ""},
		{"11 media", media(strings.Split(strings.Repeat("http://example.com/a ", 11), " ")[:11]...), "media_url"},
		{"media without scheme", media("example.com/a.png"), "media_url"},
		{"media of a file", media("file:///etc/passwd"), "media_url"},
		{"media without host", media("https:///a.png"), "media_url"},
		{"empty media", media(""), "media_url"},
		{"second of two media", media("https://example.com/a.png", "%"), "media_url"},

		{"authentication", func(j *delivery.Job) { j.Category = delivery.Authentication }, ""},
		{"marketing", func(j *delivery.Job) { j.Category = delivery.Marketing }, ""},
		{"service", func(j *delivery.Job) { j.Category = delivery.Service }, ""},
		{"category in capitals", func(j *delivery.Job) { j.Category = "UTILITY" }, "category"},
		{"no category, a template", func(j *delivery.Job) { j.Category = "" }, ""},
		{"no category, no template", func(j *delivery.Job) { text(j); j.Category = "" }, "category"},
		{"high", func(j *delivery.Job) { j.Priority = delivery.High }, ""},
		{"unknown priority", func(j *delivery.Job) { j.Priority = "urgent" }, "priority"},
		{"no priority", func(j *delivery.Job) { j.Priority = "" }, "priority"},
		{"hold", func(j *delivery.Job) { j.OnUnknown = delivery.Hold }, ""},
		{"unknown on_unknown", func(j *delivery.Job) { j.OnUnknown = "retry" }, "on_unknown"},

		{"times in order", func(j *delivery.Job) { j.SendAt, j.ExpiresAt = noon, noon.Add(1) }, ""},
		{"times in the past", func(j *delivery.Job) { j.SendAt, j.ExpiresAt = noon.AddDate(-9, 0, 0), noon.AddDate(-8, 0, 0) }, ""},
		{"expiry alone", func(j *delivery.Job) { j.ExpiresAt = noon }, ""},
		{"expires when it is to go", func(j *delivery.Job) { j.SendAt, j.ExpiresAt = noon, noon.In(time.FixedZone("", 3600)) }, "expires_at"},
		{"expires before it is to go", func(j *delivery.Job) { j.SendAt, j.ExpiresAt = noon, noon.Add(-1) }, "expires_at"},
		{"year 10000 in UTC", func(j *delivery.Job) {
			j.SendAt = time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -3600))
		}, "send_at"},
		{"year 0 in UTC", func(j *delivery.Job) {
			j.ExpiresAt = time.Date(1, 1, 1, 0, 0, 0, 0, time.FixedZone("", 3600))
		}, "expires_at"},

		{"2 KiB of metadata", func(j *delivery.Job) { j.Metadata = map[string]string{"k": strings.Repeat("v", 2047)} }, ""},
		{"more metadata", func(j *delivery.Job) { j.Metadata = map[string]string{"k": strings.Repeat("v", 2047), "l": ""} }, "metadata"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			job := valid()
			c.change(&job)
			requireField(t, c.field, job.Validate())
		})
	}
}

// requireField asserts that err names the field, or that there is none.
func requireField(t *testing.T, field string, err error) {
	t.Helper()
	if field == "" {
		require.NoError(t, err)
		return
	}
	var wrong *delivery.FieldError
	require.ErrorAs(t, err, &wrong)
	require.Equal(t, field, wrong.Field)
	require.Equal(t, field+": "+wrong.Message, err.Error())
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name     string
		category delivery.Category
		priority delivery.Priority
		lane     delivery.Priority
		want     delivery.Priority
	}{
		{"nothing", "", "", "", delivery.Normal},
		{"authentication", delivery.Authentication, "", "", delivery.High},
		{"utility", delivery.Utility, "", "", delivery.Normal},
		{"marketing", delivery.Marketing, "", "", delivery.Low},
		{"service", delivery.Service, "", "", delivery.Normal},
		{"its own priority", delivery.Marketing, delivery.High, "", delivery.High},
		{"its own priority on another lane", "", delivery.High, delivery.Low, delivery.High},
		{"lane alone", "", "", delivery.Low, delivery.Low},
		{"category before lane", delivery.Authentication, "", delivery.Low, delivery.High},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			job := delivery.Job{Category: c.category, Priority: c.priority}.WithDefaults(c.lane)
			require.Equal(t, c.want, job.Priority)
			if c.category == "" {
				require.Equal(t, delivery.Utility, job.Category)
			} else {
				require.Equal(t, c.category, job.Category)
			}
			require.Equal(t, delivery.Resend, job.OnUnknown)
			require.Equal(t, job, job.WithDefaults(delivery.High), "defaults change nothing twice")
		})
	}
	template := delivery.Job{ContentSID: "HX0123456789abcdef0123456789abcdef"}
	require.Empty(t, template.WithDefaults("").Category, "it is the template's")
	require.Equal(t, delivery.Normal, template.WithDefaults("").Priority)
	template.Category = delivery.Marketing
	require.Equal(t, delivery.Marketing, template.WithDefaults("").Category)
	require.Equal(t, delivery.Hold, delivery.Job{OnUnknown: delivery.Hold}.WithDefaults("").OnUnknown)
}

func TestFormAndOrigin(t *testing.T) {
	t.Parallel()
	job := valid()
	require.True(t, job.Template())
	require.False(t, job.FreeForm())
	require.Equal(t, "15550001000", job.Sender())
	require.Equal(t, job.From, job.Origin())

	job.ContentSID, job.MediaURL = "", []string{"https://example.com/a.png"}
	job.From, job.MessagingServiceSID = "", service
	require.False(t, job.Template())
	require.True(t, job.FreeForm())
	require.Equal(t, service, job.Sender())
	require.Equal(t, service, job.Origin())
}

func TestHappened(t *testing.T) {
	t.Parallel()
	job := valid()
	job.Metadata = map[string]string{"order": "42"}
	at := time.Date(2026, 3, 1, 12, 0, 0, 5, time.FixedZone("", 7200))
	require.Equal(t, delivery.Event{
		ID: "e", Type: delivery.EventParked, At: at.UTC(), Job: job.ID, Attempt: 3,
		From: job.From, To: job.To, Status: delivery.StatusParked, Category: delivery.Utility, Metadata: job.Metadata,
	}, job.Happened(delivery.EventParked, 3, at, "e"))
}
