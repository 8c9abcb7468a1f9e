package messaging_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/messaging"
)

const contentSID = "HX0000000000000000000000000000000a"

func contentAPI(t *testing.T, answers map[string]string) *messaging.ContentClient {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, ok := answers[r.Method+" "+r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			answer = `{"code":20404,"message":"not found","status":404}`
		}
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	client := messaging.NewContentClient(account, messaging.Config{BaseURL: server.URL})
	t.Cleanup(client.Close)
	return client
}

func TestTemplateIsRead(t *testing.T) {
	t.Parallel()
	client := contentAPI(t, map[string]string{
		"GET /v1/Content/" + contentSID: `{"sid":"HX0000000000000000000000000000000a","friendly_name":"order","language":"en",
			"variables":{"1":"Ana","2":null,"3":7},"types":{"twilio/text":{"body":"Hi {{1}}, {{2}} {{3}}"}}}`,
		"GET /v1/Content/" + contentSID + "/ApprovalRequests": `{"sid":"HX0000000000000000000000000000000a","account_sid":"AC1",
			"whatsapp":{"type":"whatsapp","name":"order","category":"MARKETING","content_type":"twilio/text",
			"status":"paused","rejection_reason":"","allow_category_change":true}}`,
	})
	content, err := client.Fetch(t.Context(), contentSID)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"1": "Ana", "2": "", "3": "7"}, content.Variables)
	require.Equal(t, "order", content.Name)
	require.Contains(t, content.Types, "twilio/text")

	approval, err := client.Approval(t.Context(), contentSID)
	require.NoError(t, err)
	require.Equal(t, messaging.Approval{Name: "order", Status: "paused", Category: "MARKETING"}, approval)

	_, err = client.Fetch(t.Context(), "HX0000000000000000000000000000000b")
	require.Equal(t, 404, requireFailure(t, err).HTTPStatus)
}

func TestTemplateNeverSubmittedHasNoStatus(t *testing.T) {
	t.Parallel()
	client := contentAPI(t, map[string]string{
		"GET /v1/Content/" + contentSID + "/ApprovalRequests": `{"sid":"HX0000000000000000000000000000000a","whatsapp":null}`,
	})
	approval, err := client.Approval(t.Context(), contentSID)
	require.NoError(t, err)
	require.Zero(t, approval)
}

func TestUnreadableTemplates(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{"no json": `<html>`, "no sid": `{}`, "a list": `[]`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := contentAPI(t, map[string]string{
				"GET /v1/Content/" + contentSID:                       answer,
				"GET /v1/Content/" + contentSID + "/ApprovalRequests": answer,
			})
			_, err := client.Fetch(t.Context(), contentSID)
			require.Equal(t, messaging.Retry, requireFailure(t, err).Class)
			_, err = client.Approval(t.Context(), contentSID)
			require.Equal(t, messaging.Retry, requireFailure(t, err).Class)
		})
	}
}
