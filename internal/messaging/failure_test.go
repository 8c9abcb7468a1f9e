package messaging_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/messaging"
)

func TestFailureSaysWhatToDoNext(t *testing.T) {
	t.Parallel()
	for want, failure := range map[string]*messaging.Failure{
		"messages api: no answer (unknown): unexpected EOF; the message may exist: look for it before sending it again": {
			Class: messaging.Unknown, Written: true, Err: io.ErrUnexpectedEOF,
		},
		"messages api: http 400, error 63016 (window): too late; send a template, or wait until the customer writes": {
			Class: messaging.Window, HTTPStatus: 400, Code: 63016, Message: "too late",
		},
	} {
		require.EqualError(t, failure, want)
	}
	require.ErrorIs(t, &messaging.Failure{Err: io.EOF}, io.EOF)
}

func TestMessagesOfTheProviderLoseTheirAddresses(t *testing.T) {
	t.Parallel()
	for quoted, want := range map[string]string{
		"The 'To' number whatsapp:+15550001111 is not a valid phone number.": "The 'To' number whatsapp:+15…11 is not a valid phone number.",
		"To +1 (555) 000-1111":                              "To +1 …11",
		"15550001111":                                       "155…11",
		"whatsapp:US.13491208655302741918, gone":            "whatsapp:US.…18, gone",
		"whatsapp:US.ENT.13491208655302741918":              "whatsapp:US.…18",
		"SM01234567890123456789012345678901 see err 21211.": "SM01234567890123456789012345678901 see err 21211.",
		"": "",
	} {
		code, got := messaging.DecodeProblem([]byte(`{"code":21211,"message":"` + quoted + `"}`))
		require.Equal(t, want, got)
		require.Equal(t, 21211, code)
	}
}

func TestParseRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"":                     0,
		"0":                    0,
		"7":                    7 * time.Second,
		"-7":                   0,
		"1.5":                  0,
		"99999999999999999999": 24 * time.Hour,
		"90000":                24 * time.Hour,
		now.Add(90 * time.Second).Format(http.TimeFormat):    90 * time.Second,
		now.Add(-90 * time.Second).Format(http.TimeFormat):   0,
		now.Add(30 * 24 * time.Hour).Format(http.TimeFormat): 24 * time.Hour,
		now.Add(time.Minute).Format(time.RFC850):             time.Minute,
	} {
		require.Equal(t, want, messaging.ParseRetryAfter(value, now), value)
	}
}
