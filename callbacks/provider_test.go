package callbacks_test

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/callbacks"
	"github.com/sluicehq/sluice/delivery"
)

const (
	account   = "AC00000000000000000000000000000001"
	stranger  = "AC00000000000000000000000000000002"
	token     = "12345"
	publicURL = "https://hooks.example.com"
	sid       = "SM0123456789abcdef0123456789abcdef"
	sender    = "whatsapp:+4915112345678"
	customer  = "whatsapp:+4915187654321"
)

var received = time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)

// sign is the provider's side of the signature: HMAC-SHA1 over the URL and the
// fields in the order of their names, each with its distinct sorted values.
func sign(token, address string, form url.Values) string {
	mac := hmac.New(sha1.New, []byte(token))
	io.WriteString(mac, address)
	for _, name := range slices.Sorted(maps.Keys(form)) {
		for _, value := range slices.Compact(slices.Sorted(slices.Values(form[name]))) {
			io.WriteString(mac, name+value)
		}
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// The signer agrees with a published example of the scheme.
func TestSigner(t *testing.T) {
	t.Parallel()
	require.Equal(t, "RSOYDt4T1cUTdK1PDd93/VVr8B8=", sign("12345", "https://mycompany.com/myapp.php?foo=1&bar=2", url.Values{
		"CallSid": {"CA1234567890ABCDE"}, "Caller": {"+14158675309"}, "Digits": {"1234"},
		"From": {"+14158675309"}, "To": {"+18005551212"},
	}))
}

// tokens is a verifier that knows the given accounts.
type tokens map[string]string

func (k tokens) Verify(account, address string, form url.Values, _ []byte, signature string) bool {
	key, known := k[account]
	return known && hmac.Equal([]byte(sign(key, address, form)), []byte(signature))
}

// journal is a log that remembers, and fails when told to.
type journal struct {
	mu     sync.Mutex
	events []delivery.Event
	err    error
	before func()
}

func (j *journal) Append(ctx context.Context, e delivery.Event) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.before != nil {
		j.before()
	}
	if err := cmp.Or(j.err, ctx.Err()); err != nil {
		return err
	}
	j.events = append(j.events, e)
	return nil
}

func (j *journal) fail(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.err = err
}

func (j *journal) all() []delivery.Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.events)
}

type resolver func(sid string) (string, int, bool, error)

func (f resolver) BySID(_ context.Context, sid string) (string, int, bool, error) { return f(sid) }

// intents are what the log has by sender and job.
type intents func(sender, job string) (delivery.Intent, bool, error)

func (f intents) LastIntent(_ context.Context, sender, job string) (delivery.Intent, bool, error) {
	return f(sender, job)
}

var noIntents = intents(func(string, string) (delivery.Intent, bool, error) { return delivery.Intent{}, false, nil })

var errDown = errors.New("redis does not answer")

// site is a callbacks role behind a real HTTP server.
type site struct {
	journal  *journal
	consents *register
	aliases  register
	client   *http.Client
	address  string // what reaches the server
	public   string // what the provider believes it calls

	mu   sync.Mutex
	seen []string // kind and result of every observation
}

func newSite(t testing.TB, change func(*callbacks.Config)) *site {
	t.Helper()
	s := &site{journal: &journal{}, consents: &register{}, public: publicURL}
	cfg := callbacks.Config{
		PublicURL: publicURL,
		Verifier:  tokens{account: token},
		Log:       s.journal,
		Consents:  s.consents,
		Aliases:   &s.aliases,
		Intents:   noIntents,
		Resolver:  resolver(func(string) (string, int, bool, error) { return "", 0, false, nil }),
		Now:       func() time.Time { return received },
		Observe: func(kind, result string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.seen = append(s.seen, kind+" "+result)
		},
	}
	if change != nil {
		change(&cfg)
	}
	server := httptest.NewServer(callbacks.New(cfg))
	t.Cleanup(server.Close)
	s.client, s.address = server.Client(), server.URL
	return s
}

func (s *site) observed() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// call posts a form as the provider does, signed for the public URL.
func (s *site) call(t testing.TB, path string, form url.Values) (int, string) {
	t.Helper()
	return s.send(t, path, form, sign(token, s.public+path, form))
}

func (s *site) send(t testing.TB, path string, form url.Values, signature string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, s.address+path, strings.NewReader(form.Encode()))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
	if signature != "" {
		r.Header.Set("X-Twilio-Signature", signature)
	}
	return s.do(t, r)
}

func (s *site) do(t testing.TB, r *http.Request) (int, string) {
	t.Helper()
	response, err := s.client.Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	if len(text) > 0 && response.StatusCode == http.StatusOK {
		require.Equal(t, "text/xml", response.Header.Get("Content-Type"))
	}
	return response.StatusCode, string(text)
}

func statusForm(word string, more ...string) url.Values {
	form := url.Values{
		"AccountSid": {account}, "ApiVersion": {"2010-04-01"}, "ChannelPrefix": {"whatsapp"},
		"MessageSid": {sid}, "SmsSid": {sid}, "MessageStatus": {word}, "SmsStatus": {word},
		"From": {sender}, "To": {customer},
	}
	return with(form, more...)
}

func inboundForm(more ...string) url.Values {
	form := url.Values{
		"AccountSid": {account}, "ApiVersion": {"2010-04-01"}, "MessageSid": {sid}, "SmsMessageSid": {sid},
		"SmsStatus": {"received"}, "From": {customer}, "To": {sender}, "Body": {"my secret"},
		"ProfileName": {"Jane Doe"}, "WaId": {"4915187654321"}, "NumMedia": {"0"},
	}
	return with(form, more...)
}

// with sets fields given as name, value, …; an empty value takes one away.
func with(form url.Values, more ...string) url.Values {
	for pair := range slices.Chunk(more, 2) {
		if form.Set(pair[0], pair[1]); pair[1] == "" {
			form.Del(pair[0])
		}
	}
	return form
}
