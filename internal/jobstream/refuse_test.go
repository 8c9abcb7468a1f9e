package jobstream_test

import (
	"context"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/jobstream"
)

func TestMessagesThatAreNoJobsAreRefusedInTheLog(t *testing.T) {
	t.Parallel()
	const normal = "sluice.jobs.normal." + sender
	valid := `"from":"` + address + `","to":"whatsapp:+4915112345678","body":"hi"`
	for name, tt := range map[string]struct {
		subject, data, msgID string
		job, from, to, says  string
	}{
		"no JSON":            {normal, `{`, "m-1", "m-1", address, "", "JSON"},
		"empty":              {normal, ``, "m-3", "m-3", address, "", "JSON"},
		"unknown field":      {normal, `{"id":"a","bdy":"x",` + valid + `}`, "m-2", "a", address, "whatsapp:+4915112345678", "bdy"},
		"bad id":             {normal, `{"id":"../a",` + valid + `}`, "", "", address, "whatsapp:+4915112345678", "id"},
		"bad customer":       {normal, `{"id":"b","from":"` + address + `","to":"nobody","body":"x"}`, "", "b", address, "", "to"},
		"other sender":       {"sluice.jobs.normal.4930123456", `{"id":"c",` + valid + `}`, "", "c", "whatsapp:+4930123456", "whatsapp:+4915112345678", "from"},
		"other priority":     {normal, `{"id":"d","priority":"high",` + valid + `}`, "", "d", address, "whatsapp:+4915112345678", "priority"},
		"subject's sender":   {"sluice.jobs.normal.bob", `{"id":"e",` + valid + `}`, "", "e", "", "whatsapp:+4915112345678", "bob"},
		"no job on due":      {"sluice.due.normal." + sender, `{}`, "", "", address, "", "id"},
		"not parsing on due": {"sluice.due.high." + sender, `[]`, "", "", address, "", "JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			js := ready(t, jobstream.Config{})
			var opts []jetstream.PublishOpt
			if tt.msgID != "" {
				opts = append(opts, jetstream.WithMsgID(tt.msgID))
			}
			publishRaw(t, js, tt.subject, []byte(tt.data), opts...)
			publish(t, js, job("good", delivery.Normal))

			tasks := make(chan delivery.Task, 8)
			work(t, js, handlerFunc(func(_ context.Context, task delivery.Task) delivery.Settlement {
				tasks <- task
				return ack()
			}), jobstream.WorkerConfig{})
			require.Equal(t, "good", receive(t, tasks).Job.ID)
			empties(t, js, jobstream.StreamJobs)
			empties(t, js, jobstream.StreamWait)
			require.Empty(t, tasks)

			refused := events(t, js, delivery.EventRejected)
			require.Len(t, refused, 1)
			e := refused[0]
			require.Regexp(t, `^rejected:SLUICE_(JOBS|WAIT):1$`, e.ID)
			require.Equal(t, tt.job, e.Job)
			require.Zero(t, e.Attempt)
			require.Equal(t, tt.from, e.From)
			require.Equal(t, tt.to, e.To)
			require.Equal(t, delivery.StatusRejected, e.Status)
			require.Contains(t, e.Reason, tt.says)
			require.Equal(t, &delivery.Error{Message: e.Reason}, e.Error)
			require.False(t, e.At.IsZero())
		})
	}
}

func TestRefusalThatCannotBeToldLeavesTheMessage(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{})
	setLogBound(t, js, 1)
	_, err := jobstream.NewLog(js).Append(t.Context(), event("fills-it"))
	require.NoError(t, err)
	publishRaw(t, js, "sluice.jobs.normal."+sender, []byte(`{`))

	work(t, js, handlerFunc(func(context.Context, delivery.Task) delivery.Settlement { return ack() }), jobstream.WorkerConfig{})
	c, err := js.Consumer(t.Context(), jobstream.StreamJobs, "jobs-normal")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		info, err := c.Info(t.Context())
		return err == nil && info.NumRedelivered > 0
	}, patience, tick)
	require.EqualValues(t, 1, state(t, js, jobstream.StreamJobs).Msgs)

	setLogBound(t, js, -1)
	empties(t, js, jobstream.StreamJobs)
	require.Len(t, events(t, js, delivery.EventRejected), 1)
}

func setLogBound(t *testing.T, js jetstream.JetStream, n int64) {
	t.Helper()
	stream, err := js.Stream(t.Context(), jobstream.StreamLog)
	require.NoError(t, err)
	cfg := stream.CachedInfo().Config
	cfg.MaxMsgs = n
	_, err = js.UpdateStream(t.Context(), cfg)
	require.NoError(t, err)
}
