package delivery_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluicehq/sluice/delivery"
)

func TestDecodeJob(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 1, 31, 9, 0, 0, 0, time.UTC)
	cases := []struct {
		text string
		want delivery.Job
	}{
		{`{}`, delivery.Job{}},
		{" {\n\t\"id\" : \"a\" } \r\n", delivery.Job{ID: "a"}},
		{`{"id":"a","from":"f","messaging_service_sid":"m","to":"t","content_sid":"c","body":"b","media_url":["u"],
			"category":"marketing","priority":"high","on_unknown":"hold","metadata":{"k":"v"}}`,
			delivery.Job{
				ID: "a", From: "f", MessagingServiceSID: "m", To: "t", ContentSID: "c", Body: "b", MediaURL: []string{"u"},
				Category: "marketing", Priority: "high", OnUnknown: "hold", Metadata: map[string]string{"k": "v"},
			}},
		{`{"content_variables":{"1":"Ada","2":""}}`, delivery.Job{ContentVariables: delivery.Variables{"1": "Ada", "2": ""}}},
		{`{"content_variables":"{\"1\":\"Ada\"}"}`, delivery.Job{ContentVariables: delivery.Variables{"1": "Ada"}}},
		{`{"send_at":"2026-01-31T09:00:00Z","expires_at":"2026-01-31T09:00:00.5Z"}`, delivery.Job{SendAt: noon, ExpiresAt: noon.Add(time.Second / 2)}},
		{`{"id":null,"send_at":null,"content_variables":null,"metadata":null,"media_url":null}`, delivery.Job{}},
		{`{"body":"\ud83d\ude00 gr\u00fc\u00dfe"}`, delivery.Job{Body: "😀 grüße"}},
	}
	for _, c := range cases {
		got, err := delivery.DecodeJob([]byte(c.text))
		require.NoError(t, err, c.text)
		require.Equal(t, c.want, got, c.text)
	}
}

func TestDecodeJobRefuses(t *testing.T) {
	t.Parallel()
	cases := []struct{ text, field, says string }{
		{``, "", "one JSON object"},
		{`null`, "", "one JSON object"},
		{`[]`, "", "one JSON object"},
		{`"{}"`, "", "one JSON object"},
		{`{"id":"a"`, "", "one JSON object"},
		{`{"id":"a",}`, "", "at byte"},
		{"\ufeff{}", "", "at byte 1"}, // RFC 8259: a byte order mark is no JSON
		{`{} {}`, "", "after the job"},
		{`{}x`, "", "after the job"},

		{`{"boddy":"x"}`, "boddy", "not a field"},
		{`{"Body":"x"}`, "Body", "not a field"},
		{`{"contentSid":"x"}`, "contentSid", "not a field"},
		{`{"":"x"}`, "", "not a field"},
		{`{"` + strings.Repeat("ü", 500) + `":1}`, strings.Repeat("ü", 32) + "…", "not a field"},

		{`{"id":5}`, "id", "JSON number"},
		{`{"to":["x"]}`, "to", "JSON array"},
		{`{"body":{}}`, "body", "JSON object"},
		{`{"media_url":"https://example.com"}`, "media_url", "JSON string"},
		{`{"metadata":{"k":1}}`, "metadata", "JSON number"},
		{`{"metadata":{"k":null}}`, "metadata", "without null"},
		{`{"metadata":"{}"}`, "metadata", "JSON string"},
		{`{"send_at":"tomorrow"}`, "send_at", "RFC 3339"},
		{`{"send_at":"2026-01-31 09:00:00"}`, "send_at", "RFC 3339"},
		{`{"expires_at":1769850000}`, "expires_at", "string"},

		{`{"content_variables":5}`, "content_variables", "object of strings"},
		{`{"content_variables":["Ada"]}`, "content_variables", "object of strings"},
		{`{"content_variables":{"1":5}}`, "content_variables", "object of strings"},
		{`{"content_variables":{"1":null}}`, "content_variables", "object of strings"},
		{`{"content_variables":"Ada"}`, "content_variables", "object of strings"},
		{`{"content_variables":"{\"1\":5}"}`, "content_variables", "object of strings"},
		{`{"content_variables":"{} {}"}`, "content_variables", "object of strings"},

		{`{"to":1,"body":2,"nope":3}`, "body", "JSON number"}, // the first by name
	}
	for _, c := range cases {
		_, err := delivery.DecodeJob([]byte(c.text))
		var wrong *delivery.FieldError
		require.ErrorAs(t, err, &wrong, c.text)
		require.Equal(t, c.field, wrong.Field, c.text)
		require.Contains(t, wrong.Message, c.says, c.text)
	}
}

func TestDecodeJobReturnsWhatItCouldRead(t *testing.T) {
	t.Parallel()
	got, err := delivery.DecodeJob([]byte(`{"aaa":1,"id":"a","to":"t","body":7}`))
	requireField(t, "aaa", err)
	require.Equal(t, delivery.Job{ID: "a", To: "t"}, got)
}

// published is a good job on a subject of its own.
func published(payload string) delivery.Published {
	return delivery.Published{
		Subject: delivery.JobSubject(delivery.Normal, "15550001000"), Data: []byte(payload),
		MsgID: "msg-1", Sequence: 7, Time: time.Date(2026, 3, 1, 9, 0, 0, 1, time.UTC),
	}
}

const payload = `"from":"whatsapp:+15550001000","to":"whatsapp:+491700000001","body":"Hello"}`

func TestPublishedIDs(t *testing.T) {
	t.Parallel()
	p := published(`{"id":"own",` + payload)
	job, err := p.Job()
	require.NoError(t, err)
	require.Equal(t, "own", job.ID)

	p.Data = []byte(`{` + payload)
	job, err = p.Job()
	require.NoError(t, err)
	require.Equal(t, "msg-1", job.ID)

	p.MsgID = ""
	job, err = p.Job()
	require.NoError(t, err)
	again, err := p.Job()
	require.NoError(t, err)
	require.Equal(t, job.ID, again.ID, "a redelivery has the same id")
	p.Sequence++
	next, err := p.Job()
	require.NoError(t, err)
	require.NotEqual(t, job.ID, next.ID)
	p.Sequence--
	p.Time = p.Time.Add(1) // the stream was made anew
	renewed, err := p.Job()
	require.NoError(t, err)
	require.NotEqual(t, job.ID, renewed.ID)

	p.MsgID = "not an id"
	_, err = p.Job()
	requireField(t, "id", err)
}

func TestPublishedAgainstItsSubject(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, subject, payload string
		field                  string
		priority               delivery.Priority // where there is no error
	}{
		{"lane gives the priority", "sluice.jobs.low.15550001000", `{` + payload, "", delivery.Low},
		{"both say the same", "sluice.jobs.high.15550001000", `{"priority":"high",` + payload, "", delivery.High},
		{"category of the lane", "sluice.jobs.high.15550001000", `{"category":"authentication",` + payload, "", delivery.High},
		{"opaque customer", "sluice.jobs.normal.15550001000", `{"from":"whatsapp:+15550001000","to":"whatsapp:US.1.2","body":"Hello"}`, "", delivery.Normal},
		{"messaging service", "sluice.jobs.normal." + service,
			`{"messaging_service_sid":"` + service + `","to":"whatsapp:+491700000001","body":"Hello"}`, "", delivery.Normal},
		{"another priority", "sluice.jobs.low.15550001000", `{"priority":"high",` + payload, "priority", ""},
		{"category of another lane", "sluice.jobs.low.15550001000", `{"category":"authentication",` + payload, "priority", ""},
		{"another sender", "sluice.jobs.normal.15550001001", `{` + payload, "from", ""},
		{"a service on a number's subject", "sluice.jobs.normal.15550001000",
			`{"messaging_service_sid":"` + service + `","to":"whatsapp:+491700000001","body":"Hello"}`, "from", ""},
		{"a bad job", "sluice.jobs.normal.15550001000", `{"from":"whatsapp:+15550001000","body":"Hello"}`, "to", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := published(c.payload)
			p.Subject = c.subject
			job, err := p.Job()
			requireField(t, c.field, err)
			if c.field == "" {
				require.Equal(t, c.priority, job.Priority)
				require.NoError(t, job.Validate())
			}
			require.Equal(t, "msg-1", job.ID, "a refusal can name its job")
		})
	}
}

func TestPublishedUnreadable(t *testing.T) {
	t.Parallel()
	p := published(`{"id":"own","nope":1}`)
	job, err := p.Job()
	requireField(t, "nope", err)
	require.Equal(t, "own", job.ID)

	p.Data = []byte(`not JSON`)
	job, err = p.Job()
	require.Error(t, err)
	require.Equal(t, "msg-1", job.ID)

	p = published(`{` + payload)
	p.Subject = "sluice.jobs.normal"
	job, err = p.Job()
	require.ErrorContains(t, err, "subject")
	require.Equal(t, "msg-1", job.ID)
}

func TestDigestTellsContentsApart(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	changes := map[string]func(*delivery.Job){
		"from":            func(j *delivery.Job) { j.From = "whatsapp:+15550001001" },
		"service":         func(j *delivery.Job) { j.From, j.MessagingServiceSID = "", service },
		"to":              func(j *delivery.Job) { j.To = "whatsapp:+491700000002" },
		"content_sid":     func(j *delivery.Job) { j.ContentSID = "HXfedcba9876543210fedcba9876543210" },
		"variable":        func(j *delivery.Job) { j.ContentVariables = delivery.Variables{"1": "Bob"} },
		"variable's name": func(j *delivery.Job) { j.ContentVariables = delivery.Variables{"2": "Ada"} },
		"one more":        func(j *delivery.Job) { j.ContentVariables = delivery.Variables{"1": "Ada", "2": ""} },
		"body":            func(j *delivery.Job) { j.Body = "Hello" },
		"media_url":       func(j *delivery.Job) { j.MediaURL = []string{"https://example.com/a", "https://example.com/b"} },
		"media's order":   func(j *delivery.Job) { j.MediaURL = []string{"https://example.com/b", "https://example.com/a"} },
		"category":        func(j *delivery.Job) { j.Category = delivery.Service },
		"send_at":         func(j *delivery.Job) { j.SendAt = noon },
		"send_at's ns":    func(j *delivery.Job) { j.SendAt = noon.Add(1) },
		"expires_at":      func(j *delivery.Job) { j.ExpiresAt = noon },
		"on_unknown":      func(j *delivery.Job) { j.OnUnknown = delivery.Hold },
		"metadata":        func(j *delivery.Job) { j.Metadata = map[string]string{"k": "v"} },
	}
	seen := map[string]string{valid().Digest(): "unchanged"}
	for name, change := range changes {
		job := valid()
		change(&job)
		digest := job.Digest()
		require.Regexp(t, `^[0-9a-f]{32}$`, digest)
		require.NotContains(t, seen, digest, "%s is like %s", name, seen[digest])
		seen[digest] = name
	}
}

func TestDigestIsOfTheContentAlone(t *testing.T) {
	t.Parallel()
	job := valid()
	job.SendAt = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	other := job
	other.ID, other.Priority = "another", delivery.Low
	other.SendAt = job.SendAt.In(time.FixedZone("", 7200))
	other.MediaURL, other.Metadata = []string{}, map[string]string{}
	require.Equal(t, job.Digest(), other.Digest())
	other.Category = ""
	require.Equal(t, job.Digest(), other.Digest(), "utility, named or not")

	one, err := delivery.DecodeJob([]byte(`{"to":"t","metadata":{"a":"1","b":"2"},"content_variables":{"1":"x","2":"y"}}`))
	require.NoError(t, err)
	two, err := delivery.DecodeJob([]byte(`{"content_variables":"{\"2\":\"y\",\"1\":\"x\"}","metadata":{"b":"2","a":"1"},"to":"t"}`))
	require.NoError(t, err)
	require.Equal(t, one.Digest(), two.Digest())
}

func TestDigestIsStable(t *testing.T) {
	t.Parallel()
	// Conflicts are found by comparing with digests stored by other versions:
	// this value may never change.
	require.Equal(t, "6a4f67156e6428a0191b8f9f1a0532d7", valid().Digest())

	rapid.Check(t, func(t *rapid.T) {
		m := rapid.MapOf(rapid.String(), rapid.String()).Draw(t, "map")
		again := make(map[string]string)
		for k, v := range m {
			again[k] = v
		}
		require.Equal(t, delivery.Job{Metadata: m, ContentVariables: m}.Digest(), delivery.Job{Metadata: again, ContentVariables: again}.Digest())
	})
}

// FuzzDecodeJob: nothing panics, and a job that is accepted means the same
// after any number of encodings.
func FuzzDecodeJob(f *testing.F) {
	f.Add([]byte(`{"id":"a",` + payload))
	f.Add([]byte(`{"id":"a","priority":"high","metadata":{},` + payload))
	f.Add([]byte(`{"id":"a","content_sid":"` + template + `","content_variables":"{\"1\":\"Ada\"}","from":"whatsapp:+15550001000","to":"whatsapp:US.1"}`))
	f.Add([]byte(`{"id":"a","send_at":"9999-12-31T23:59:59-01:00",` + payload))
	f.Add([]byte(`{"id":"a","expires_at":"0000-01-01T00:00:00+01:00",` + payload))
	f.Add([]byte("\ufeff{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = delivery.Published{Subject: "sluice.jobs.high.15550001000", Data: data}.Job()
		job, err := delivery.DecodeJob(data)
		if err != nil {
			return
		}
		if job = job.WithDefaults(""); job.Validate() != nil {
			return
		}
		text, err := json.Marshal(job)
		require.NoError(t, err)
		again, err := delivery.DecodeJob(text)
		require.NoError(t, err)
		require.NoError(t, again.Validate())
		require.Equal(t, job.Digest(), again.Digest())
		twice, err := json.Marshal(again)
		require.NoError(t, err)
		require.Equal(t, string(text), string(twice))
		require.Equal(t, fmt.Sprint(job.SendAt.UTC(), job.ExpiresAt.UTC()), fmt.Sprint(again.SendAt.UTC(), again.ExpiresAt.UTC()))
	})
}
