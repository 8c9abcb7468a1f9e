package messaging_test

import (
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/messaging"
)

var account = messaging.Account{SID: "AC1", AuthToken: "token"}

const opaque = "whatsapp:US.13491208655302741918"

func newClient(t testing.TB, cfg messaging.Config) *messaging.Client {
	client := messaging.NewClient(account, cfg)
	t.Cleanup(client.Close)
	return client
}

// provider serves handler and returns a client of it.
func provider(t testing.TB, cfg messaging.Config, handler http.HandlerFunc) *messaging.Client {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	cfg.BaseURL = server.URL
	return newClient(t, cfg)
}

func requireFailure(t testing.TB, err error) *messaging.Failure {
	var failure *messaging.Failure
	require.ErrorAs(t, err, &failure)
	return failure
}

func TestCreateOnTheWire(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		message messaging.Message
		want    url.Values
	}{
		"free form": {
			messaging.Message{
				From: "whatsapp:+15550001111", To: opaque, Body: "a+b & c", MediaURL: []string{"https://x/1", "https://x/2"},
				StatusCallback: "https://example.com/s/1#rc=5&rp=all", Validity: 90*time.Second + 999*time.Millisecond,
			},
			url.Values{
				"From": {"whatsapp:+15550001111"}, "To": {opaque}, "Body": {"a+b & c"}, "MediaUrl": {"https://x/1", "https://x/2"},
				"StatusCallback": {"https://example.com/s/1#rc=5&rp=all"}, "ValidityPeriod": {"90"},
			},
		},
		"template": {
			messaging.Message{
				MessagingServiceSID: "MG1", To: opaque, Body: "not sent", MediaURL: []string{"https://x/1"},
				ContentSID: "HX1", ContentVariables: `{"1":"Ana"}`,
			},
			url.Values{
				"MessagingServiceSid": {"MG1"}, "To": {opaque}, "ContentSid": {"HX1"},
				"ContentVariables": {`{"1":"Ana"}`}, "ValidityPeriod": {"36000"},
			},
		},
		"validity too short": {messaging.Message{Validity: time.Millisecond}, url.Values{"ValidityPeriod": {"1"}}},
		"validity negative":  {messaging.Message{Validity: -time.Hour}, url.Values{"ValidityPeriod": {"1"}}},
		"validity too long":  {messaging.Message{Validity: 11 * time.Hour}, url.Values{"ValidityPeriod": {"36000"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requests := make(chan *http.Request, 1)
			client := provider(t, messaging.Config{}, func(w http.ResponseWriter, r *http.Request) {
				_ = r.ParseForm()
				requests <- r
				w.WriteHeader(http.StatusCreated)
				_, _ = io.WriteString(w, fullResource)
			})
			res, err := client.Create(t.Context(), c.message)
			require.NoError(t, err)
			require.Equal(t, "SM0123456789abcdef0123456789abcdef", res.SID)

			r := <-requests
			require.Equal(t, "POST /2010-04-01/Accounts/AC1/Messages.json", r.Method+" "+r.RequestURI)
			require.Equal(t, "application/x-www-form-urlencoded", r.Header.Get("Content-Type"))
			require.Equal(t, "HTTP/1.1", r.Proto)
			require.Empty(t, r.Header.Get("Idempotency-Key"))
			require.Empty(t, r.Header.Get("X-Idempotency-Key"))
			require.Equal(t, c.want, r.PostForm)
		})
	}
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		account    messaging.Account
		user, pass string
	}{
		{messaging.Account{SID: "AC9", AuthToken: "t-_"}, "AC9", "t-_"},
		{messaging.Account{SID: "AC9", AuthToken: "t", KeySID: "SK1", KeySecret: "s"}, "SK1", "s"},
		{messaging.Account{SID: "AC9", AuthToken: "t", KeySID: "SK1"}, "AC9", "t"},
	} {
		requests := make(chan *http.Request, 1)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requests <- r
			_, _ = io.WriteString(w, `{"sid":"SM1"}`)
		}))
		client := messaging.NewClient(c.account, messaging.Config{BaseURL: server.URL + "/"})
		_, err := client.Fetch(t.Context(), "SM1")
		client.Close()
		server.Close()
		require.NoError(t, err)
		r := <-requests
		user, pass, _ := r.BasicAuth()
		require.Equal(t, c.user+" "+c.pass, user+" "+pass)
		require.Equal(t, "GET /2010-04-01/Accounts/AC9/Messages/SM1.json", r.Method+" "+r.RequestURI)
	}
}

// HTTP/2 would be offered over TLS and must not be taken.
func TestOneCallToAConnectionOverTLS(t *testing.T) {
	t.Parallel()
	protocols := make(chan string, 1)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protocols <- r.Proto
		_, _ = io.WriteString(w, `{"sid":"SM1"}`)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	client := newClient(t, messaging.Config{BaseURL: server.URL})
	client.Trust(roots)
	_, err := client.Create(t.Context(), messaging.Message{To: opaque})
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1", <-protocols)

	client.SetClock(func() time.Time { return time.Now().Add(time.Hour) })
	_, err = client.Create(t.Context(), messaging.Message{To: opaque})
	require.False(t, requireFailure(t, err).Written)
	require.Empty(t, protocols)
}

func TestAnswersAndWhatTheyMean(t *testing.T) {
	t.Parallel()
	long := `{"sid":"SM1","body":"` + strings.Repeat("x", 1<<20) + `"}`
	for name, c := range map[string]struct {
		status      int
		body        string
		post, fetch messaging.Class
		code        int
	}{
		"500":                   {500, `{"code":20500,"message":"oops"}`, messaging.Unknown, messaging.Retry, 20500},
		"502 html":              {502, `<html>bad gateway</html>`, messaging.Unknown, messaging.Retry, 0},
		"503":                   {503, ``, messaging.Unknown, messaging.Retry, 0},
		"500 with a 4xx code":   {500, `{"code":21211}`, messaging.Unknown, messaging.Retry, 21211},
		"401":                   {401, `{"code":20003,"message":"Authenticate"}`, messaging.AccountBroken, messaging.AccountBroken, 20003},
		"401 html":              {401, `<html>`, messaging.AccountBroken, messaging.AccountBroken, 0},
		"403 without code":      {403, `{}`, messaging.AccountBroken, messaging.AccountBroken, 0},
		"403 opted out":         {403, `{"code":21610}`, messaging.OptedOut, messaging.OptedOut, 21610},
		"400 invalid To":        {400, `{"code":21211,"message":"bad"}`, messaging.Permanent, messaging.Permanent, 21211},
		"400 window":            {400, `{"code":63016}`, messaging.Window, messaging.Window, 63016},
		"400 code as text":      {400, `{"code":"63018"}`, messaging.Limit, messaging.Limit, 63018},
		"400 overridden":        {400, `{"code":70000}`, messaging.Template, messaging.Template, 70000},
		"400 unknown code":      {400, `{"code":69999}`, messaging.Later, messaging.Later, 69999},
		"400 code of no answer": {400, `{"code":90009}`, messaging.Unknown, messaging.Retry, 90009},
		"400 html":              {400, `<html>`, messaging.Permanent, messaging.Permanent, 0},
		"404 empty":             {404, ``, messaging.AccountBroken, messaging.AccountBroken, 0},
		"404":                   {404, `{"code":20404}`, messaging.Permanent, messaging.Permanent, 20404},
		"408":                   {408, ``, messaging.Unknown, messaging.Retry, 0},
		"429":                   {429, `{"code":20429}`, messaging.Throttled, messaging.Throttled, 20429},
		"429 html":              {429, `<html>`, messaging.Throttled, messaging.Throttled, 0},
		"429 other code":        {429, `{"code":63018}`, messaging.Throttled, messaging.Throttled, 63018},
		"201 empty":             {201, ``, messaging.Unknown, messaging.Retry, 0},
		"201 html":              {201, `<html>`, messaging.Unknown, messaging.Retry, 0},
		"201 without sid":       {201, `{"status":"queued"}`, messaging.Unknown, messaging.Retry, 0},
		"201 too long":          {201, long, messaging.Unknown, messaging.Retry, 0},
		"204":                   {204, ``, messaging.Unknown, messaging.Retry, 0},
		"304":                   {304, ``, messaging.AccountBroken, messaging.AccountBroken, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			catalogue := messaging.DefaultCatalogue().With(messaging.Entry{Code: 70000, Class: messaging.Template})
			client := provider(t, messaging.Config{Catalogue: catalogue}, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Twilio-Request-Id", "RQ1")
				w.Header().Set("Retry-After", "7")
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			})
			res, err := client.Create(t.Context(), messaging.Message{To: opaque, Body: "hi"})
			require.Zero(t, res)
			failure := requireFailure(t, err)
			require.Equal(t, c.post, failure.Class)
			require.True(t, failure.Written)
			require.Equal(t, c.status, failure.HTTPStatus)
			require.Equal(t, c.code, failure.Code)
			require.Equal(t, "RQ1", failure.RequestID)
			require.Equal(t, 7*time.Second, failure.RetryAfter)
			require.NotContains(t, err.Error(), "13491208655302741918")

			_, err = client.Fetch(t.Context(), "SM1")
			failure = requireFailure(t, err)
			require.Equal(t, c.fetch, failure.Class)
			require.False(t, failure.Written)
		})
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	var followed atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Add(1) }))
	t.Cleanup(elsewhere.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		client := provider(t, messaging.Config{}, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, status)
		})
		_, err := client.Create(t.Context(), messaging.Message{To: opaque})
		require.Equal(t, messaging.AccountBroken, requireFailure(t, err).Class)
		_, err = client.List(t.Context(), opaque, "", 1)
		require.Equal(t, messaging.AccountBroken, requireFailure(t, err).Class)
	}
	require.Zero(t, followed.Load())
}
