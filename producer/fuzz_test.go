package producer_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
)

// Whatever the body, the answer is JSON with a status of the contract, one
// result a job, and every id that is told as taken is kept.
func FuzzJobsBody(f *testing.F) {
	f.Add([]byte(one), false)
	f.Add([]byte("["+one+","+other+","+bad+"]"), false)
	f.Add([]byte(one+"\n\n"+noID+"\r\n"+other), true)
	f.Add([]byte(`{"send_at":"9999-12-31T23:59:59-01:00","from":"whatsapp:+4915112345678","to":"whatsapp:US.a","body":"x"}`), false)
	f.Add([]byte(`[null,[],{},"",1e999]`), false)
	f.Fuzz(func(t *testing.T, body []byte, asLines bool) {
		contentType := "application/json"
		if asLines {
			contentType = ndjson
		}
		e := newEngines()
		got := post(t, e.handler(), contentType, string(body))
		switch got.code {
		case http.StatusAccepted:
			require.Nil(t, got.Error)
		case http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge:
			require.NotNil(t, got.Error)
			require.False(t, asLines, "lines are answered one by one")
		default:
			t.Fatalf("status %d: %s", got.code, got.text)
		}
		if asLines {
			want := 0
			for line := range bytes.Lines(body) {
				if len(bytes.TrimSpace(line)) > 0 {
					want++
				}
			}
			require.Len(t, got.Results, want)
		}
		taken := []string{got.ID}
		for _, result := range got.Results {
			require.NotEqual(t, result.ID == "", result.Error == nil)
			taken = append(taken, result.ID)
		}
		for _, id := range taken {
			if id != "" {
				require.True(t, delivery.ValidID(id))
				e.requireKept(t, id)
			}
		}
		require.False(t, strings.Contains(got.text, "\n{"), "one JSON value")
	})
}
