package callbacks_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/callbacks"
	"github.com/sluicehq/sluice/delivery"
)

func TestRepetitionIsOneEvent(t *testing.T) {
	t.Parallel()
	for _, route := range routes {
		s := newSite(t, nil)
		first, answer := s.call(t, route, formFor(route))
		second, again := s.call(t, route, formFor(route))
		require.Equal(t, first, second)
		require.Equal(t, answer, again)
		require.Len(t, s.journal.all(), 1, route)
		require.Contains(t, s.observed()[1], " repeated")
	}
}

// Replicas do not share what they remember; the event's id does the rest.
func TestRepetitionElsewhereHasTheSameID(t *testing.T) {
	t.Parallel()
	for _, route := range routes {
		a, b := newSite(t, nil), newSite(t, nil)
		a.call(t, route, formFor(route))
		b.call(t, route, formFor(route))
		require.Equal(t, a.journal.all(), b.journal.all())
	}
}

func TestDifferentChangesAreDifferentEvents(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.call(t, path, statusForm("queued"))
	s.call(t, path, statusForm("sending"))
	s.call(t, path, statusForm("undelivered", "ErrorCode", "63016"))
	s.call(t, path, statusForm("undelivered", "ErrorCode", "63018"))
	s.call(t, path, statusForm("sent", "MessageSid", strings.Replace(sid, "SM", "MM", 1)))
	s.call(t, path, statusForm("sent"))
	ids := map[string]bool{}
	for _, event := range s.journal.all() {
		ids[event.ID] = true
	}
	require.Len(t, ids, 6)
}

func TestForgottenRepetitionIsWrittenAgain(t *testing.T) {
	t.Parallel()
	journal := &journal{}
	h := callbacks.New(callbacks.Config{PublicURL: publicURL, Verifier: verdict(func(string, url.Values, []byte) bool { return true }), Log: journal, Intents: noIntents})
	tell := func(n int) {
		form := statusForm("sent", "MessageSid", fmt.Sprintf("SM%032x", n))
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("X-Twilio-Signature", "x")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, http.StatusNoContent, w.Code)
	}
	const most = 8192
	for n := range most {
		tell(n)
	}
	tell(0)
	require.Len(t, journal.all(), most, "the last ones are remembered")
	tell(most) // pushes out the oldest
	tell(0)
	require.Len(t, journal.all(), most+2)
	tell(2)
	require.Len(t, journal.all(), most+2, "only the oldest was pushed out")
}

func TestNotStoredIsNotAnswered(t *testing.T) {
	t.Parallel()
	for _, route := range routes {
		s := newSite(t, nil)
		s.journal.err = errors.New("log does not answer")
		code, text := s.call(t, route, formFor(route))
		require.Equal(t, http.StatusServiceUnavailable, code)
		require.Empty(t, text)
		require.Contains(t, s.observed()[0], " failed")

		s.journal.err = nil
		code, _ = s.call(t, route, formFor(route))
		require.Less(t, code, 300, "what failed is not taken for a repetition")
		require.Len(t, s.journal.all(), 1)
	}
}

// answers notes when the first byte of an answer is written.
type answers struct {
	*httptest.ResponseRecorder
	given *bool
}

func (a answers) WriteHeader(code int) { *a.given = true; a.ResponseRecorder.WriteHeader(code) }

func (a answers) Write(p []byte) (int, error) { *a.given = true; return a.ResponseRecorder.Write(p) }

func TestStoredBeforeAnswered(t *testing.T) {
	t.Parallel()
	for _, route := range routes {
		given := false
		journal := &journal{before: func() { require.False(t, given) }}
		h := callbacks.New(callbacks.Config{
			PublicURL: publicURL, Verifier: tokens{account: token}, Log: journal, Intents: noIntents,
			Resolver: resolver(func(string) (string, int, bool, error) { return "", 0, false, nil }),
		})
		form := formFor(route)
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // the provider hung up: what it told is stored all the same
		r := httptest.NewRequest(http.MethodPost, route, strings.NewReader(form.Encode())).WithContext(ctx)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("X-Twilio-Signature", sign(token, publicURL+route, form))
		h.ServeHTTP(answers{httptest.NewRecorder(), &given}, r)
		require.True(t, given)
		require.Len(t, journal.all(), 1)
	}
}

// strict is a log, and a store of consents, that wants one deadline for all that
// is written, and a living context.
type strict struct{ deadlines []time.Time }

func (s *strict) Append(ctx context.Context, _ delivery.Event) error {
	deadline, ok := ctx.Deadline()
	if !ok {
		return errors.New("no deadline")
	}
	s.deadlines = append(s.deadlines, deadline)
	return ctx.Err()
}

func (s *strict) Record(ctx context.Context, _, _ string, _ bool, _ string, _ time.Time) error {
	return s.Append(ctx, delivery.Event{})
}

func TestAllThatIsWrittenHasOneDeadline(t *testing.T) {
	t.Parallel()
	for route, form := range consentForms {
		strict := &strict{}
		s := newSite(t, func(cfg *callbacks.Config) { cfg.Log, cfg.Consents = strict, strict })
		code, _ := s.call(t, route, form)
		require.Less(t, code, 300)
		require.GreaterOrEqual(t, len(strict.deadlines), 3)
		for _, deadline := range strict.deadlines {
			require.Equal(t, strict.deadlines[0], deadline)
			require.Less(t, time.Until(deadline), 15*time.Second, "below what the provider waits")
		}
	}
}

// TestErrorsOfMessagesAreCountedOnce, when they are stored.
func TestErrorsOfMessagesAreCountedOnce(t *testing.T) {
	t.Parallel()
	var counted []int
	s := newSite(t, func(c *callbacks.Config) { c.Failed = func(code int) { counted = append(counted, code) } })
	const path = "/twilio/status/order-17/1"
	s.journal.fail(errors.New("no log"))
	status, _ := s.call(t, path, statusForm("undelivered", "ErrorCode", "63024"))
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Empty(t, counted, "what is not stored will be told again")
	s.journal.fail(nil)
	for range 3 {
		s.call(t, path, statusForm("undelivered", "ErrorCode", "63024"))
	}
	s.call(t, path, statusForm("delivered"))
	s.call(t, path, statusForm("failed", "ErrorCode", "0"))
	require.Equal(t, []int{63024}, counted)
}
