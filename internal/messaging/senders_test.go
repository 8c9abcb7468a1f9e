package messaging_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/messaging"
)

const senderSID = "XE0000000000000000000000000000000a"

// aSender is a sender as the vendor's reference shows one: a part of the
// fields null, some that are not documented.
const aSender = `{
  "sid": "XE0000000000000000000000000000000a", "status": "OFFLINE", "sender_id": "whatsapp:+15550001111",
  "configuration": {"waba_id": "1234567890", "verification_method": null, "voice_application_sid": "", "account_type": null},
  "webhook": {"callback_url": "https://example.com/in", "callback_method": "POST", "fallback_url": null,
    "status_callback_url": "https://example.com/status", "status_callback_method": "POST"},
  "profile": {"name": "Shop", "about": "Hello", "websites": [{"website": "https://example.com", "label": "Website"}], "emails": null},
  "properties": {"quality_rating": "HIGH", "messaging_limit": "10K Customers/24hr"},
  "offline_reasons": [{"code": "63112", "message": "the WABA was disabled", "more_info": "https://www.twilio.com/docs/errors/63112"}],
  "compliance": null, "url": "https://messaging.twilio.com/v2/Channels/Senders/XE0000000000000000000000000000000a", "new_field": 1}`

// sent is a request as it arrived.
type sent struct {
	method, path, contentType string
	query                     url.Values
	body                      map[string]any
	user, password            string
}

// sendersAPI serves handler, hands over what arrived, and returns a client.
func sendersAPI(t *testing.T, status int, answer string) (*messaging.SendersClient, <-chan sent) {
	t.Helper()
	requests := make(chan sent, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := sent{method: r.Method, path: r.URL.Path, contentType: r.Header.Get("Content-Type"), query: r.URL.Query()}
		s.user, s.password, _ = r.BasicAuth()
		_ = json.NewDecoder(r.Body).Decode(&s.body)
		requests <- s
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	client := messaging.NewSendersClient(messaging.Account{SID: "AC1", KeySID: "SK1", KeySecret: "secret"},
		messaging.Config{BaseURL: server.URL})
	t.Cleanup(client.Close)
	return client, requests
}

func TestSendersRequestsAgreeWithTheReference(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		call         func(*messaging.SendersClient) (messaging.ChannelSender, error)
		method, path string
		body         string
	}{
		"register": {
			func(c *messaging.SendersClient) (messaging.ChannelSender, error) {
				return c.Register(t.Context(), messaging.SenderRequest{
					Address:       "whatsapp:+15550001111",
					Configuration: &messaging.SenderConfiguration{WABA: "12", VerificationMethod: "voice"},
					Webhook:       &messaging.SenderWebhook{CallbackURL: "https://x/in", CallbackMethod: "POST", FallbackURL: "https://x/f", StatusURL: "https://x/s"},
					Profile: &messaging.SenderProfile{Name: "Shop", Websites: []messaging.ProfileWebsite{{Website: "https://x"}},
						Emails: []messaging.ProfileEmail{{Email: "a@x", Label: "Mail"}}},
				})
			},
			"POST", "/v2/Channels/Senders",
			`{"sender_id":"whatsapp:+15550001111","configuration":{"waba_id":"12","verification_method":"voice"},
			  "webhook":{"callback_url":"https://x/in","callback_method":"POST","fallback_url":"https://x/f","status_callback_url":"https://x/s"},
			  "profile":{"name":"Shop","websites":[{"website":"https://x"}],"emails":[{"email":"a@x","label":"Mail"}]}}`,
		},
		"update sends what it changes alone": {
			func(c *messaging.SendersClient) (messaging.ChannelSender, error) {
				return c.Update(t.Context(), senderSID, messaging.SenderRequest{
					Address: "whatsapp:+15550001111", Profile: &messaging.SenderProfile{About: "Open"}})
			},
			"POST", "/v2/Channels/Senders/" + senderSID, `{"profile":{"about":"Open"}}`,
		},
		"verify": {
			func(c *messaging.SendersClient) (messaging.ChannelSender, error) {
				return c.Verify(t.Context(), senderSID, "012345")
			},
			"POST", "/v2/Channels/Senders/" + senderSID, `{"configuration":{"verification_code":"012345"}}`,
		},
		"a new code": {
			func(c *messaging.SendersClient) (messaging.ChannelSender, error) {
				return c.RequestCode(t.Context(), senderSID, "voice")
			},
			"POST", "/v2/Channels/Senders/" + senderSID, `{"configuration":{"verification_method":"voice"}}`,
		},
		"fetch": {
			func(c *messaging.SendersClient) (messaging.ChannelSender, error) {
				return c.Fetch(t.Context(), senderSID)
			},
			"GET", "/v2/Channels/Senders/" + senderSID, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, requests := sendersAPI(t, http.StatusAccepted, aSender)
			got, err := c.call(client)
			require.NoError(t, err)
			require.Equal(t, senderSID, got.SID)
			r := <-requests
			require.Equal(t, c.method, r.method)
			require.Equal(t, c.path, r.path)
			require.Equal(t, []string{"SK1", "secret"}, []string{r.user, r.password})
			if c.body == "" {
				require.Empty(t, r.body)
				return
			}
			require.Equal(t, "application/json", r.contentType)
			var want map[string]any
			require.NoError(t, json.Unmarshal([]byte(c.body), &want))
			require.Equal(t, want, r.body)
		})
	}
}

func TestSenderIsReadAsTheReferenceShowsIt(t *testing.T) {
	t.Parallel()
	client, _ := sendersAPI(t, http.StatusOK, aSender)
	got, err := client.Fetch(t.Context(), senderSID)
	require.NoError(t, err)
	require.Equal(t, messaging.ChannelSender{
		SID: senderSID, Address: "whatsapp:+15550001111", Status: messaging.SenderOffline,
		Configuration: messaging.SenderConfiguration{WABA: "1234567890"},
		Webhook: messaging.SenderWebhook{CallbackURL: "https://example.com/in", CallbackMethod: "POST",
			StatusURL: "https://example.com/status", StatusMethod: "POST"},
		Profile: messaging.SenderProfile{Name: "Shop", About: "Hello",
			Websites: []messaging.ProfileWebsite{{Website: "https://example.com", Label: "Website"}}},
		Properties: messaging.SenderProperties{Quality: "HIGH", Limit: "10K Customers/24hr"},
		Reasons: []messaging.OfflineReason{{Code: "63112", Message: "the WABA was disabled",
			MoreInfo: "https://www.twilio.com/docs/errors/63112"}},
	}, got)
}

func TestOnlyOnlineSendersSend(t *testing.T) {
	t.Parallel()
	sends := map[messaging.SenderStatus]bool{
		messaging.SenderOnline: true, messaging.SenderUpdating: true,
		messaging.SenderCreating: false, messaging.SenderPendingVerification: false, messaging.SenderVerifying: false,
		messaging.SenderTwilioReview: false, messaging.SenderOffline: false, messaging.SenderDraft: false,
		messaging.SenderStubbed: false, "ONLINE_SOMEHOW": false, "": false,
	}
	for status, want := range sends {
		require.Equal(t, want, status.Sends(), "%q", status)
	}
}

func TestSendersListFollowsItsPages(t *testing.T) {
	t.Parallel()
	var server *httptest.Server
	var asked []url.Values
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Query())
		n := len(asked)
		next := fmt.Sprintf(`"https://messaging.twilio.com/v2/Channels/Senders?Channel=whatsapp&PageSize=100&Page=%d&PageToken=T%d"`, n, n)
		if n == 3 {
			next = "null"
		}
		fmt.Fprintf(w, `{"senders":[{"sid":"XE%d","sender_id":"whatsapp:+1555000111%d"}],"meta":{"key":"senders","next_page_url":%s}}`, n, n, next)
	}))
	t.Cleanup(server.Close)
	client := messaging.NewSendersClient(account, messaging.Config{BaseURL: server.URL + "/"})
	t.Cleanup(client.Close)

	all, err := client.List(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 3)
	require.Equal(t, "XE3", all[2].SID)
	for n, query := range asked {
		require.Equal(t, "whatsapp", query.Get("Channel"), "required by the API")
		require.Regexp(t, regexp.MustCompile(`^([1-9]\d{0,2}|1000)$`), query.Get("PageSize"))
		if n > 0 {
			require.Equal(t, fmt.Sprintf("T%d", n), query.Get("PageToken"))
		}
	}
}

func TestSendersFailures(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		body   string
		class  messaging.Class
		code   int
	}{
		"refused":          {400, `{"code":63101,"message":"the WABA id is unusable","status":400}`, messaging.SenderBroken, 63101},
		"bad credentials":  {401, `{"code":20003,"message":"Authenticate","status":401}`, messaging.AccountBroken, 20003},
		"too many":         {429, `{"code":20429,"message":"Too Many Requests"}`, messaging.Throttled, 20429},
		"server error":     {500, `{"code":20500,"message":"Internal"}`, messaging.Unknown, 20500},
		"html of a proxy":  {502, `<html>Bad Gateway</html>`, messaging.Unknown, 0},
		"success, no sid":  {202, `{}`, messaging.Unknown, 0},
		"success, no json": {202, `ok`, messaging.Unknown, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, _ := sendersAPI(t, c.status, c.body)
			_, err := client.Register(t.Context(), messaging.SenderRequest{Address: "whatsapp:+15550001111"})
			failure := requireFailure(t, err)
			require.Equal(t, c.class, failure.Class)
			require.Equal(t, c.code, failure.Code)
			require.True(t, strings.HasPrefix(err.Error(), "senders api: "), err.Error())
		})
	}
}

func TestSendersListIsWholeOrNothing(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"no list":          `{"meta":{}}`,
		"no sid":           `{"senders":[{"status":"ONLINE"}]}`,
		"no json":          `<html>`,
		"link to nowhere":  `{"senders":[{"sid":"XE1"}],"meta":{"next_page_url":"https://elsewhere.example/"}}`,
		"link not a URL":   `{"senders":[{"sid":"XE1"}],"meta":{"next_page_url":"%zz"}}`,
		"list of the void": `null`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, _ := sendersAPI(t, http.StatusOK, body)
			all, err := client.List(t.Context())
			requireFailure(t, err)
			require.Empty(t, all)
		})
	}
}

func TestSenderIsDeleted(t *testing.T) {
	t.Parallel()
	client, requests := sendersAPI(t, http.StatusNoContent, "")
	require.NoError(t, client.Delete(t.Context(), senderSID))
	r := <-requests
	require.Equal(t, []string{"DELETE", "/v2/Channels/Senders/" + senderSID}, []string{r.method, r.path})

	refusing, _ := sendersAPI(t, http.StatusNotFound, `{"code":20404,"message":"not found"}`)
	require.Equal(t, 404, requireFailure(t, refusing.Delete(t.Context(), senderSID)).HTTPStatus)
}

// FuzzDecodeSenderPage: whatever comes, a page is whole or an error, and never
// leads to another host.
func FuzzDecodeSenderPage(f *testing.F) {
	f.Add([]byte(`{"senders":[` + aSender + `],"meta":{"next_page_url":"https://x/v2?Page=1"}}`))
	f.Add([]byte(`{"senders":[]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		sids, next, err := messaging.DecodeSenderPage(body)
		if err != nil {
			require.Empty(t, next)
			return
		}
		require.NotContains(t, sids, "")
	})
}
