package producer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/producer"
)

const (
	one   = `{"id":"order-1","from":"whatsapp:+4915112345678","to":"whatsapp:+4915187654321","body":"hello"}`
	other = `{"id":"order-1","from":"whatsapp:+4915112345678","to":"whatsapp:+4915187654321","body":"good bye"}`
	noID  = `{"from":"whatsapp:+4915112345678","to":"whatsapp:+4915187654321","body":"hello"}`
	bad   = `{"id":"order-2","from":"whatsapp:+4915112345678","to":"4915187654321","body":"hello"}`
)

func numbered(n int) string {
	return fmt.Sprintf(`{"id":"n-%d","from":"whatsapp:+4915112345678","to":"whatsapp:+4915187654321","body":"hello"}`, n)
}

type reply struct {
	ID      string
	Status  delivery.Status
	Error   *problem
	Results []struct {
		ID     string
		Status delivery.Status
		Error  *problem
	}

	code   int
	header http.Header
	text   string
}

type problem struct{ Code, Message, Field string }

func post(t testing.TB, h http.Handler, contentType, body string) reply {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/v1/jobs", strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return read(t, w.Code, w.Header(), w.Body.String())
}

func read(t testing.TB, code int, header http.Header, text string) reply {
	t.Helper()
	require.Equal(t, "application/json", header.Get("Content-Type"))
	got := reply{code: code, header: header, text: text}
	require.NoError(t, json.Unmarshal([]byte(text), &got), text)
	return got
}

func TestOneJob(t *testing.T) {
	t.Parallel()
	e := newEngines()
	h := e.handler()
	for _, contentType := range []string{"", "application/json", "application/json; charset=utf-8"} {
		got := post(t, h, contentType, one)
		require.Equal(t, http.StatusAccepted, got.code)
		require.JSONEq(t, `{"id":"order-1","status":"accepted"}`, got.text)
	}
	e.requireKept(t, "order-1")
	require.Len(t, e.published["order-1"], 1, "a job with a state is not published again")

	accepted := e.records["order-1"].Timeline
	require.Len(t, accepted, 1)
	require.Equal(t, "accepted:order-1", accepted[0].ID)
	require.Equal(t, 1, accepted[0].Attempt)
	require.Equal(t, "2026-11-20T09:00:00Z", accepted[0].At.Format("2006-01-02T15:04:05Z07:00"))

	got := post(t, h, "", noID)
	require.Equal(t, http.StatusAccepted, got.code)
	e.requireKept(t, got.ID)
}

func TestWhatCurlSendsIsTaken(t *testing.T) {
	t.Parallel()
	got := post(t, newEngines().handler(), "application/x-www-form-urlencoded", one)
	require.Equal(t, http.StatusAccepted, got.code)
}

func TestRepetitionTellsThePresentStatus(t *testing.T) {
	t.Parallel()
	e := newEngines()
	h := e.handler()
	post(t, h, "", one)
	e.records["order-1"] = delivery.Record{ID: "order-1", Status: delivery.StatusDelivered}
	got := post(t, h, "", one)
	require.Equal(t, http.StatusAccepted, got.code)
	require.JSONEq(t, `{"id":"order-1","status":"delivered"}`, got.text)
}

// Events that are no part of a job's story can make a record of a job that was
// never published.
func TestRecordWithoutAStatusIsNoJob(t *testing.T) {
	t.Parallel()
	e := newEngines()
	e.claims["order-1"] = claimOf(t, one)
	e.records["order-1"] = delivery.Record{ID: "order-1"}
	require.Equal(t, delivery.StatusAccepted, post(t, e.handler(), "", one).Status)
	e.requireKept(t, "order-1")
}

func TestClientThatHangsUpGetsItsJobAnnounced(t *testing.T) {
	t.Parallel()
	e := newEngines()
	ctx, hangUp := context.WithCancel(t.Context())
	e.refuse = func(producer.Job) error { hangUp(); return nil } // while it is being published
	r := httptest.NewRequest(http.MethodPost, "/v1/jobs", strings.NewReader(one)).WithContext(ctx)
	e.handler().ServeHTTP(httptest.NewRecorder(), r)
	e.requireKept(t, "order-1")
}

func TestConflict(t *testing.T) {
	t.Parallel()
	e := newEngines()
	h := e.handler()
	post(t, h, "", one)
	got := post(t, h, "", other)
	require.Equal(t, http.StatusConflict, got.code)
	require.Equal(t, "conflict", got.Error.Code)
	require.Equal(t, "id", got.Error.Field)
	require.Len(t, e.published["order-1"], 1)
}

// A message that came over NATS is unknown to the gate until a dispatcher has
// seen it, and yet its id is taken.
func TestIDTakenOverNATSOnly(t *testing.T) {
	t.Parallel()
	t.Run("still queued with other content", func(t *testing.T) {
		t.Parallel()
		e := newEngines()
		e.refuse = func(producer.Job) error { return producer.ErrConflict }
		got := post(t, e.handler(), "", one)
		require.Equal(t, http.StatusConflict, got.code)
		require.Empty(t, e.claims, "the first job keeps its id")
	})
	t.Run("taken since the claim", func(t *testing.T) {
		t.Parallel()
		e := newEngines()
		e.unclaimed["order-1"] = true
		got := post(t, e.handler(), "", one)
		require.Equal(t, http.StatusAccepted, got.code)
		require.Len(t, e.published["order-1"], 1, "published under an id of its own")
	})
}

// A job may be remembered for its copies longer than its state is kept.
func TestAJobThatEndedIsNotPublishedAgain(t *testing.T) {
	t.Parallel()
	e := newEngines()
	e.claims["order-1"] = claimOf(t, one)
	e.ended = map[string]delivery.Status{"order-1": delivery.StatusCanceled}
	got := post(t, e.handler(), "", one)
	require.Equal(t, http.StatusAccepted, got.code)
	require.Equal(t, delivery.StatusCanceled, got.Status)
	require.Empty(t, e.published)
}

// Whichever write fails, done or not, the client sends the same request again
// and in the end the promise holds: published, announced, claimed.
func TestRepeatingARequestAlwaysHeals(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"claim", "get", "publish", "announce"} {
		for _, f := range []fault{failed, failedButStood} {
			t.Run(fmt.Sprint(step, f), func(t *testing.T) {
				t.Parallel()
				e := newEngines()
				h := e.handler()
				if step == "get" { // asked only about a known id
					e.claims["order-1"] = claimOf(t, one)
				}
				e.faults[step] = f
				got := post(t, h, "", one)
				require.Equal(t, http.StatusServiceUnavailable, got.code)
				require.Equal(t, "unavailable", got.Error.Code)
				require.Equal(t, "5", got.header.Get("Retry-After"))
				require.Contains(t, got.Error.Message, "order-1")
				require.NotContains(t, got.text, errEngine.Error())

				got = post(t, h, "", one)
				require.Equal(t, http.StatusAccepted, got.code)
				require.Equal(t, delivery.StatusAccepted, got.Status)
				e.requireKept(t, "order-1")
			})
		}
	}
}

func claimOf(t *testing.T, text string) string {
	t.Helper()
	j, err := delivery.DecodeJob([]byte(text))
	require.NoError(t, err)
	j = j.WithDefaults("")
	return j.Sender() + j.Digest()
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		contentType, body string
		status            int
		code, field       string
	}{
		"empty":            {"", "", 400, "invalid_json", ""},
		"not JSON":         {"", "{", 400, "invalid_json", ""},
		"a string":         {"", `"job"`, 400, "invalid_json", ""},
		"two objects":      {"", one + one, 400, "invalid_json", ""},
		"array cut off":    {"", "[" + one, 400, "invalid_json", ""},
		"unknown field":    {"", `{"phone":"1"}`, 400, "invalid_field", "phone"},
		"wrong type":       {"", `{"to":1}`, 400, "invalid_field", "to"},
		"broken rule":      {"", bad, 400, "invalid_field", "to"},
		"year 10000":       {"", strings.Replace(one, "{", `{"send_at":"9999-12-31T23:59:59-01:00",`, 1), 400, "invalid_field", "send_at"},
		"large body":       {"", `{"body":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "too_large", ""},
		"long array":       {"", "[" + strings.Repeat("0,", 1000) + "0]", 413, "too_large", ""},
		"multipart":        {"multipart/form-data; boundary=x", one, 415, "unsupported_media_type", ""},
		"a form":           {"application/x-www-form-urlencoded", "id=order-1", 400, "invalid_json", ""},
		"unreadable media": {";", one, 415, "unsupported_media_type", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEngines()
			got := post(t, e.handler(), tc.contentType, tc.body)
			require.Equal(t, tc.status, got.code)
			require.NotEmpty(t, got.Error.Message)
			require.Equal(t, problem{tc.code, got.Error.Message, tc.field}, *got.Error)
			require.Empty(t, got.header.Get("Retry-After"))
			require.Empty(t, e.claims)
			require.Empty(t, e.published)
		})
	}
}

// TestWhatWhatsAppWouldRefuseIsNoJob: nothing is left of it, so that the same
// id can be sent again once the template is in order.
func TestWhatWhatsAppWouldRefuseIsNoJob(t *testing.T) {
	t.Parallel()
	e := newEngines()
	var unfit error = &delivery.FieldError{Field: "content_sid", Message: "not approved"}
	h := e.handlerWith(producer.HandlerConfig{Unfit: func(context.Context, producer.Job) error { return unfit }})
	const job = `{"id":"order-1","from":"whatsapp:+4915112345678","to":"whatsapp:+4915187654321",`
	const template = job + `"content_sid":"HX00000000000000000000000000000001"`

	got := post(t, h, "", template+"}")
	require.Equal(t, http.StatusBadRequest, got.code)
	require.Equal(t, problem{"invalid_field", "not approved", "content_sid"}, *got.Error)
	require.Empty(t, e.claims)
	require.Empty(t, e.published)

	require.Equal(t, http.StatusAccepted, post(t, h, "", template+`,"send_at":"2999-01-01T00:00:00Z"}`).code, "it may be approved by then")
	require.Equal(t, http.StatusAccepted, post(t, h, "", strings.Replace(job, "order-1", "order-2", 1)+`"body":"hello"}`).code)
	unfit = nil
	again := strings.Replace(template, "order-1", "order-3", 1) + "}"
	require.Equal(t, http.StatusAccepted, post(t, h, "", again).code)
	unfit = &delivery.FieldError{Field: "content_sid", Message: "not approved any more"}
	require.Equal(t, http.StatusAccepted, post(t, h, "", again).code, "a job that was accepted is what it is")
}

func TestOnlyPostAndOnlyPlain(t *testing.T) {
	t.Parallel()
	h := newEngines().handler()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/jobs", nil))
	require.Equal(t, http.StatusMethodNotAllowed, w.Code)
	require.Equal(t, "POST", w.Header().Get("Allow"))

	r := httptest.NewRequest(http.MethodPost, "/v1/jobs", strings.NewReader(one))
	r.Header.Set("Content-Encoding", "gzip")
	w = httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Equal(t, http.StatusUnsupportedMediaType, w.Code)
}

func TestWhatTheQueueRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err    error
		status int
		code   string
	}{
		"full":     {producer.ErrQueueFull, 429, "queue_full"},
		"no space": {producer.ErrNoSpace, 503, "unavailable"},
		"silent":   {producer.ErrUnavailable, 503, "unavailable"},
		"large":    {producer.ErrTooLarge, 413, "too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEngines()
			e.refuse = func(producer.Job) error { return fmt.Errorf("publish: %w", tc.err) }
			h := e.handler()
			got := post(t, h, "", one)
			require.Equal(t, tc.status, got.code)
			require.Equal(t, tc.code, got.Error.Code)
			require.Equal(t, tc.status != 413, got.header.Get("Retry-After") == "5")
			require.Empty(t, e.records)

			many := post(t, h, "", "["+numbered(1)+","+numbered(2)+"]")
			require.Len(t, many.Results, 2)
			require.Equal(t, tc.code, many.Results[1].Error.Code)
			if tc.status == 413 {
				require.Equal(t, http.StatusAccepted, many.code, "settled, each for good")
				return
			}
			require.Equal(t, tc.status, many.code, "none was taken: all of it may be repeated")
			require.Equal(t, tc.code, many.Error.Code)
			require.Equal(t, "5", many.header.Get("Retry-After"))
			require.Contains(t, many.Results[1].Error.Message, "n-2")
		})
	}
}

func TestTheTemplatesCategoryRanksAJobThatSaysNothing(t *testing.T) {
	t.Parallel()
	e := newEngines()
	meta := delivery.Marketing
	h := e.handlerWith(producer.HandlerConfig{Category: func(context.Context, producer.Job) delivery.Category { return meta }})
	with := func(id, rest string) string {
		return `{"id":"` + id + `","from":"whatsapp:+4915112345678","to":"whatsapp:+4915187654321",` + rest + `}`
	}
	const template = `"content_sid":"HX00000000000000000000000000000001"`
	for id, c := range map[string]struct {
		rest string
		want delivery.Priority
	}{
		"silent":   {template, delivery.Low},
		"category": {template + `,"category":"authentication"`, delivery.High},
		"priority": {template + `,"priority":"normal"`, delivery.Normal},
		"text":     {`"body":"hello"`, delivery.Normal},
	} {
		require.Equal(t, http.StatusAccepted, post(t, h, "", with(id, c.rest)).code, id)
		require.Equal(t, c.want, e.published[id][0].Priority, id)
	}
	meta = delivery.Utility
	require.Equal(t, http.StatusAccepted, post(t, h, "", with("silent", template)).code, "the same job, whatever Meta thinks by now")
}
