package messaging_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/messaging"
)

const fullResource = `{
 "sid":"SM0123456789abcdef0123456789abcdef","account_sid":"AC1","from":"whatsapp:+15550001111",
 "to":"whatsapp:US.13491208655302741918","body":"hello","status":"undelivered","direction":"outbound-api",
 "messaging_service_sid":"MG1","error_code":63016,"error_message":"outside the window",
 "date_created":"Thu, 24 Aug 2023 05:01:45 +0000","date_updated":"Thu, 24 Aug 2023 07:01:46 +0200",
 "date_sent":"Sun, 4 Jun 2023 05:01:45 GMT","num_media":"0","price":null,
 "subresource_uris":{"media":"/m"},"something_new":[{"a":1}]}`

func TestDecodeResource(t *testing.T) {
	t.Parallel()
	got, err := messaging.DecodeResource([]byte(fullResource))
	require.NoError(t, err)
	require.Equal(t, messaging.Resource{
		SID: "SM0123456789abcdef0123456789abcdef", AccountSID: "AC1", From: "whatsapp:+15550001111",
		To: "whatsapp:US.13491208655302741918", Body: "hello", Status: "undelivered", Direction: "outbound-api",
		MessagingServiceSID: "MG1", ErrorCode: 63016, ErrorMessage: "outside the window",
		DateCreated: time.Date(2023, 8, 24, 5, 1, 45, 0, time.UTC),
		DateUpdated: time.Date(2023, 8, 24, 5, 1, 46, 0, time.UTC),
		DateSent:    time.Date(2023, 6, 4, 5, 1, 45, 0, time.UTC),
	}, got)
}

func TestDecodeResourceIsTolerant(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"nothing else":    `{"sid":"SM1"}`,
		"everything null": `{"sid":"SM1","from":null,"body":null,"error_code":null,"date_created":null,"status":null}`,
		"other types":     `{"from":7,"body":{"a":1},"error_code":true,"date_sent":12,"to":["x"],"sid":"SM1"}`,
		"odd dates":       `{"sid":"SM1","date_created":"yesterday","date_sent":"Thu, 24 Aug 2023 05:01:45 PDT"}`,
	} {
		got, err := messaging.DecodeResource([]byte(body))
		require.NoError(t, err, name)
		require.Equal(t, messaging.Resource{SID: "SM1"}, got, name)
	}
	got, err := messaging.DecodeResource([]byte(`{"sid":"SM1","error_code":"63018"}`))
	require.NoError(t, err)
	require.Equal(t, 63018, got.ErrorCode)
}

func TestDecodeResourceNeedsASID(t *testing.T) {
	t.Parallel()
	for _, body := range []string{``, `null`, `[]`, `{}`, `{"sid":null}`, `{"sid":""}`, `{"sid":7}`, `<html>`, `{"sid":"SM1"`, `{"sid":"SM1"}}`} {
		_, err := messaging.DecodeResource([]byte(body))
		require.Error(t, err, body)
	}
}

func FuzzDecodeResource(f *testing.F) {
	f.Add([]byte(fullResource))
	f.Add([]byte(`{"code":21211,"message":"The 'To' number whatsapp:+15550001111 is not valid"}`))
	f.Add([]byte(`{"messages":[{"sid":"SM1"}],"next_page_uri":"/x"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		res, err := messaging.DecodeResource(body)
		if err == nil {
			require.True(t, json.Valid(body))
			require.NotEmpty(t, res.SID)
		} else {
			require.Zero(t, res)
		}
		if _, next, err := messaging.DecodePage(body); err == nil && next != "" {
			require.Equal(t, byte('/'), next[0])
		}
		messaging.DecodeProblem(body)
		at := messaging.ParseRetryAfter(string(body), time.Unix(1e9, 0))
		require.True(t, at >= 0 && at <= 24*time.Hour)
	})
}
