package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fields is a JSON object as a user writes it.
type fields map[string]any

// with is f changed by pairs of name and value.
func (f fields) with(pairs ...any) fields {
	changed := maps.Clone(f)
	for i := 0; i+1 < len(pairs); i += 2 {
		changed[pairs[i].(string)] = pairs[i+1]
	}
	return changed
}

func (f fields) json() []byte {
	data, err := json.Marshal(f)
	if err != nil {
		panic(err) // a literal of a test
	}
	return data
}

// Two senders, and a template that every test may use.
const (
	alpha    = "15550100001"
	beta     = "15550100002"
	template = "HX00000000000000000000000000000001"
)

func whatsapp(digits string) string { return "whatsapp:+" + digits }

// customer is the n-th customer.
func customer(n int) string { return whatsapp(fmt.Sprintf("1555%07d", 2_000_000+n)) }

// notice is a template job of a sender to the n-th customer.
func notice(id, sender string, n int) fields {
	return fields{"id": id, "from": whatsapp(sender), "to": customer(n), "content_sid": template}
}

// record is a job's state as GET /v1/jobs/{id} tells it.
type record struct {
	ID       string
	Status   string
	Attempt  int
	SID      string
	Category string
	Reason   string
	Error    struct {
		Code    int
		Message string
	}
	Timeline []event
}

// ended reports whether nothing more is awaited.
func (r record) ended() bool {
	return slices.Contains([]string{"delivered", "read", "undelivered", "failed", "expired", "suppressed", "rejected", "canceled"}, r.Status)
}

// types are the events of the timeline, in order.
func (r record) types() []string {
	var types []string
	for _, e := range r.Timeline {
		types = append(types, e.Type)
	}
	return types
}

// site is an HTTP server of a child process.
type site struct {
	t    testing.TB
	base string
	key  string // API key, if any
	http *http.Client
}

func newSite(t testing.TB, base string) *site {
	t.Helper()
	require.NotEmpty(t, base, "the ready line does not name this address")
	s := &site{t: t, base: base, http: &http.Client{
		Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 8},
	}}
	t.Cleanup(s.http.CloseIdleConnections)
	return s
}

// answer is what came back over HTTP.
type answer struct {
	status int
	body   []byte
}

// problem is the code and the field of an error.
func (a answer) problem(t testing.TB) (code, field string) {
	t.Helper()
	var told struct {
		Error struct{ Code, Message, Field string }
	}
	require.NoError(t, json.Unmarshal(a.body, &told), "%d %s", a.status, a.body)
	require.NotEmpty(t, told.Error.Message)
	return told.Error.Code, told.Error.Field
}

// try sends a request. It may be called from any goroutine.
func (s *site) try(method, path string, body []byte) (answer, error) {
	req, err := http.NewRequest(method, s.base+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	if s.key != "" {
		req.Header.Set("Authorization", "Bearer "+s.key)
	}
	return s.send(req)
}

func (s *site) send(req *http.Request) (answer, error) {
	resp, err := s.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, data}, err
}

func (s *site) do(method, path string, body []byte) answer {
	s.t.Helper()
	a, err := s.try(method, path, body)
	require.NoError(s.t, err)
	return a
}

// must is do for what has to succeed; the answer goes to out unless it is nil.
func (s *site) must(method, path string, body fields, out any) {
	s.t.Helper()
	var data []byte
	if body != nil {
		data = body.json()
	}
	a := s.do(method, path, data)
	require.Less(s.t, a.status, 300, "%s %s: %s", method, path, a.body)
	if out != nil {
		require.NoError(s.t, json.Unmarshal(a.body, out), "%s", a.body)
	}
}

// post hands in one job.
func (s *site) post(job fields) answer {
	s.t.Helper()
	return s.do(http.MethodPost, "/v1/jobs", job.json())
}

// job is a job's state, empty while there is none.
func (s *site) job(id string) record {
	s.t.Helper()
	a := s.do(http.MethodGet, "/v1/jobs/"+id, nil)
	if a.status == http.StatusNotFound {
		return record{}
	}
	require.Equal(s.t, http.StatusOK, a.status, "%s", a.body)
	var r record
	require.NoError(s.t, json.Unmarshal(a.body, &r))
	return r
}

// await returns the job once it is in one of the states.
func (s *site) await(id string, states ...string) record {
	s.t.Helper()
	var r record
	eventually(s.t, func() bool {
		r = s.job(id)
		return slices.Contains(states, r.Status)
	}, func() string { return fmt.Sprintf("%s is %s, not %v: %v", id, r.Status, states, r.types()) })
	return r
}

// awaitScheduled waits until that many jobs wait for a time to come.
func (s *site) awaitScheduled(n int) {
	s.t.Helper()
	var backlog struct{ Scheduled int }
	eventually(s.t, func() bool {
		s.must(http.MethodGet, "/v1/backlog", nil, &backlog)
		return backlog.Scheduled == n
	}, func() string { return fmt.Sprintf("%d are scheduled", backlog.Scheduled) })
}

// awaitEnd waits until every job has ended and returns them by id.
func (s *site) awaitEnd(ids []string) map[string]record {
	s.t.Helper()
	records := make(map[string]record, len(ids))
	left := slices.Clone(ids)
	eventually(s.t, func() bool {
		left = slices.DeleteFunc(left, func(id string) bool {
			r := s.job(id)
			records[id] = r
			return r.ended()
		})
		return len(left) == 0
	}, func() string {
		var text strings.Builder
		fmt.Fprintf(&text, "%d of %d jobs have not ended", len(left), len(ids))
		for _, id := range left[:min(5, len(left))] {
			fmt.Fprintf(&text, "\n%s is %q: %v", id, records[id].Status, records[id].types())
		}
		return text.String()
	})
	return records
}

// eventually polls until it is so. What it was instead is asked only at the end.
func eventually(t testing.TB, so func() bool, instead func() string) {
	t.Helper()
	end := time.Now().Add(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		if time.Now().After(end) {
			require.FailNow(t, "it never came to be", instead())
		}
		<-tick.C
	}
}
