package templates_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/templates"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	known := map[string]string{"1": "Ana", "2": ""}
	filled := map[string]string{"2": "10:00"}
	for name, c := range map[string]struct {
		status    string
		variables map[string]string
		filled    map[string]string
		field     string // empty: it may go
		says      string
	}{
		"approved":               {"approved", known, filled, "", ""},
		"approved, no variables": {"approved", nil, nil, "", ""},
		"never submitted":        {"", known, filled, "content_sid", "never submitted"},
		"unsubmitted":            {"unsubmitted", known, filled, "content_sid", "never submitted"},
		"received":               {"received", known, filled, "content_sid", "received"},
		"pending":                {"pending", known, filled, "content_sid", "pending"},
		"rejected":               {"rejected", known, filled, "content_sid", "rejected by Meta: too loud"},
		"disabled":               {"disabled", known, filled, "content_sid", "disabled"},
		"paused":                 {"paused", known, filled, "content_sid", "paused"},
		"a word of tomorrow":     {"archived", known, filled, "", ""},
		"not filled":             {"approved", known, nil, "content_variables", `"2" is filled neither`},
		"empty":                  {"approved", known, map[string]string{"2": ""}, "content_variables", `"2" is empty`},
		"blank":                  {"approved", known, map[string]string{"1": "  ", "2": "x"}, "content_variables", `"1" is empty`},
		"line break":             {"approved", known, map[string]string{"2": "a\nb"}, "content_variables", `"2" holds`},
		"tab":                    {"approved", known, map[string]string{"2": "a\tb"}, "content_variables", `"2" holds`},
		"five blanks":            {"approved", known, map[string]string{"2": "a     b"}, "content_variables", `"2" holds`},
		"four blanks":            {"approved", known, map[string]string{"2": "a    b"}, "", ""},
		"not known":              {"approved", known, map[string]string{"2": "x", "9": "\n"}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trouble := templates.Template{Status: c.status, Reason: "too loud", Variables: c.variables}.Check(c.filled)
			if c.field == "" {
				require.Nil(t, trouble)
				return
			}
			require.NotNil(t, trouble)
			require.Equal(t, c.field, trouble.Field)
			require.Contains(t, trouble.Message, c.says)
			require.Equal(t, c.status == "paused", trouble.Paused)
		})
	}
}

// source is a Content API in memory.
type source struct {
	mu     sync.Mutex
	status string
	fail   error
	takes  time.Duration
	asked  int
}

func (s *source) Template(ctx context.Context, _, _ string) (templates.Template, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	status, err, takes := s.status, s.fail, s.takes
	s.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.mu.Lock()
	return templates.Template{Status: status}, status != "", err
}

func (s *source) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func TestWhatIsKnownHoldsForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{status: "approved"}
		c := templates.NewCache(s, templates.Config{Fresh: time.Minute, Failed: 10 * time.Second})
		status := func() string {
			got, known := c.Template(t.Context(), "AC1", "HX1")
			if !known {
				return "unknown"
			}
			return got.Status
		}
		require.Equal(t, "approved", status())
		s.set(func() { s.status = "rejected" })
		require.Equal(t, "approved", status())
		require.Equal(t, 1, s.asked)
		time.Sleep(time.Minute)
		require.Equal(t, "rejected", status())

		s.set(func() { s.fail = errors.New("down") })
		time.Sleep(time.Minute)
		require.Equal(t, "unknown", status(), "what can't be read is held against nobody")
		require.Equal(t, "unknown", status())
		require.Equal(t, 3, s.asked)
		s.set(func() { s.fail = nil })
		time.Sleep(10 * time.Second)
		require.Equal(t, "rejected", status())
		s.set(func() { s.status = "" })
		time.Sleep(time.Minute)
		require.Equal(t, "unknown", status(), "the account has none of this sid")
	})
}

func TestOneReadsForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{status: "approved", takes: time.Second}
		c := templates.NewCache(s, templates.Config{Fresh: time.Minute})
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				got, known := c.Template(t.Context(), "AC1", "HX1")
				require.True(t, known)
				require.Equal(t, "approved", got.Status)
			})
		}
		wg.Wait()
		require.Equal(t, 1, s.asked)

		time.Sleep(time.Minute)
		wg.Go(func() { _, _ = c.Template(t.Context(), "AC1", "HX1") })
		synctest.Wait()
		begun := time.Now()
		_, known := c.Template(t.Context(), "AC1", "HX1")
		require.True(t, known)
		require.Zero(t, time.Since(begun), "what was known is used while it is read anew")
		wg.Wait()
	})
}

func TestASlowProviderHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{status: "rejected", takes: time.Hour}
		c := templates.NewCache(s, templates.Config{Timeout: 2 * time.Second})
		begun := time.Now()
		_, known := c.Template(t.Context(), "AC1", "HX1")
		require.False(t, known)
		require.Equal(t, 2*time.Second, time.Since(begun))

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, known = c.Template(ctx, "AC1", "HX2")
		require.False(t, known)
		s.set(func() { s.takes = 0 })
		_, known = c.Template(t.Context(), "AC1", "HX2")
		require.True(t, known, "who gave up said nothing about the template")
	})
}

func TestTheCacheIsBounded(t *testing.T) {
	t.Parallel()
	s := &source{status: "approved"}
	c := templates.NewCache(s, templates.Config{Most: 2})
	for _, sid := range []string{"HX1", "HX2", "HX3", "HX3", "HX1"} {
		_, known := c.Template(t.Context(), "AC1", sid)
		require.True(t, known)
	}
	require.Equal(t, 4, s.asked)
}

// BenchmarkKnown is what a template costs each send once it is known.
func BenchmarkKnown(b *testing.B) {
	c := templates.NewCache(&source{status: "approved"}, templates.Config{Fresh: time.Hour})
	filled := map[string]string{"1": "Ana"}
	for b.Loop() {
		t, known := c.Template(b.Context(), "AC1", "HX1")
		if !known || t.Check(filled) != nil {
			b.Fatal("it may go")
		}
	}
}
