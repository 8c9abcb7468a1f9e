package sandbox_test

import (
	"net/http"
	"net/mail"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/sandbox"
)

func TestCreateAnswersWithTheResource(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Config{Now: newClock().Now, PublicURL: "https://example.com/twilio/"})
	got := r.send(`ContentVariables={"2":"10:00","1":"Ana"}`)
	require.Equal(t, http.StatusCreated, got.status)
	require.Regexp(t, regexp.MustCompile(`^SM[0-9a-f]{32}$`), got.body["sid"])
	require.NotEmpty(t, got.header.Get("Twilio-Request-Id"))
	for field, want := range map[string]any{
		"account_sid": account, "api_version": "2010-04-01", "body": "Ana 10:00",
		"direction": "outbound-api", "from": from, "to": to, "status": "queued",
		"error_code": nil, "error_message": nil, "date_sent": nil, "price": nil,
		"messaging_service_sid": nil, "num_media": "0",
		"date_created": "Sun, 01 Mar 2026 12:00:00 +0000",
		"uri":          "/twilio/2010-04-01/Accounts/" + account + "/Messages/" + got.body["sid"].(string) + ".json",
	} {
		require.Contains(t, got.body, field)
		require.Equal(t, want, got.body[field], field)
	}
}

func TestCreateThroughAService(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Config{})
	got := r.send("From=", "MessagingServiceSid="+service, "MediaUrl=https://example.com/a.png", "ContentSid=")
	require.Equal(t, http.StatusCreated, got.status)
	require.Nil(t, got.body["from"], "the service has not picked yet")
	require.Equal(t, "accepted", got.body["status"])
	require.Equal(t, service, got.body["messaging_service_sid"])
	sid := got.body["sid"].(string)
	require.True(t, strings.HasPrefix(sid, "MM"), "a message with media")
	require.Equal(t, service, r.entry(sid, "undelivered").From)
	require.Contains(t, r.get("Messages/" + sid + ".json").body["from"], "whatsapp:+1555")
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Config{})
	media := form("ContentSid=")
	for range 11 {
		media.Add("MediaUrl", "https://example.com/a.png")
	}
	cases := []struct {
		name string
		form url.Values
		code int
	}{
		{"no To", form("To="), 21604},
		{"To without prefix", form("To=+4915112345678"), 21211},
		{"To with a leading zero", form("To=whatsapp:+04915112345678"), 21211},
		{"To too long", form("To=whatsapp:DE." + strings.Repeat("a", 129)), 21211},
		{"no From", form("From="), 21603},
		{"From of another channel", form("From=+15550001111"), 21910},
		{"From malformed", form("From=whatsapp:+1"), 21212},
		{"service malformed", form("From=", "MessagingServiceSid=MG1"), 21701},
		{"no content", form("ContentSid="), 21602},
		{"body too long", form("ContentSid=", "Body="+strings.Repeat("ä", 1601)), 21617},
		{"too many media", media, 21623},
		{"bad media", form("ContentSid=", "MediaUrl=ftp://example.com/a"), 21620},
		{"bad ContentSid", form("ContentSid=HX1"), 21655},
		{"variables without template", form("ContentSid=", "Body=x", "ContentVariables={}"), 21654},
		{"variables no JSON", form("ContentVariables={"), 21656},
		{"variables no object", form(`ContentVariables=["1"]`), 21656},
		{"variables null", form(`ContentVariables=null`), 21656},
		{"callback no URL", form("StatusCallback=example.com/x"), 21609},
		{"callback host with underscore", form("StatusCallback=http://my_host/x"), 21609},
		{"validity 0", form("ValidityPeriod=0"), 21624},
		{"validity too long", form("ValidityPeriod=36001"), 21624},
		{"validity no number", form("ValidityPeriod=1h"), 21624},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := r.do(r.api("POST", "Messages.json", c.form))
			require.NoError(t, err)
			requireProblem(t, got, http.StatusBadRequest, c.code)
		})
	}
	require.Empty(t, r.box.Ledger())
}

func TestCreateAcceptsTheBounds(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Config{})
	r.sent("ContentSid=", "Body="+strings.Repeat("ä", 1600))
	r.sent("ValidityPeriod=1")
	r.sent("ValidityPeriod=36000")
	r.sent("To=whatsapp:DE." + strings.Repeat("a", 128))
	r.sent("To=whatsapp:+1234567")
	r.sent("MessagingServiceSid="+service, "StatusCallback=http://127.0.0.1:1/x?y=1#rc=0")
	require.Len(t, r.box.Ledger(), 6)
}

func requireProblem(t *testing.T, got reply, status, code int) {
	t.Helper()
	require.Equal(t, status, got.status, "%v", got.body)
	require.EqualValues(t, code, got.body["code"], "%v", got.body)
	require.EqualValues(t, status, got.body["status"])
	require.NotEmpty(t, got.body["message"])
	require.Contains(t, got.body["more_info"], "/docs/errors/")
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Config{})
	cases := []struct {
		name, user, secret string
		status             int
	}{
		{"account", account, "anything", http.StatusCreated},
		{"API key", "SK00000000000000000000000000000001", "anything", http.StatusCreated},
		{"none", "", "", http.StatusUnauthorized},
		{"empty password", account, "", http.StatusUnauthorized},
		{"the refused password", account, "invalid", http.StatusUnauthorized},
		{"another account", "AC00000000000000000000000000000002", "anything", http.StatusUnauthorized},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			req := r.api("POST", "Messages.json", form())
			req.Header.Del("Authorization")
			if c.user != "" {
				req.SetBasicAuth(c.user, c.secret)
			}
			got, err := r.do(req)
			require.NoError(t, err)
			require.Equal(t, c.status, got.status)
			if c.status == http.StatusUnauthorized {
				requireProblem(t, got, c.status, 20003)
			}
		})
	}
	require.Len(t, r.box.Ledger(), 2)
}

func TestStrictKnowsOnlySendersPutByHand(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Config{Strict: true})
	requireProblem(t, r.send(), http.StatusBadRequest, 63007)
	r.ok("PUT", "/sandbox/senders/"+sender, `{}`)
	r.sent()
	r.ok("PUT", "/sandbox/senders/"+sender, `{"status":"OFFLINE"}`)
	requireProblem(t, r.send(), http.StatusBadRequest, 63007)
	r.ok("PUT", "/sandbox/senders/"+sender, `{"status":"ONLINE:UPDATING"}`)
	r.sent()
	require.Equal(t, http.StatusBadRequest, r.control("POST", "/sandbox/inbound",
		`{"from":"`+to+`","to":"whatsapp:+15550002222","body":"hi"}`).status)
}

func TestFetch(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Config{ReadShare: -1})
	sid := r.sent()
	r.entry(sid, "delivered")
	got := r.get("Messages/" + sid + ".json")
	require.Equal(t, "delivered", got.body["status"])
	_, err := mail.ParseDate(got.body["date_sent"].(string))
	require.NoError(t, err)

	requireProblem(t, r.get("Messages/SM00000000000000000000000000000000.json"), http.StatusNotFound, 20404)
	requireProblem(t, r.get("Messages/"+sid), http.StatusNotFound, 20404)
	requireProblem(t, r.get("/2010-04-01/Accounts/"+account+"/Calls.json"), http.StatusNotFound, 20404)

	other := r.api("GET", "/2010-04-01/Accounts/AC2/Messages/"+sid+".json", nil)
	other.SetBasicAuth("AC2", "x")
	got, err = r.do(other)
	require.NoError(t, err)
	requireProblem(t, got, http.StatusNotFound, 20404)
}

func TestListPages(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Config{})
	var newest []string
	for range 5 {
		newest = append([]string{r.sent()}, newest...)
		r.sent("To=whatsapp:+4915100000000")
		r.sent("From=whatsapp:+15550002222")
	}
	path := "Messages.json?" + url.Values{"To": {to}, "From": {from}, "PageSize": {"2"}}.Encode()
	var got []string
	for page := 0; path != ""; page++ {
		answer := r.get(path)
		require.Equal(t, http.StatusOK, answer.status)
		require.EqualValues(t, page, answer.body["page"])
		require.EqualValues(t, 2, answer.body["page_size"])
		got = append(got, sids(answer)...)
		if page == 0 {
			r.sent() // must not shift the pages that follow
		}
		path, _ = answer.body["next_page_uri"].(string)
		require.False(t, strings.HasPrefix(path, "http"), "relative")
	}
	require.Equal(t, newest, got)

	second := sids(r.get("Messages.json?" + url.Values{
		"To": {to}, "From": {from}, "PageSize": {"3"}, "Page": {"1"},
	}.Encode()))
	require.Equal(t, newest[2:], second, "without a token pages count from the newest")
}

func TestListFilters(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Config{})
	a := r.sent()
	b := r.sent("To=whatsapp:+4915100000000")
	c := r.sent("From=whatsapp:+15550002222")
	for query, want := range map[string][]string{
		"":                                  {c, b, a},
		"To=" + url.QueryEscape(to):         {c, a},
		"From=" + url.QueryEscape(from):     {b, a},
		"To=whatsapp%3A%2B999999999":        {},
		"PageSize=2":                        {c, b},
		"PageSize=2&Page=1":                 {a},
		"From=" + from:                      {}, // a raw + is a space
		"PageToken=PASM0&PageSize=1&Page=0": {c},
	} {
		require.Equal(t, want, sids(r.get("Messages.json?"+query)), query)
	}
	requireProblem(t, r.get("Messages.json?DateSent%3E=2026-01-01"), http.StatusBadRequest, 20001)

	other := r.api("GET", "/2010-04-01/Accounts/AC2/Messages.json", nil)
	other.SetBasicAuth("AC2", "x")
	got, err := r.do(other)
	require.NoError(t, err)
	require.Empty(t, sids(got), "another account sees nothing")
}

func sids(answer reply) []string {
	got := []string{}
	for _, m := range answer.body["messages"].([]any) {
		got = append(got, m.(map[string]any)["sid"].(string))
	}
	return got
}
