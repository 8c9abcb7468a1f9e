package sandbox

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseRetryPolicy(t *testing.T) {
	t.Parallel()
	byDefault := retryPolicy{count: 1, on: []string{"ct"}}
	for fragment, want := range map[string]retryPolicy{
		"":                   byDefault,
		"rc=6":               byDefault,
		"rc=-1&rt=100":       byDefault,
		"%zz":                byDefault,
		"rc=0":               {count: 0, on: []string{"ct"}},
		"rc=5&rp=all":        {count: 5, on: []string{"all"}},
		"rp=4xx,rt&ct=2000":  {count: 1, on: []string{"4xx", "rt"}},
		"e=ashburn&rc=2&x=y": {count: 2, on: []string{"ct"}},
	} {
		require.Equal(t, want, parseRetryPolicy(fragment), fragment)
	}
}

func TestRetryPolicyWants(t *testing.T) {
	t.Parallel()
	all := retryPolicy{count: 2, on: []string{"all"}}
	require.True(t, all.wants(server5xx, 2))
	require.False(t, all.wants(server5xx, 3), "used up")
	require.False(t, all.wants(succeeded, 1))
	require.False(t, all.wants(otherwise, 1))
	byDefault := parseRetryPolicy("")
	require.True(t, byDefault.wants(noConnect, 1))
	require.False(t, byDefault.wants(noAnswer, 1))
}

func TestDeliverTellsFailuresApart(t *testing.T) {
	t.Parallel()
	p := newPoster(1, slog.New(slog.DiscardHandler))
	t.Cleanup(p.client.CloseIdleConnections)
	var status atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if status.Load() == 0 {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(int(status.Load()))
	}))
	t.Cleanup(server.Close)
	for answer, want := range map[int32]failure{
		200: succeeded, 204: succeeded, 302: otherwise, 403: client4xx, 503: server5xx, 0: noAnswer,
	} {
		status.Store(answer)
		got, _ := p.try(context.Background(), newWebhook(server.URL, "x", url.Values{}, ""))
		require.Equal(t, want, got, answer)
	}
}

func TestDeliverRetriesAConnectFailureOnce(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(nil)
	gone.Close()
	p := newPoster(1, slog.New(slog.DiscardHandler))
	hook := newWebhook(gone.URL, "x", url.Values{"MessageSid": {"SM1"}}, "")
	hook, due, again := p.deliver(context.Background(), hook)
	require.True(t, again)
	require.WithinRange(t, due, hook.began, hook.began.Add(hookTotal))
	_, _, again = p.deliver(context.Background(), hook)
	require.False(t, again)

	hook.tries, hook.began = 1, time.Now().Add(-hookTotal)
	hook.retry = parseRetryPolicy("rc=5&rp=all")
	_, _, again = p.deliver(context.Background(), hook)
	require.False(t, again, "the time for all tries is over")
}
