package jobstream

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluicehq/sluice/delivery"
)

func TestWaitingJobKeepsEverything(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		moment := rapid.Custom(func(t *rapid.T) time.Time {
			return time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC()
		})
		want := delivery.Task{
			Job: delivery.Job{
				ID: "a", From: "whatsapp:+15550001111", To: "whatsapp:+4915112345678",
				Body: rapid.StringN(1, 100, -1).Draw(t, "body"), SendAt: moment.Draw(t, "send at"),
			}.WithDefaults(""),
			Attempt:   rapid.IntRange(1, 1<<20).Draw(t, "attempt"),
			Published: moment.Draw(t, "published"),
			Announced: rapid.Bool().Draw(t, "announced"),
			Redriven:  rapid.IntRange(0, 1<<20).Draw(t, "redriven"),
		}
		if rapid.Bool().Draw(t, "has ended") {
			want.Ended = moment.Draw(t, "ended")
		}
		msg, err := encodeTask(want)
		require.NoError(t, err)
		got, err := decodeTask(msg.Data, msg.Header, time.Now())
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}

func FuzzDecodeTask(f *testing.F) {
	f.Add([]byte(`{"id":"a","from":"whatsapp:+15550001111","to":"whatsapp:+4915112345678","body":"hi"}`), "2", "2026-01-31T09:00:00Z")
	f.Add([]byte(`[]`), "-1", "never")
	f.Add([]byte(`null`), "99999999999999999999", "0000-00-00")
	f.Fuzz(func(t *testing.T, data []byte, attempt, ended string) {
		header := nats.Header{headerAttempt: {attempt}, headerEnded: {ended}, headerPublished: {ended}}
		stored := time.Unix(1, 0).UTC()
		task, err := decodeTask(data, header, stored)
		if err != nil {
			e := refusal("sluice.due.high.x", delivery.Task{Job: task.Job, Ref: "s:1"}, err, stored)
			require.NotEmpty(t, e.Reason)
			require.Zero(t, e.Attempt)
			return
		}
		require.Positive(t, task.Attempt)
		require.False(t, task.Published.IsZero())
		msg, err := encodeTask(task)
		require.NoError(t, err)
		again, err := decodeTask(msg.Data, msg.Header, stored)
		require.NoError(t, err)
		require.Equal(t, task.Job.Digest(), again.Job.Digest())
		require.Equal(t, task.Attempt, again.Attempt)
		require.True(t, task.Ended.Equal(again.Ended))
	})
}

func FuzzParseEntry(f *testing.F) {
	f.Add("sluice.intents.1", []byte(`{"token":"t","job":{"id":"a"}}`))
	f.Add("sluice.events.1.sent", []byte(`{"id":"e"}`))
	f.Add("sluice.events", []byte(`null`))
	f.Fuzz(func(t *testing.T, subject string, data []byte) {
		intent, event := parseEntry(subject, data)
		require.False(t, intent != nil && event != nil)
		if (intent != nil || event != nil) && !json.Valid(data) {
			t.Fatal("read something that is no JSON")
		}
	})
}
