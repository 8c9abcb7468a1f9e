package main_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// alphaLimit is how many customers alpha may reach in a window: fewer than it
// gets, so that jobs wait.
const alphaLimit = 80

// TestSurvivesKill ends `up` five times with kill -9 while jobs are published
// and sent, and starts it again. The provider's ledger judges.
func TestSurvivesKill(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string]fields{
		"perfect provider": nil,
		"faulty provider": {
			"drop_response": 0.05, "server_error": 0.05, "callback_doubled": 0.2, "callback_shuffled": 0.2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			survive(t, faults)
		})
	}
}

// TestCallbacksFindTheirWayAfterAKill: any free port will do for the callbacks,
// and what the sandbox has still to tell names the one that was.
func TestCallbacksFindTheirWayAfterAKill(t *testing.T) {
	t.Parallel()
	settings := quick(t)
	// The port of a run before, which no other test is given in the meantime.
	_, port, _ := strings.Cut(fixedAddr(t), ":")
	kept := filepath.Join(settings["SLUICE_DATA"], "callbacks.port")
	require.NoError(t, os.WriteFile(kept, []byte(port), 0o600))
	up := start(t, settings, "up")
	before := up.ready()
	require.Equal(t, "http://127.0.0.1:"+port, before.Callbacks)
	written, err := os.ReadFile(kept)
	require.NoError(t, err)
	require.Equal(t, port+"\n", string(written), "kept for the next run")
	newSite(t, before.Sandbox).must(http.MethodPut, "/sandbox/faults", fields{"callback_delay": "3s"}, nil)
	jobs, ids := campaign(10)
	api := newSite(t, before.API)
	for _, job := range jobs {
		require.Equal(t, http.StatusAccepted, api.post(job).status)
	}
	for _, id := range ids {
		api.await(id, "queued")
	}
	up.kill()

	again := start(t, settings, "up").ready()
	require.Equal(t, before.Callbacks, again.Callbacks)
	for id, r := range newSite(t, again.API).awaitEnd(ids) {
		require.Contains(t, []string{"delivered", "read"}, r.Status, id)
	}
}

func survive(t *testing.T, faults fields) {
	settings := quick(t).quietly().with(
		"SLUICE_NATS_ADDR", fixedAddr(t), "SLUICE_API_ADDR", fixedAddr(t), "SLUICE_CALLBACKS_ADDR", fixedAddr(t))
	settings["SLUICE_PUBLIC_URL"] = "http://" + settings["SLUICE_CALLBACKS_ADDR"]
	judge := startProvider(t, settings)
	settings["SLUICE_MESSAGES_URL"] = judge.base
	judge.must(http.MethodPut, "/sandbox/senders/"+alpha, fields{"limit": alphaLimit}, nil)
	judge.must(http.MethodPut, "/sandbox/senders/"+beta, fields{"limit": 1000}, nil)
	if faults != nil {
		judge.faults(faults)
	}

	up := start(t, settings, "up")
	told := up.ready()
	api := newSite(t, told.API)
	api.must(http.MethodPut, "/v1/senders/"+alpha, fields{"limit": alphaLimit, "mps": 1000}, nil)
	api.must(http.MethodPut, "/v1/senders/"+beta, fields{"limit": 1000}, nil)
	nats := connect(t, told.NATS)

	jobs, ids := campaign(600)
	publishing := publishAll(t, nats, api, jobs)
	for kill := 1; kill <= 5; kill++ {
		eventually(t, func() bool { return judge.accepted() >= kill*80 },
			func() string { return fmt.Sprintf("%d messages before kill %d", judge.accepted(), kill) })
		up.kill()
		up = start(t, settings, "up")
		require.Equal(t, told.API, up.ready().API)
	}
	require.NoError(t, publishing.Wait())

	for id, r := range api.awaitEnd(ids) {
		require.Contains(t, []string{"delivered", "read"}, r.Status, id)
	}
	judge.requireOnce(ids)
	// How many it was at least depends on how long the starts took.
	require.LessOrEqual(t, judge.busiest(alpha, 5*time.Second), alphaLimit+alphaLimit/10)
}

// campaign is n jobs to as many customers. A third is from alpha, and comes
// early enough to meet its limit.
func campaign(n int) (jobs []fields, ids []string) {
	for i := range n {
		sender := beta
		if i < n*2/3 && i%4 < 2 {
			sender = alpha
		}
		ids = append(ids, fmt.Sprintf("job-%03d", i))
		jobs = append(jobs, notice(ids[i], sender, i))
	}
	return jobs, ids
}

// publishAll hands in every job, over NATS and HTTP in turns, at the pace of an
// application. What is refused, or not answered, is tried again with the same
// id, as an application does that must not lose it.
func publishAll(t *testing.T, nats bare, api *site, jobs []fields) *errgroup.Group {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	group, ctx := errgroup.WithContext(ctx)
	tries := []func(fields) error{
		func(job fields) error {
			_, err := nats.try(subject("normal", job["from"].(string)[len("whatsapp:+"):]), job.json(), job["id"].(string))
			return err
		},
		func(job fields) error {
			a, err := api.try(http.MethodPost, "/v1/jobs", job.json())
			if err == nil && a.status != http.StatusAccepted {
				err = fmt.Errorf("%d: %s", a.status, a.body)
			}
			return err
		},
	}
	for over, try := range tries {
		group.Go(func() error {
			pace := time.NewTicker(8 * time.Millisecond)
			defer pace.Stop()
			for i := over; i < len(jobs); i += len(tries) {
				for {
					err := try(jobs[i])
					select {
					case <-pace.C:
					case <-ctx.Done():
						return fmt.Errorf("%v not taken: %w", jobs[i]["id"], err)
					}
					if err == nil {
						break
					}
				}
			}
			return nil
		})
	}
	return group
}
