package jobstream_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/jobstream"
)

func TestSetupTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	js := bare(t)
	cfg := jobstream.Config{JobsMax: 10, JobsMaxBytes: 1 << 20, AckWait: time.Second}
	require.NoError(t, jobstream.Setup(t.Context(), js, cfg))
	publish(t, js, job("a", delivery.High))
	before := configs(t, js)

	require.NoError(t, jobstream.Setup(t.Context(), js, cfg))
	require.Equal(t, before, configs(t, js))
	require.EqualValues(t, 1, state(t, js, jobstream.StreamJobs).Msgs)
}

func TestSetupFromSeveralProcessesAtOnce(t *testing.T) {
	t.Parallel()
	js := bare(t)
	var wg sync.WaitGroup
	errs := make(chan error, 8)
	for range cap(errs) {
		wg.Go(func() { errs <- jobstream.Setup(t.Context(), js, jobstream.Config{}) })
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
}

func TestSetupUpgradesAndKeepsWhatOperatorsSet(t *testing.T) {
	t.Parallel()
	js := bare(t)
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: jobstream.StreamJobs, Subjects: []string{"sluice.jobs.>"}, Retention: jetstream.WorkQueuePolicy,
		Description: "ours", MaxMsgs: 5, Discard: jetstream.DiscardOld, MaxAge: time.Hour,
	})
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: jobstream.StreamWait, Subjects: []string{"sluice.parked.>"}, Retention: jetstream.WorkQueuePolicy, MaxMsgs: 5,
	})
	require.NoError(t, err)

	require.NoError(t, jobstream.Setup(t.Context(), js, jobstream.Config{JobsMax: 7, AckWait: time.Second}))
	jobs, wait := configs(t, js)[jobstream.StreamJobs], configs(t, js)[jobstream.StreamWait]
	require.Equal(t, "ours", jobs.Description)
	require.EqualValues(t, 7, jobs.MaxMsgs)
	require.Equal(t, jetstream.DiscardNew, jobs.Discard)
	require.Zero(t, jobs.MaxAge)
	require.Equal(t, []string{"sluice.jobs.high.*", "sluice.jobs.normal.*", "sluice.jobs.low.*"}, jobs.Subjects)
	require.True(t, wait.AllowMsgSchedules)
	require.EqualValues(t, -1, wait.MaxMsgs)

	require.NoError(t, jobstream.Setup(t.Context(), js, jobstream.Config{AckWait: time.Minute}))
	c, err := js.Consumer(t.Context(), jobstream.StreamJobs, "jobs-high")
	require.NoError(t, err)
	require.Equal(t, time.Minute, c.CachedInfo().Config.AckWait)
	require.EqualValues(t, -1, configs(t, js)[jobstream.StreamJobs].MaxMsgs)
}

func TestSetupSaysWhichStreamItCannotChange(t *testing.T) {
	t.Parallel()
	js := bare(t)
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: jobstream.StreamJobs, Subjects: []string{"sluice.jobs.>"}})
	require.NoError(t, err)
	require.ErrorContains(t, jobstream.Setup(t.Context(), js, jobstream.Config{}), jobstream.StreamJobs)
}

func TestWrongSubjectsHaveNoResponders(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{})
	for _, subject := range []string{
		"sluice.jobs.urgent.15550001111", "sluice.jobs.high", "sluice.jobs.high.1.2", "sluice.job.high.15550001111",
	} {
		_, err := js.Conn().Request(subject, []byte("{}"), 5*time.Second)
		require.ErrorIs(t, err, nats.ErrNoResponders, subject)
	}
}

func TestFullQueueRefusesThePublisherAndKeepsTheRest(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{JobsMax: 2})
	publish(t, js, job("a", delivery.High))
	publish(t, js, job("b", delivery.Low))

	_, err := js.Publish(t.Context(), delivery.JobSubject(delivery.Low, sender), []byte("{}"))
	var refused *jetstream.APIError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, 503, refused.Code)
	require.ErrorContains(t, err, "maximum messages exceeded")
	require.EqualValues(t, 2, state(t, js, jobstream.StreamJobs).Msgs)
	require.EqualValues(t, 1, state(t, js, jobstream.StreamJobs).FirstSeq)
}

func TestQueueRefusesJobsThatCouldNotBeWrittenAgain(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{})
	_, err := js.Publish(t.Context(), delivery.JobSubject(delivery.Low, sender), []byte(strings.Repeat("<", jobstream.MaxJobBytes+1)))
	require.ErrorContains(t, err, "message size exceeds")
}

func configs(t *testing.T, js jetstream.JetStream) map[string]jetstream.StreamConfig {
	t.Helper()
	found := make(map[string]jetstream.StreamConfig)
	for _, name := range []string{jobstream.StreamJobs, jobstream.StreamWait, jobstream.StreamLog, jobstream.StreamFacts} {
		s, err := js.Stream(t.Context(), name)
		require.NoError(t, err)
		found[name] = s.CachedInfo().Config
	}
	return found
}
