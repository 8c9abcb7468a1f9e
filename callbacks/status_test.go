package callbacks_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/callbacks"
	"github.com/sluicehq/sluice/delivery"
)

const path = "/twilio/status/order-1/2"

func TestStatusWords(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]delivery.EventType{
		"accepted": delivery.EventQueued, "scheduled": delivery.EventQueued,
		"queued": delivery.EventQueued, "sending": delivery.EventQueued,
		"sent": delivery.EventSent, "partially_delivered": delivery.EventSent,
		"delivered": delivery.EventDelivered, "read": delivery.EventRead,
		"undelivered": delivery.EventUndelivered, "failed": delivery.EventFailed,
		"canceled": delivery.EventCanceled,
	} {
		t.Run(word, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			code, text := s.call(t, path, statusForm(word))
			require.Equal(t, http.StatusNoContent, code)
			require.Empty(t, text)
			require.Equal(t, []delivery.Event{{
				ID: "cb:" + sid + ":" + word + ":0", Type: want, At: received, Job: "order-1", Attempt: 2,
				From: sender, To: customer, SID: sid, Status: want.Status(),
			}}, s.journal.all())
			require.Equal(t, []string{"status stored"}, s.observed())
		})
	}
}

func TestUnknownWordsAreIgnored(t *testing.T) {
	t.Parallel()
	for _, word := range []string{"received", "receiving", "teleported"} {
		s := newSite(t, nil)
		code, _ := s.call(t, path, statusForm(word))
		require.Equal(t, http.StatusNoContent, code)
		require.Empty(t, s.journal.all())
		require.Equal(t, []string{"status ignored"}, s.observed())
	}
}

func TestErrorsAreHandedOn(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fields []string
		want   *delivery.Error
		id     string
	}{
		"code alone":     {[]string{"ErrorCode", "63018"}, &delivery.Error{Code: 63018}, ":63018"},
		"with a message": {[]string{"ErrorCode", "63016", "ErrorMessage", "outside the window"}, &delivery.Error{Code: 63016, Message: "outside the window"}, ":63016"},
		"WhatsApp's":     {[]string{"ErrorCode", "63024", "ChannelStatusMessage", "no such user"}, &delivery.Error{Code: 63024, Message: "no such user"}, ":63024"},
		"no number":      {[]string{"ErrorCode", "many"}, nil, ":0"},
		"long":           {[]string{"ErrorMessage", strings.Repeat("é", 400)}, &delivery.Error{Message: strings.Repeat("é", 250) + "…"}, ":0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			code, _ := s.call(t, path, statusForm("undelivered", tc.fields...))
			require.Equal(t, http.StatusNoContent, code)
			event := s.journal.all()[0]
			require.Equal(t, tc.want, event.Error)
			require.Equal(t, "cb:"+sid+":undelivered"+tc.id, event.ID)
		})
	}
}

func TestSMSFieldsServeAsWell(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	code, _ := s.call(t, path, statusForm("Sent", "MessageSid", "", "MessageStatus", ""))
	require.Equal(t, http.StatusNoContent, code)
	require.Equal(t, "cb:"+sid+":sent:0", s.journal.all()[0].ID)
}

func TestAddressesThatAreNoneAreLeftOut(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	code, _ := s.call(t, path, statusForm("sent", "From", "<b>", "To", "whatsapp:US.13491208655302741918"))
	require.Equal(t, http.StatusNoContent, code)
	require.Empty(t, s.journal.all()[0].From)
	require.Equal(t, "whatsapp:US.13491208655302741918", s.journal.all()[0].To)
}

func TestMalformedStatus(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		path string
		form url.Values
	}{
		"no sid":            {path, statusForm("sent", "MessageSid", "", "SmsSid", "")},
		"sid with a colon":  {path, statusForm("sent", "MessageSid", "SM1:sent")},
		"no status":         {"/twilio/status", statusForm("")},
		"attempt 0":         {"/twilio/status/order-1/0", statusForm("sent")},
		"attempt no number": {"/twilio/status/order-1/one", statusForm("sent")},
		"job no id":         {"/twilio/status/-order/1", statusForm("sent")},
		"job with a slash":  {"/twilio/status/a%2Fb/1", statusForm("sent")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			code, _ := s.call(t, tc.path, tc.form)
			require.Equal(t, http.StatusBadRequest, code)
			require.Empty(t, s.journal.all())
			require.Equal(t, []string{"status malformed"}, s.observed())
		})
	}
}

func TestWithoutAJobTheSIDDecides(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		resolve resolver
		job     string
		attempt int
		id      string
	}{
		"known":   {func(string) (string, int, bool, error) { return "order-1", 3, true, nil }, "order-1", 3, "cb:" + sid + ":sent:0"},
		"unknown": {func(string) (string, int, bool, error) { return "", 0, false, nil }, "", 0, "cb:" + sid + ":sent:0:unresolved"},
		"silent":  {func(string) (string, int, bool, error) { return "x", 9, true, errDown }, "", 0, "cb:" + sid + ":sent:0:unresolved"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(cfg *callbacks.Config) { cfg.Resolver = tc.resolve })
			code, _ := s.call(t, "/twilio/status", statusForm("sent"))
			require.Equal(t, http.StatusNoContent, code)
			event := s.journal.all()[0]
			require.Equal(t, tc.job, event.Job)
			require.Equal(t, tc.attempt, event.Attempt)
			require.Equal(t, tc.id, event.ID)
			require.Equal(t, sid, event.SID)
		})
	}
}

// A telling without the job must not stand in the way of one that names it.
func TestUnresolvedDoesNotHideTheJob(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.call(t, "/twilio/status", statusForm("sent"))
	s.call(t, path, statusForm("sent"))
	events := s.journal.all()
	require.Len(t, events, 2)
	require.NotEqual(t, events[0].ID, events[1].ID)
	require.Equal(t, "order-1", events[1].Job)
}

// TestMetadataIsHandedBack with what a job's callbacks tell, by the name that
// the job was published under; where it cannot be read the event counts more.
func TestMetadataIsHandedBack(t *testing.T) {
	t.Parallel()
	const service = "MG00000000000000000000000000000001"
	order := map[string]string{"order": "17"}
	asked := map[string]error{
		"4915112345678 order-1": nil, service + " order-3": nil, "4915112345678 order-2": errDown,
	}
	s := newSite(t, func(cfg *callbacks.Config) {
		cfg.Intents = intents(func(sender, job string) (delivery.Intent, bool, error) {
			err, known := asked[sender+" "+job]
			return delivery.Intent{Job: delivery.Job{Metadata: order}, Category: delivery.Marketing}, known && err == nil, err
		})
	})
	for _, call := range []struct {
		path string
		form url.Values
		want map[string]string
	}{
		{path, statusForm("sent"), order},
		{path, statusForm("delivered", "MessagingServiceSid", service), order},
		{"/twilio/status/order-3/1", statusForm("queued", "MessagingServiceSid", service), order},
		{"/twilio/status/order-4/1", statusForm("sending"), nil},
		{"/twilio/status/order-2/1", statusForm("read"), nil},
		{path, statusForm("undelivered", "From", "<b>"), nil},
		{"/twilio/status", statusForm("failed"), nil}, // nobody knows its job
	} {
		before := len(s.journal.all())
		code, _ := s.call(t, call.path, call.form)
		require.Equal(t, http.StatusNoContent, code)
		require.Len(t, s.journal.all(), before+1)
		told := s.journal.all()[before]
		require.Equal(t, call.want, told.Metadata, call.path)
		require.Equal(t, call.want != nil, told.Category == delivery.Marketing, call.path)
	}
}
