package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// gamma is a third sender, alone in its pool.
const gamma = "15550100003"

// scalePools are the pools with their limits and those of their senders, per
// window: some 40 messages a second, which is less than is published, so that
// jobs wait. East is full before its senders are.
var scalePools = []testPool{
	{"east", 100, map[string]int{alpha: 60, beta: 70}},
	{"west", 50, map[string]int{gamma: 50}},
}

// testPool is a pool with its limit and those of its senders.
type testPool struct {
	name    string
	limit   int
	senders map[string]int
}

// A day is to its margin and to the life of a tracker's lease as nothing here
// can be: the margin covers the whole of an attempt (ack wait), so that a limit
// holds for as long as no tracker tells the gate when a message really went.
const scaleWindow, scaleMargin = "2s", "2s"

// TestRolesAtScale runs two of each role that may have replicas, and holds every
// job's state against the provider's ledger. SLUICE_TEST_JOBS is how many jobs.
func TestRolesAtScale(t *testing.T) {
	t.Parallel()
	lookRedis(t)
	n := 300
	if text := os.Getenv("SLUICE_TEST_JOBS"); text != "" {
		var err error
		n, err = strconv.Atoi(text)
		require.NoError(t, err, "SLUICE_TEST_JOBS")
		require.Positive(t, n, "SLUICE_TEST_JOBS")
	}
	t.Run("calm", func(t *testing.T) {
		t.Parallel()
		f := startFleet(t, n)
		require.NoError(t, f.publish().Wait())
		f.requireAgreed(func(here, there string) bool { return here == there })
	})
	t.Run("restarts", func(t *testing.T) {
		t.Parallel()
		f := startFleet(t, n)
		f.judge.faults(fields{"callback_doubled": 0.2, "callback_lost": 0.1, "callback_shuffled": 0.3})
		publishing := f.publish()
		f.restartEach()
		require.NoError(t, publishing.Wait())
		// Whether a delivered message has been read is nothing to ask for again.
		f.requireAgreed(func(here, there string) bool { return here == there || here == "delivered" && there == "read" })
	})
}

// member is one process of a fleet. It can come back where it was.
type member struct {
	*process
	settings env
	role     string
}

func launch(t testing.TB, settings env, role string) *member {
	t.Helper()
	return &member{start(t, settings, role), settings, role}
}

// restart ends the process, gently or not, and returns when the next is ready.
func (m *member) restart(gently bool) {
	m.t.Helper()
	if gently {
		code, _ := m.terminate()
		require.Zero(m.t, code, "%s: %s", m.role, m.stderr.tail(2000))
	} else {
		m.kill()
	}
	m.process = start(m.t, m.settings, m.role)
	m.ready()
}

// fleet is every role in processes of its own, and what is to be sent by them.
type fleet struct {
	t     testing.TB
	nats  bare
	api   *site
	judge provider

	apiRole                          *member
	callbacks, trackers, dispatchers [2]*member

	pools []testPool
	jobs  []fields
	ids   []string
	begun time.Time
	end   time.Time // when patience is over
}

func startFleet(t testing.TB, n int) *fleet {
	t.Helper()
	redisAddr := fixedAddr(t)
	startRedis(t, redisAddr)
	return assemble(t, n, scalePools, startNATS(t), redisAddr, func(addr string) string { return addr })
}

// assemble starts every role on engines that run already. via is where the roles
// find what listens on an address.
func assemble(t testing.TB, n int, pools []testPool, natsURL, redisAddr string, via func(addr string) string) *fleet {
	t.Helper()
	settings := quick(t).quietly().with("SLUICE_NATS_URL", natsURL, "SLUICE_REDIS_URL", "redis://"+redisAddr,
		"SLUICE_WINDOW", scaleWindow, "SLUICE_WINDOW_MARGIN", scaleMargin, "SLUICE_STALE_AFTER", "1s")
	delete(settings, "SLUICE_DATA")
	f := &fleet{t: t, judge: startProvider(t, settings), pools: pools}
	settings["SLUICE_MESSAGES_URL"] = "http://" + via(strings.TrimPrefix(f.judge.base, "http://"))
	f.apiRole = launch(t, settings.with("SLUICE_API_ADDR", fixedAddr(t)), "api")
	for i := range f.callbacks {
		addr := fixedAddr(t)
		own := settings.with("SLUICE_CALLBACKS_ADDR", addr, "SLUICE_PUBLIC_URL", "http://"+addr)
		f.callbacks[i], f.dispatchers[i] = launch(t, own, "callbacks"), launch(t, own, "dispatcher")
		f.trackers[i] = launch(t, settings, "tracker")
	}
	for _, m := range slices.Concat(f.callbacks[:], f.trackers[:], f.dispatchers[:]) {
		require.Equal(t, m.role, m.ready().Role)
	}
	f.api = newSite(t, f.apiRole.ready().API)
	f.nats = connect(t, settings["SLUICE_NATS_URL"])
	f.setLimits()
	for i := range n {
		f.ids = append(f.ids, fmt.Sprintf("job-%06d", i))
		f.jobs = append(f.jobs, notice(f.ids[i], []string{alpha, beta, gamma}[i%3], i))
	}
	f.begun = time.Now()
	f.end = f.begun.Add(time.Minute + time.Duration(n)*time.Second/20)
	return f
}

// setLimits puts the same pools and limits here and at the provider.
func (f *fleet) setLimits() {
	f.t.Helper()
	for _, pool := range f.pools {
		f.api.must(http.MethodPut, "/v1/pools/"+pool.name, fields{"limit": pool.limit}, nil)
		f.judge.must(http.MethodPut, "/sandbox/pools/"+pool.name, fields{"limit": pool.limit}, nil)
		for sender, limit := range pool.senders {
			put := fields{"limit": limit, "pool": pool.name}
			f.api.must(http.MethodPut, "/v1/senders/"+sender, put, nil)
			f.judge.must(http.MethodPut, "/sandbox/senders/"+sender, put, nil)
		}
	}
}

// publish hands in half of the jobs over NATS and half over HTTP, 50 a second
// each. What is not known to be taken is handed in again.
func (f *fleet) publish() *errgroup.Group {
	ctx, cancel := context.WithDeadline(context.Background(), f.end)
	f.t.Cleanup(cancel)
	group, ctx := errgroup.WithContext(ctx)
	half := len(f.jobs) / 2
	group.Go(func() error {
		return handIn(ctx, f.jobs[:half], 1, func(jobs []fields) error {
			job := jobs[0]
			_, err := f.nats.try(subject("normal", strings.TrimPrefix(job["from"].(string), "whatsapp:+")), job.json(), job["id"].(string))
			return err
		})
	})
	group.Go(func() error { return handIn(ctx, f.jobs[half:], 25, f.api.tryLines) })
	return group
}

// handIn gives the jobs to try, some at once, and those again that it fails on.
func handIn(ctx context.Context, jobs []fields, some int, try func([]fields) error) error {
	pace := time.NewTicker(time.Duration(some) * 20 * time.Millisecond)
	defer pace.Stop()
	for chunk := range slices.Chunk(jobs, some) {
		for {
			err := try(chunk)
			select {
			case <-pace.C:
			case <-ctx.Done():
				return fmt.Errorf("%v not taken: %w", chunk[0]["id"], errors.Join(ctx.Err(), err))
			}
			if err == nil {
				break
			}
		}
	}
	return nil
}

// tryLines posts jobs as NDJSON. It fails unless every one of them is taken.
func (s *site) tryLines(jobs []fields) error {
	var body bytes.Buffer
	for _, job := range jobs {
		body.Write(append(job.json(), '\n'))
	}
	req, err := http.NewRequest(http.MethodPost, s.base+"/v1/jobs", &body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	a, err := s.send(req)
	var told struct{ Results []struct{ ID, Status string } }
	if err == nil {
		err = json.Unmarshal(a.body, &told)
	}
	for i, job := range jobs {
		if err == nil && (i >= len(told.Results) || told.Results[i].ID != job["id"] || told.Results[i].Status == "") {
			err = fmt.Errorf("%d %s", a.status, a.body)
		}
	}
	return err
}

// restartEach ends every process once and starts it again, evenly spread over
// the messages.
func (f *fleet) restartEach() {
	f.t.Helper()
	const gently = true
	for i, step := range []struct {
		*member
		gently bool
	}{
		{f.apiRole, !gently}, {f.callbacks[0], gently}, {f.dispatchers[0], !gently}, {f.trackers[0], !gently},
		{f.callbacks[1], !gently}, {f.dispatchers[1], gently}, {f.trackers[1], gently},
	} {
		f.until(func() bool { return f.judge.accepted() >= (i+1)*len(f.ids)/8 })
		step.restart(step.gently)
	}
}

// until polls until it is so, and shows where the jobs are if it never is.
func (f *fleet) until(so func() bool) {
	f.t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		if time.Now().After(f.end) {
			require.FailNow(f.t, "not done in time", f.table(f.states(), f.judge.ledger()))
		}
		<-tick.C
	}
}

// requireAgreed waits until every job has ended in a state that agrees with its
// one message's.
func (f *fleet) requireAgreed(agree func(here, there string) bool) {
	f.t.Helper()
	f.until(func() bool { return f.ended() >= len(f.ids) })
	took := time.Since(f.begun)
	f.until(func() bool {
		here, there := f.states(), f.judge.ledger()
		return !slices.ContainsFunc(f.ids, func(id string) bool {
			return len(there[id]) > 0 && !agree(here[id], there[id][0].Status)
		})
	})
	f.judge.requireOnce(f.ids)
	f.t.Logf("%d jobs ended after %s, agreed after %s", len(f.ids), took, time.Since(f.begun))
}

// ended is how many jobs have ended, by the statistics.
func (f *fleet) ended() (n int) {
	f.t.Helper()
	var stats struct{ States map[string]int }
	f.api.must(http.MethodGet, "/v1/stats", nil, &stats)
	for state, jobs := range stats.States {
		if (record{Status: state}).ended() {
			n += jobs
		}
	}
	return n
}

// states is the state of every job, by id.
func (f *fleet) states() map[string]string {
	f.t.Helper()
	states := map[string]string{}
	for cursor := ""; ; {
		var page struct {
			Jobs []record
			Next string `json:"next_cursor"`
		}
		f.api.must(http.MethodGet, "/v1/jobs?limit=1000&cursor="+cursor, nil, &page)
		for _, r := range page.Jobs {
			states[r.ID] = r.Status
		}
		if cursor = page.Next; cursor == "" {
			return states
		}
	}
}

// table counts the jobs by their state here and their messages' at the provider,
// and shows one job at length of each row where the two differ.
func (f *fleet) table(here map[string]string, there map[string][]message) string {
	f.t.Helper()
	count, example := map[string]int{}, map[string]string{}
	for _, id := range f.ids {
		var statuses []string
		for _, m := range there[id] {
			statuses = append(statuses, m.Status)
		}
		row := fmt.Sprintf("%-12s %s", here[id], strings.Join(statuses, ","))
		count[row]++
		if strings.Join(statuses, ",") != here[id] {
			example[row] = id
		}
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%6s  %-12s %s\n", "jobs", "here", "provider")
	for _, row := range slices.Sorted(maps.Keys(count)) {
		fmt.Fprintf(&text, "%6d  %s\n", count[row], row)
	}
	for _, id := range slices.Sorted(maps.Values(example)) {
		a, err := f.api.try(http.MethodGet, "/v1/jobs/"+id, nil)
		fmt.Fprintf(&text, "%s: %+v\n%s %v\n", id, there[id], a.body, err)
	}
	return text.String()
}
