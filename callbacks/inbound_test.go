package callbacks_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/callbacks"
	"github.com/sluicehq/sluice/delivery"
)

const noInstructions = `<?xml version="1.0" encoding="UTF-8"?><Response/>`

func TestInbound(t *testing.T) {
	t.Parallel()
	const opaque = "whatsapp:US.13491208655302741918"
	for name, tc := range map[string]struct {
		form url.Values
		from string
		meta map[string]string
	}{
		"phone":              {inboundForm(), customer, nil},
		"phone and opaque":   {inboundForm("ExternalUserId", opaque), customer, map[string]string{callbacks.MetadataExternalUser: opaque}},
		"opaque alone":       {inboundForm("From", opaque, "WaId", ""), opaque, nil},
		"opaque twice":       {inboundForm("From", opaque, "ExternalUserId", opaque), opaque, nil},
		"external not an id": {inboundForm("ExternalUserId", "x y"), customer, nil},
		"media, no text":     {inboundForm("Body", "", "NumMedia", "1", "MediaUrl0", "https://api.example.com/my secret"), customer, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			code, text := s.call(t, "/twilio/inbound", tc.form)
			require.Equal(t, http.StatusOK, code)
			require.Equal(t, noInstructions, text)
			require.Equal(t, []delivery.Event{{
				ID: "in:" + sid, Type: delivery.EventInbound, At: received,
				From: tc.from, To: sender, SID: sid, Metadata: tc.meta,
			}}, s.journal.all())
			require.Equal(t, []string{"inbound stored"}, s.observed())
			var same []string
			if other := tc.meta[callbacks.MetadataExternalUser]; other != "" {
				same = []string{tc.from + " is " + other}
			}
			require.Equal(t, same, s.aliases.all())

			written, err := json.Marshal(s.journal.all())
			require.NoError(t, err)
			require.NotContains(t, string(written), "secret")
			require.NotContains(t, string(written), "Jane")
		})
	}
}

// An alias that could not be stored is stored by the provider's repetition.
func TestAliasIsStoredBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.aliases.err = errors.New("no facts")
	form := inboundForm("ExternalUserId", "whatsapp:US.13491208655302741918")
	code, _ := s.call(t, "/twilio/inbound", form)
	require.Equal(t, http.StatusServiceUnavailable, code)
	s.aliases.err = nil
	code, _ = s.call(t, "/twilio/inbound", form)
	require.Equal(t, http.StatusOK, code)
	require.Len(t, s.aliases.all(), 2)
	require.Len(t, s.journal.all(), 1)

	s.call(t, "/twilio/inbound", inboundForm("ExternalUserId", "whatsapp:+4915100000000"))
	require.Len(t, s.aliases.all(), 2, "another phone is another customer")
}

func TestInboundOfOtherChannelsIsIgnored(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	code, text := s.call(t, "/twilio/inbound", inboundForm("From", "+4915187654321", "To", "+4915112345678"))
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, noInstructions, text)
	require.Empty(t, s.journal.all())
	require.Equal(t, []string{"inbound ignored"}, s.observed())
}

func TestMalformedInbound(t *testing.T) {
	t.Parallel()
	for _, field := range []string{"From", "To"} {
		s := newSite(t, nil)
		code, _ := s.call(t, "/twilio/inbound", inboundForm(field, ""))
		require.Equal(t, http.StatusBadRequest, code)
		require.Empty(t, s.journal.all())
	}
	s := newSite(t, nil)
	code, _ := s.call(t, "/twilio/inbound", inboundForm("MessageSid", "in:1"))
	require.Equal(t, http.StatusBadRequest, code)
}

func TestFallback(t *testing.T) {
	t.Parallel()
	failure := []string{"ErrorCode", "11200", "ErrorUrl", "https://hooks.example.com/twilio/inbound"}
	for name, tc := range map[string]struct {
		form url.Values
		code int
		id   string
		err  *delivery.Error
	}{
		"inbound":                  {inboundForm(failure...), 200, "in:" + sid, nil},
		"inbound, being received":  {inboundForm(append(failure, "MessageStatus", "received")...), 200, "in:" + sid, nil},
		"status":                   {statusForm("delivered", failure...), 204, "cb:" + sid + ":delivered:0", nil},
		"status with its own code": {statusForm("undelivered", "ErrorCode", "63018"), 204, "cb:" + sid + ":undelivered:63018", &delivery.Error{Code: 63018}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var logged bytes.Buffer
			s := newSite(t, func(cfg *callbacks.Config) {
				cfg.Logger = slog.New(slog.NewTextHandler(&logged, nil))
				cfg.Resolver = resolver(func(string) (string, int, bool, error) { return "order-1", 1, true, nil })
			})
			code, text := s.call(t, "/twilio/fallback", tc.form)
			require.Equal(t, tc.code, code)
			require.Equal(t, tc.code == 200, text == noInstructions)
			require.Equal(t, tc.id, s.journal.all()[0].ID)
			require.Equal(t, tc.err, s.journal.all()[0].Error)
			require.Equal(t, []string{"fallback stored"}, s.observed())
			require.Contains(t, logged.String(), tc.form.Get("ErrorCode"))
			require.Contains(t, logged.String(), tc.form.Get("ErrorUrl"))
			require.NotContains(t, logged.String(), "15187654321")
		})
	}
}
