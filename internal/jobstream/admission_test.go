package jobstream_test

import (
	"encoding/json"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/jobstream"
)

func TestRefusingQueueKeepsWhatItHasAndTakesNothing(t *testing.T) {
	t.Parallel()
	cfg := jobstream.Config{JobsMax: 10}
	js := ready(t, cfg)
	publish(t, js, job("first", delivery.Normal))

	require.NoError(t, jobstream.Refuse(t.Context(), js))
	data, err := json.Marshal(job("second", delivery.High))
	require.NoError(t, err)
	_, err = js.Publish(t.Context(), delivery.JobSubject(delivery.High, sender), data)
	var refusal *jetstream.APIError
	require.ErrorAs(t, err, &refusal)
	require.EqualValues(t, 10077, refusal.ErrorCode)
	require.EqualValues(t, 1, state(t, js, jobstream.StreamJobs).Msgs, "nothing is dropped")

	require.NoError(t, jobstream.Accept(t.Context(), js, cfg))
	publish(t, js, job("second", delivery.High))
	require.EqualValues(t, 2, state(t, js, jobstream.StreamJobs).Msgs)
}
