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
	journal := &journal{}
	h := callbacks.New(callbacks.Config{
		PublicURL: publicURL, Log: journal,
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
	require.LessOrEqual(t, len(journal.all()), 1, "a repetition is one event")
	return codes[0], journal.all()
}

func FuzzStatusForm(f *testing.F) {
	f.Add(statusForm("delivered").Encode())
	f.Add(statusForm("undelivered", "ErrorCode", "63018", "ErrorMessage", "\xff").Encode())
	f.Add("MessageStatus=sent;MessageSid=%")
	f.Fuzz(func(t *testing.T, form string) {
		code, events := genuine(t, "/twilio/status", form)
		require.Contains(t, []int{204, 400, 413}, code)
		for _, e := range events {
			require.Equal(t, 204, code)
			require.NotEmpty(t, e.Type.Status())
			require.Equal(t, e.Type.Status(), e.Status)
			require.True(t, e.From == "" || delivery.ValidPhone(e.From))
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
	f.Add("From=&To=&MessageSid=", true)
	f.Fuzz(func(t *testing.T, form string, fallback bool) {
		route := "/twilio/inbound"
		if fallback {
			route = "/twilio/fallback"
		}
		code, events := genuine(t, route, form)
		require.Contains(t, []int{200, 204, 400, 413}, code)
		for _, e := range events {
			if e.Type != delivery.EventInbound {
				require.True(t, fallback)
				continue
			}
			require.Equal(t, 200, code)
			require.True(t, delivery.ValidCustomer(e.From))
			require.NotEmpty(t, e.Sender())
			require.Empty(t, e.Job)
			for name := range e.Metadata {
				require.Equal(t, callbacks.MetadataExternalUser, name)
			}
		}
	})
}
