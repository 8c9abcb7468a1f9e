package callbacks_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/callbacks"
	"github.com/sluicehq/sluice/delivery"
)

// genuine tells a form whose signature holds, whatever it says.
func genuine(t *testing.T, route, form string) (int, []delivery.Event) {
	journal, consents := &journal{}, &register{}
	h := callbacks.New(callbacks.Config{
		PublicURL: publicURL, Log: journal, Consents: consents, Intents: noIntents,
		Verifier: verdict(func(string, url.Values, []byte) bool { return true }),
		Resolver: resolver(func(string) (string, int, bool, error) { return "", 0, false, nil }),
	})
	var codes []int
	for range 2 {
		r := httptest.NewRequest(http.MethodPost, route, strings.NewReader(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("X-Twilio-Signature", "x")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		codes = append(codes, w.Code)
	}
	require.Equal(t, codes[0], codes[1])
	ids := map[string]bool{}
	for _, e := range journal.all() {
		require.False(t, ids[e.ID], "a repetition is one event")
		ids[e.ID] = true
		require.Equal(t, e.Type == delivery.EventConsent, ids["consent:"+e.SID])
	}
	require.LessOrEqual(t, len(ids), 2)
	require.Equal(t, len(ids) == 2, len(consents.all()) > 0, "a statement is recorded and told")
	return codes[0], journal.all()
}

func FuzzStatusForm(f *testing.F) {
	f.Add(statusForm("delivered").Encode())
	f.Add(statusForm("undelivered", "ErrorCode", "63018", "ErrorMessage", "\xff").Encode())
	f.Add(statusForm("failed", "ErrorCode", "21610", "MessagingServiceSid", service).Encode())
	f.Add("MessageStatus=sent;MessageSid=%")
	f.Fuzz(func(t *testing.T, form string) {
		code, events := genuine(t, "/twilio/status", form)
		require.Contains(t, []int{204, 400, 413}, code)
		for _, e := range events {
			require.Equal(t, 204, code)
			require.Equal(t, e.Type.Status(), e.Status)
			require.Equal(t, e.Type == delivery.EventConsent, e.Status == "")
			require.True(t, e.From == "" || e.Sender() != "")
			require.True(t, e.To == "" || delivery.ValidCustomer(e.To))
			require.LessOrEqual(t, len(e.ID), 128)
			require.NotContains(t, e.ID, " ")
			written, err := json.Marshal(e)
			require.NoError(t, err)
			require.Less(t, len(written), 8<<10)
		}
	})
}

func FuzzInboundForm(f *testing.F) {
	f.Add(inboundForm().Encode(), false)
	f.Add(inboundForm("From", "whatsapp:US.1", "ExternalUserId", "whatsapp:US.1").Encode(), true)
	f.Add(inboundForm("Body", "stop!", "ExternalUserId", "whatsapp:US.1").Encode(), false)
	f.Add(inboundForm("OptOutType", "START").Encode(), true)
	f.Add("From=&To=&MessageSid=", true)
	f.Fuzz(func(t *testing.T, form string, fallback bool) {
		route := "/twilio/inbound"
		if fallback {
			route = "/twilio/fallback"
		}
		code, events := genuine(t, route, form)
		require.Contains(t, []int{200, 204, 400, 413}, code)
		for _, e := range events {
			if e.Type != delivery.EventInbound && e.Type != delivery.EventConsent {
				require.True(t, fallback)
				continue
			}
			require.True(t, fallback || code == 200)
			require.True(t, delivery.ValidCustomer(e.Customer()))
			require.NotEmpty(t, e.Sender())
			require.Empty(t, e.Job)
			for name := range e.Metadata {
				require.Equal(t, callbacks.MetadataExternalUser, name)
			}
		}
	})
}
