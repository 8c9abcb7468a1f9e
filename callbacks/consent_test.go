package callbacks_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/callbacks"
	"github.com/sluicehq/sluice/delivery"
)

const (
	opaque  = "whatsapp:US.13491208655302741918"
	service = "MG0123456789abcdef0123456789abcdef"
)

// register is a store of consents that remembers what it was told, and fails
// when told to.
type register struct {
	mu     sync.Mutex
	told   []string
	err    error
	before func()
}

func (r *register) Record(ctx context.Context, customer, sender string, out bool, source string, at time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.before != nil {
		r.before()
	}
	if err := errors.Join(r.err, ctx.Err()); err != nil {
		return err
	}
	r.told = append(r.told, fmt.Sprintf("%s to %s: out=%t by %s at %s", customer, sender, out, source, at.Format(time.TimeOnly)))
	return nil
}

// PutAlias remembers too.
func (r *register) PutAlias(_ context.Context, address, other string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = append(r.told, address+" is "+other)
	return r.err
}

func (r *register) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.told)
}

func statement(customer, sender string, out bool, source string) string {
	return fmt.Sprintf("%s to %s: out=%t by %s at 09:00:00", customer, sender, out, source)
}

func consentEvent(customer, sender, reason string) delivery.Event {
	return delivery.Event{
		ID: "consent:" + sid, Type: delivery.EventConsent, At: received,
		From: sender, To: customer, SID: sid, Reason: reason,
	}
}

func TestConsentWords(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		form []string
		want string // out, in, or nothing
	}{
		"STOP":               {[]string{"Body", "STOP"}, "out"},
		"UNSUBSCRIBE":        {[]string{"Body", "UNSUBSCRIBE"}, "out"},
		"END":                {[]string{"Body", "END"}, "out"},
		"QUIT":               {[]string{"Body", "QUIT"}, "out"},
		"STOPALL":            {[]string{"Body", "STOPALL"}, "out"},
		"REVOKE":             {[]string{"Body", "REVOKE"}, "out"},
		"OPTOUT":             {[]string{"Body", "OPTOUT"}, "out"},
		"CANCEL":             {[]string{"Body", "CANCEL"}, "out"},
		"START":              {[]string{"Body", "START"}, "in"},
		"UNSTOP":             {[]string{"Body", "UNSTOP"}, "in"},
		"in any case":        {[]string{"Body", "sToP"}, "out"},
		"with blanks":        {[]string{"Body", "\u00a0 stop\r\n"}, "out"},
		"with punctuation":   {[]string{"Body", "«Stop!!!»"}, "out"},
		"with emoji":         {[]string{"Body", "stop 🙏🏽❤️"}, "out"},
		"under a picture":    {[]string{"Body", "stop", "NumMedia", "1"}, "out"},
		"understood as STOP": {[]string{"Body", "Hör auf", "OptOutType", "STOP"}, "out"},
		"as START":           {[]string{"Body", "stop", "OptOutType", "start"}, "in"},
		"as HELP":            {[]string{"Body", "help", "OptOutType", "HELP"}, ""},

		"YES":                {[]string{"Body", "YES"}, ""},
		"in a sentence":      {[]string{"Body", "please stop"}, ""},
		"punctuation within": {[]string{"Body", "st.op"}, ""},
		"longer":             {[]string{"Body", "stopped"}, ""},
		"nothing":            {[]string{"Body", ""}, ""},
		"punctuation alone":  {[]string{"Body", "?!"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			code, text := s.call(t, "/twilio/inbound", inboundForm(tc.form...))
			require.Equal(t, http.StatusOK, code)
			require.Equal(t, noInstructions, text)
			require.Equal(t, delivery.EventInbound, s.journal.all()[0].Type)
			require.Equal(t, []string{"inbound stored"}, s.observed())
			if tc.want == "" {
				require.Len(t, s.journal.all(), 1)
				require.Empty(t, s.consents.all())
				return
			}
			require.Equal(t, []delivery.Event{consentEvent(customer, sender, tc.want)}, s.journal.all()[1:])
			require.Equal(t, []string{statement(customer, sender, tc.want == "out", "customer")}, s.consents.all())
		})
	}
}

func TestOtherConsentWords(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(cfg *callbacks.Config) {
		cfg.OptOutWords, cfg.OptInWords = []string{"Stopp.", "रोकें", "!"}, []string{}
	})
	for i, body := range []string{"STOPP", "रोकें!", "STOP", "START", ".", ""} {
		s.call(t, "/twilio/inbound", inboundForm("Body", body, "MessageSid", fmt.Sprintf("SM%032d", i)))
	}
	require.Len(t, s.consents.all(), 2, "the words of the settings stand for the default ones")
}

// Whichever address a job names, its customer and its sender are meant.
func TestAStatementHoldsForEveryAddressOfTheForm(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		route    string
		form     url.Values
		customer string
		sender   string
		told     []string
	}{
		"opaque alone": {
			"/twilio/inbound", inboundForm("Body", "stop", "From", opaque, "ExternalUserId", opaque, "WaId", ""), opaque, sender,
			[]string{statement(opaque, sender, true, "customer")},
		},
		"phone and opaque": {
			"/twilio/inbound", inboundForm("Body", "stop", "ExternalUserId", opaque), customer, sender,
			[]string{statement(customer, sender, true, "customer"), statement(opaque, sender, true, "customer")},
		},
		"through a service": {
			"/twilio/inbound", inboundForm("Body", "stop", "MessagingServiceSid", service), customer, sender,
			[]string{statement(customer, sender, true, "customer"), statement(customer, service, true, "customer")},
		},
		"through no service": {
			"/twilio/inbound", inboundForm("Body", "stop", "MessagingServiceSid", "whatsapp:+4915112345678"), customer, sender,
			[]string{statement(customer, sender, true, "customer")},
		},
		"after the first URL failed": {
			"/twilio/fallback", inboundForm("Body", "stop", "ErrorCode", "11200"), customer, sender,
			[]string{statement(customer, sender, true, "customer")},
		},
		"refused through a service": {
			path, statusForm("failed", "ErrorCode", "21610", "From", "", "MessagingServiceSid", service), customer, service,
			[]string{statement(customer, service, true, "provider")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			code, _ := s.call(t, tc.route, tc.form)
			require.Less(t, code, 300)
			require.Equal(t, tc.told, s.consents.all())
			events := s.journal.all()
			require.Equal(t, consentEvent(tc.customer, tc.sender, "out"), events[len(events)-1])
			require.NotEmpty(t, events[len(events)-1].Sender())
		})
	}
}

func TestARefusalByTheProviderIsAnOptOut(t *testing.T) {
	t.Parallel()
	for _, route := range []string{path, "/twilio/status", "/twilio/fallback"} {
		for _, word := range []string{"failed", "undelivered"} {
			s := newSite(t, nil)
			form := statusForm(word, "ErrorCode", "21610")
			code, _ := s.call(t, route, form)
			require.Equal(t, http.StatusNoContent, code)
			events := s.journal.all()
			require.Len(t, events, 2)
			require.Equal(t, word, string(events[0].Type))
			require.Equal(t, consentEvent(customer, sender, "out"), events[1], "the event is of no job and changes no state")
			require.Equal(t, []string{statement(customer, sender, true, "provider")}, s.consents.all())
		}
	}
}

func TestOtherStatusesAreNoOptOut(t *testing.T) {
	t.Parallel()
	for name, form := range map[string]url.Values{
		"another error": statusForm("undelivered", "ErrorCode", "63016"),
		"no error":      statusForm("delivered"),
		"unknown word":  statusForm("teleported", "ErrorCode", "21610"),
		"of nobody":     statusForm("failed", "ErrorCode", "21610", "To", "+4915187654321"),
		"from nobody":   statusForm("failed", "ErrorCode", "21610", "From", "+4915112345678"),
		"with a body":   statusForm("sent", "Body", "stop"),
	} {
		s := newSite(t, nil)
		code, _ := s.call(t, path, form)
		require.Equal(t, http.StatusNoContent, code, name)
		require.Empty(t, s.consents.all(), name)
		require.LessOrEqual(t, len(s.journal.all()), 1, name)
	}
}

// consentForms are one form of each source.
var consentForms = map[string]url.Values{
	"/twilio/inbound": inboundForm("Body", "stop", "ExternalUserId", opaque),
	path:              statusForm("failed", "ErrorCode", "21610"),
}

func TestConsentIsWrittenAfterWhatCameAndBeforeItsEvent(t *testing.T) {
	t.Parallel()
	for route, form := range consentForms {
		s := newSite(t, nil)
		var before [][]delivery.Event
		s.consents.before = func() { before = append(before, s.journal.all()) }
		code, _ := s.call(t, route, form)
		require.Less(t, code, 300)
		after := s.journal.all()
		require.Len(t, after, 2)
		require.Len(t, before, len(s.consents.all()))
		for _, events := range before {
			require.Equal(t, after[:1], events)
		}
		require.Equal(t, delivery.EventConsent, after[1].Type)
	}
}

func TestARepeatedStatementIsOne(t *testing.T) {
	t.Parallel()
	for route, form := range consentForms {
		s := newSite(t, nil)
		s.call(t, route, form)
		told := s.consents.all()
		code, _ := s.call(t, route, form)
		require.Less(t, code, 300)
		require.Len(t, s.journal.all(), 2)
		require.Equal(t, told, s.consents.all(), "a later word must not be undone by a repetition of this one")
		require.Contains(t, s.observed()[1], " repeated")
	}
}

func TestConsentNotRecordedIsNotAnswered(t *testing.T) {
	t.Parallel()
	for route, form := range consentForms {
		s := newSite(t, nil)
		s.consents.err = errors.New("no quorum")
		for range 2 {
			code, text := s.call(t, route, form)
			require.Equal(t, http.StatusServiceUnavailable, code)
			require.Empty(t, text)
		}
		require.Len(t, s.journal.all(), 1, "what came is stored, its consequence is not told")

		s.consents.err = nil
		code, _ := s.call(t, route, form)
		require.Less(t, code, 300)
		require.Len(t, s.journal.all(), 2)
		require.NotEmpty(t, s.consents.all())
		require.Contains(t, s.observed()[2], " stored")
	}
}

func TestConsentEventNotStoredIsNotAnswered(t *testing.T) {
	t.Parallel()
	for route, form := range consentForms {
		s := newSite(t, nil)
		s.consents.before = func() { s.journal.fail(errDown) }
		code, _ := s.call(t, route, form)
		require.Equal(t, http.StatusServiceUnavailable, code)
		require.Len(t, s.journal.all(), 1)

		s.journal.fail(nil)
		s.consents.before = nil
		code, _ = s.call(t, route, form)
		require.Less(t, code, 300)
		require.Equal(t, delivery.EventConsent, s.journal.all()[1].Type)
	}
}

// Replicas do not share what they remember: the same statement is recorded
// again, and its event has the same id.
func TestAStatementRepeatedElsewhereHasTheSameID(t *testing.T) {
	t.Parallel()
	for route, form := range consentForms {
		a, b := newSite(t, nil), newSite(t, nil)
		a.call(t, route, form)
		b.call(t, route, form)
		require.Equal(t, a.journal.all(), b.journal.all())
		require.Equal(t, a.consents.all(), b.consents.all())
	}
}

func TestWhatWasWrittenStaysOutOfTheEvents(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.call(t, "/twilio/inbound", inboundForm("OptOutType", "STOP"))
	require.Len(t, s.journal.all(), 2)
	written, err := json.Marshal(s.journal.all())
	require.NoError(t, err)
	require.NotContains(t, string(written), "secret")
	require.NotContains(t, string(written), "Jane")
}
