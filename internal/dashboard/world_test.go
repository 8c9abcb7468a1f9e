package dashboard_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/dashboard"
	"github.com/sluicehq/sluice/internal/senders"
	"github.com/sluicehq/sluice/ratelimit"
)

var _ dashboard.Limits = (*ratelimit.Gate)(nil)
var _ dashboard.Registry = (*senders.Registry)(nil)

const (
	sender   = "15550001111"
	customer = "whatsapp:+491700000001"
	sid      = "SM00000000000000000000000000000001"
)

var noon = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// world is an API on a real server over the real registry, with the other
// projections in memory.
type world struct {
	t      testing.TB
	api    *dashboard.API
	server *httptest.Server
	jobs   *jobs
	limits limits
	room   room
	facts  *facts
	gate   *gate
	log    *memoryLog

	redrives *redrives
	stop     func() // ends the API's Run and waits for it
}

// newWorld starts a world; each change adjusts its settings before.
func newWorld(t testing.TB, keys string, changes ...func(*dashboard.Config)) *world {
	t.Helper()
	parsed, err := dashboard.ParseKeys(keys)
	require.NoError(t, err)
	w := &world{
		t: t, jobs: &jobs{}, limits: limits{}, room: room{}, facts: &facts{stored: map[string]senders.Fact{}},
		gate: &gate{canceled: map[string]string{}}, log: newMemoryLog(),
		redrives: &redrives{},
	}
	cfg := dashboard.Config{
		Jobs: w.jobs, Stats: w.jobs, Limits: w.limits, Room: w.room, Keys: parsed,
		DefaultPool: func(string) string { return "AC1" },
		Backlog:     backlog{dashboard.Load{Ready: 1, Parked: 2, Scheduled: 3, Inflight: 4}},
		Registry:    senders.New(w.facts, w.gate, senders.Config{Now: func() time.Time { return noon }}),
		Canceler:    w.gate, Schedules: w.gate, Redriver: w.redrives, Announcer: w.jobs, Events: w.log, Now: func() time.Time { return noon },
		Submit: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusAccepted)
			_, _ = io.WriteString(w, `{"id":"a","status":"accepted"}`)
		}),
	}
	for _, change := range changes {
		change(&cfg)
	}
	w.api = dashboard.New(cfg)
	w.server = httptest.NewUnstartedServer(w.api.Handler())
	w.server.Config.ReadTimeout, w.server.Config.IdleTimeout = readTimeout, time.Minute
	w.server.Start()
	t.Cleanup(w.server.Close)
	w.run()
	return w
}

// readTimeout is how long the server lets a request arrive. Streams outlive it.
const readTimeout = 2 * time.Second

func (w *world) run() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.api.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(w.t, <-ended)
	})
	w.t.Cleanup(w.stop)
}

// reply is what the server said.
type reply struct {
	status int
	header http.Header
	text   string
}

func (w *world) do(method, path, body string, headers ...string) reply {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.server.URL+path, strings.NewReader(body))
	require.NoError(w.t, err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := w.server.Client().Do(req)
	require.NoError(w.t, err)
	text, err := io.ReadAll(res.Body)
	require.NoError(w.t, err)
	require.NoError(w.t, res.Body.Close())
	return reply{res.StatusCode, res.Header, string(text)}
}

// refused checks an error's status, code and field.
func (w *world) refused(r reply, status int, code, field string) {
	w.t.Helper()
	require.Equal(w.t, status, r.status, r.text)
	var body struct {
		Error struct{ Code, Message, Field string }
	}
	require.NoError(w.t, json.Unmarshal([]byte(r.text), &body))
	require.Equal(w.t, code, body.Error.Code)
	require.Equal(w.t, field, body.Error.Field)
	require.NotEmpty(w.t, body.Error.Message)
}

// jobs is a ledger: a list of records, newest last.
type jobs struct {
	mu      sync.Mutex // of announcements, which come several at once
	records []delivery.Record
	fail    error
	mute    bool // announcements fail
	told    []delivery.Event
}

func (j *jobs) Get(_ context.Context, id string) (delivery.Record, bool, error) {
	for _, r := range j.records {
		if r.ID == id {
			return r, true, j.fail
		}
	}
	return delivery.Record{}, false, j.fail
}

func (j *jobs) List(_ context.Context, q dashboard.Query) (dashboard.Page, error) {
	if q.Cursor != "" && q.Cursor != "after+2" {
		return dashboard.Page{}, dashboard.ErrCursor
	}
	var page dashboard.Page
	for _, r := range slices.Backward(j.records) {
		if (q.From == "" || r.From == q.From) && (q.To == "" || r.To == q.To) && (q.SID == "" || r.SID == q.SID) &&
			(len(q.Statuses) == 0 || slices.Contains(q.Statuses, r.Status)) &&
			!r.CreatedAt.Before(q.Since) && (q.Until.IsZero() || r.CreatedAt.Before(q.Until)) {
			page.Jobs = append(page.Jobs, r)
		}
	}
	if len(page.Jobs) > q.Limit {
		page.Jobs, page.Next = page.Jobs[:q.Limit], "after+2"
	}
	return page, j.fail
}

func (j *jobs) Tally(_ context.Context, r dashboard.Range) (dashboard.Tally, error) {
	t := dashboard.Tally{States: map[delivery.Status]int64{}, Categories: map[delivery.Category]int64{}}
	for _, job := range j.records {
		if (r.From == "" || r.From == job.From) && !job.CreatedAt.Before(r.Since) &&
			(r.Until.IsZero() || job.CreatedAt.Before(r.Until)) {
			t.States[job.Status]++
			t.Categories[job.Category]++
			if job.Error != nil {
				t.Errors = map[int]int64{job.Error.Code: t.Errors[job.Error.Code] + 1}
			}
		}
	}
	return t, j.fail
}

func (j *jobs) Series(ctx context.Context, from string, bounds []time.Time) (series []map[delivery.Status]int64, err error) {
	for i := range bounds[1:] {
		t, err := j.Tally(ctx, dashboard.Range{From: from, Since: bounds[i], Until: bounds[i+1]})
		if err != nil {
			return nil, err
		}
		series = append(series, t.States)
	}
	return series, nil
}

func (j *jobs) Announce(_ context.Context, e delivery.Event) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.mute {
		return errDown
	}
	j.told = append(j.told, e)
	for i, r := range j.records {
		j.records[i] = r.Apply(e)
	}
	return nil
}

type limits map[string]ratelimit.PoolLimits

func (l limits) Pools(context.Context) ([]string, error) { return slices.Sorted(maps.Keys(l)), nil }

func (l limits) Limits(_ context.Context, pool string) (ratelimit.PoolLimits, error) {
	return l[pool], nil
}

// Returns: the places of a window come back all at once.
func (l limits) Returns(_ context.Context, pool, sender string, n int) ([]ratelimit.Return, error) {
	at := l[pool].NextFreeAt
	for _, s := range l[pool].Senders {
		if s.Sender == sender {
			at = s.NextFreeAt
		}
	}
	return []ratelimit.Return{{At: at, Places: n}}, nil
}

// Preview knows customers by their last digit: 7 is known, 8 wrote, 9 wants
// nothing.
func (l limits) Preview(_ context.Context, sender, pool string, customers []string) (ratelimit.Preview, error) {
	p := ratelimit.Preview{Pool: l[pool], Sender: ratelimit.SenderLimits{Sender: sender, Limit: 250, Free: 250, MPS: 80}}
	p.Pool.Senders = nil
	for _, s := range l[pool].Senders {
		if s.Sender == sender {
			p.Sender = s
		}
	}
	for _, c := range customers {
		switch c[len(c)-1] {
		case '7':
			p.Known++
		case '8':
			p.InWindow++
		case '9':
			p.OptedOut++
		default:
			p.New++
		}
	}
	return p, nil
}

type room map[string]map[delivery.Priority]int64

func (r room) Counts(context.Context) (map[string]map[delivery.Priority]int64, error) { return r, nil }

// Slots has every place back in the first step.
func (l limits) Slots(_ context.Context, pool string, steps int) (ratelimit.Slots, error) {
	r := ratelimit.Slots{Now: noon, Step: time.Hour, Places: make([]int, steps)}
	r.Places[0] = l[pool].Used
	return r, nil
}

type backlog struct{ load dashboard.Load }

func (b backlog) Backlog(context.Context) (dashboard.Load, error) { return b.load, nil }

// facts are stored in memory; the registry's own tests cover races.
type facts struct {
	mu     sync.Mutex
	last   uint64
	stored map[string]senders.Fact
}

func (f *facts) Get(_ context.Context, key string) ([]byte, uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stored[key].Data, f.stored[key].Revision, nil
}

func (f *facts) Put(_ context.Context, key string, data []byte, expected uint64) (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stored[key].Revision != expected {
		return 0, senders.ErrStale
	}
	f.last++
	f.stored[key] = senders.Fact{Key: key, Data: data, Revision: f.last}
	return f.last, nil
}

func (f *facts) List(_ context.Context, prefix string) ([]senders.Fact, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []senders.Fact
	for key, fact := range f.stored {
		if strings.HasPrefix(key, prefix) {
			found = append(found, fact)
		}
	}
	return found, nil
}

var errDown = errors.New("connection refused")

// gate remembers the last thing it was told.
type gate struct {
	down   bool
	sender ratelimit.SenderPolicy
	pool   ratelimit.PoolPolicy
	choice ratelimit.Choice
	paused bool

	canceled    map[string]string // what each job's cancellation says: "" or how it ended, or "granted"
	unscheduled []string
	asked       []string
}

func (g *gate) Cancel(_ context.Context, job string) (string, error) {
	g.asked = append(g.asked, job)
	switch status := g.canceled[job]; status {
	case "":
		return "", g.told()
	case "granted":
		return "", dashboard.ErrGranted
	default:
		return status, dashboard.ErrEnded
	}
}

func (g *gate) Unschedule(_ context.Context, job string) error {
	g.unscheduled = append(g.unscheduled, job)
	return nil
}

func (g *gate) told() error {
	if g.down {
		return errDown
	}
	return nil
}

func (g *gate) SetSender(_ context.Context, _ string, p ratelimit.SenderPolicy, _ uint64) error {
	g.sender = p
	return g.told()
}

func (g *gate) SetPool(_ context.Context, _ string, p ratelimit.PoolPolicy, _ uint64) error {
	g.pool = p
	return g.told()
}

func (g *gate) SetAlias(context.Context, string, string, uint64) error { return nil }

func (g *gate) SetConsent(_ context.Context, _, _ string, c ratelimit.Choice, _ time.Time, _ uint64) error {
	g.choice = c
	return g.told()
}

func (g *gate) SetPause(_ context.Context, paused bool, _ string, _ uint64) error {
	g.paused = paused
	return g.told()
}
