package jobstream_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/jobstream"
)

func TestForgetDeletesWhatIsOlderAndNothingElse(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{})
	log := jobstream.NewLog(js)
	stored := make([]time.Time, 0, 20)
	for i := range 20 {
		e := job(fmt.Sprint("j", i), delivery.Normal).Happened(delivery.EventAccepted, 1, time.Now(), fmt.Sprint("e", i))
		seq, err := log.Append(t.Context(), e)
		require.NoError(t, err)
		stream, err := js.Stream(t.Context(), jobstream.StreamLog)
		require.NoError(t, err)
		msg, err := stream.GetMsg(t.Context(), seq)
		require.NoError(t, err)
		stored = append(stored, msg.Time)
	}

	require.NoError(t, log.Forget(t.Context(), stored[0]))
	require.EqualValues(t, 20, state(t, js, jobstream.StreamLog).Msgs, "none is older than the first")

	require.NoError(t, log.Forget(t.Context(), stored[7]))
	require.EqualValues(t, 8, state(t, js, jobstream.StreamLog).FirstSeq, "the eighth was stored at that time")
	require.NoError(t, log.Forget(t.Context(), stored[7]), "again")
	require.EqualValues(t, 13, state(t, js, jobstream.StreamLog).Msgs)

	require.NoError(t, log.Forget(t.Context(), stored[19].Add(time.Second)))
	require.Zero(t, state(t, js, jobstream.StreamLog).Msgs)
	last, err := log.Last(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 20, last, "sequences go on")
	require.NoError(t, log.Forget(t.Context(), time.Now()), "an empty log")
}
