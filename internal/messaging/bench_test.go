package messaging_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/messaging"
)

func benchServer(b *testing.B) *httptest.Server {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, fullResource)
	}))
	b.Cleanup(server.Close)
	return server
}

// BenchmarkCreate beside BenchmarkRawPost shows what the client adds to a bare
// POST of the same form.
func BenchmarkCreate(b *testing.B) {
	client := messaging.NewClient(account, messaging.Config{BaseURL: benchServer(b).URL})
	b.Cleanup(client.Close)
	message := messaging.Message{From: "whatsapp:+15550001111", To: opaque, ContentSID: "HX1", ContentVariables: `{"1":"Ana"}`}
	b.ReportAllocs()
	for b.Loop() {
		_, err := client.Create(b.Context(), message)
		require.NoError(b, err)
	}
}

func BenchmarkRawPost(b *testing.B) {
	target := benchServer(b).URL + "/2010-04-01/Accounts/AC1/Messages.json"
	client := &http.Client{Transport: &http.Transport{}}
	b.Cleanup(client.CloseIdleConnections)
	form := url.Values{
		"From": {"whatsapp:+15550001111"}, "To": {opaque}, "ContentSid": {"HX1"},
		"ContentVariables": {`{"1":"Ana"}`}, "ValidityPeriod": {"36000"},
	}
	b.ReportAllocs()
	for b.Loop() {
		request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, target, strings.NewReader(form.Encode()))
		require.NoError(b, err)
		request.SetBasicAuth("AC1", "token")
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		answer, err := client.Do(request)
		require.NoError(b, err)
		var message struct{ SID string }
		require.NoError(b, json.NewDecoder(answer.Body).Decode(&message))
		_, _ = io.Copy(io.Discard, answer.Body)
		require.NoError(b, answer.Body.Close())
	}
}
