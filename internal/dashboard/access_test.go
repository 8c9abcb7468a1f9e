package dashboard_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/dashboard"
)

func TestAKeyMayDoWhatItsScopesSay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "master, publish:in,read:look,operate:hand,publish+read:app")
	for key, may := range map[string]string{
		"master": "publish read operate", "in": "publish", "look": "read", "hand": "operate", "app": "publish read",
	} {
		for scope, request := range map[string][3]string{
			"publish": {"POST", "/v1/jobs", "{}"},
			"read":    {"GET", "/v1/limits", ""},
			"operate": {"PUT", "/v1/pools/a", "{}"},
		} {
			r := w.do(request[0], request[1], request[2], "Authorization", "Bearer "+key)
			if strings.Contains(may, scope) {
				require.Less(t, r.status, 300, "%s %s", key, scope)
			} else {
				w.refused(r, 403, "forbidden", "")
				require.Contains(t, r.text, scope)
			}
		}
	}
}

func TestWithoutAKnownKeyNothingIsAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "read:look")
	for _, authorization := range []string{"", "look", "Basic look", "Bearer", "Bearer ", "Bearer loo", "Bearer look2", "Bearer read:look"} {
		for _, path := range []string{
			"/v1/jobs", "/v1/jobs/a", "/v1/events", "/v1/stats", "/v1/backlog", "/v1/limits", "/v1/limits/a", "/v1/senders",
			"/v1/senders/" + sender, "/v1/pools", "/v1/pools/a", "/v1/consents/x",
		} {
			r := w.do("GET", path, "", "Authorization", authorization)
			w.refused(r, 401, "unauthorized", "")
			require.Equal(t, "Bearer", r.header.Get("WWW-Authenticate"))
		}
	}
	require.Equal(t, http.StatusOK, w.do("GET", "/v1/jobs", "", "Authorization", "bearer look").status, "the scheme has no case")
	require.Equal(t, http.StatusOK, w.do("GET", "/openapi.yaml", "").status)
}

func TestEveryChangeNeedsOperate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "publish+read:app")
	for _, request := range []string{
		"PUT /v1/senders/" + sender, "POST /v1/senders/" + sender + "/pause", "POST /v1/senders/" + sender + "/resume",
		"PUT /v1/pools/a", "PUT /v1/consents/" + customer, "POST /v1/pause", "POST /v1/resume",
		"POST /v1/jobs/a/cancel",
	} {
		method, path, _ := strings.Cut(request, " ")
		w.refused(w.do(method, path, "{}", "Authorization", "Bearer app"), 403, "forbidden", "")
	}
	require.Empty(t, w.facts.stored)
}

func TestABrowserOnAnotherSiteIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.refused(w.do("POST", "/v1/pause", "", "Sec-Fetch-Site", "cross-site"), 403, "cross_origin", "")
	w.refused(w.do("POST", "/v1/pause", "", "Origin", "https://elsewhere.example"), 403, "cross_origin", "")
	require.Equal(t, http.StatusOK, w.do("POST", "/v1/pause", "", "Sec-Fetch-Site", "same-origin").status)
}

func TestKeysThatCannotBeMeantAreRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"pubish:s3cret", "publish+:s3cret", ":s3cret", "read:", "a,a", "read:a,publish:a", "two words", "read:x:y", "schlüssel"} {
		_, err := dashboard.ParseKeys(text)
		require.Error(t, err, text)
		require.NotContains(t, err.Error(), "s3cret")
	}
	for _, text := range []string{"", " , ", ","} {
		keys, err := dashboard.ParseKeys(text)
		require.NoError(t, err)
		require.True(t, keys.Empty())
	}
	require.Equal(t, "publish+operate", (dashboard.Publish | dashboard.Operate).String())
}

// FuzzParseKeys checks that a key that was taken opens its door.
func FuzzParseKeys(f *testing.F) {
	f.Add("master,publish+read:app")
	f.Add("read:x:y,,")
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := dashboard.ParseKeys(text)
		if err != nil || keys.Empty() {
			return
		}
		for entry := range strings.SplitSeq(text, ",") {
			entry = strings.TrimSpace(entry)
			if entry == "" {
				continue
			}
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header.Set("Authorization", "Bearer "+entry[strings.Index(entry, ":")+1:])
			w := httptest.NewRecorder()
			keys.Guard(dashboard.Read, http.NotFoundHandler()).ServeHTTP(w, r)
			require.NotEqual(t, http.StatusUnauthorized, w.Code)
		}
	})
}
