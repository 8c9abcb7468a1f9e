package jobstream_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/jobstream"
)

// TestADeliverySaysWhetherItWasMoved: what comes out of the waiting room has been
// told of, what was just published perhaps not.
func TestADeliverySaysWhetherItWasMoved(t *testing.T) {
	t.Parallel()
	js := ready(t, jobstream.Config{})
	taken := make(chan delivery.Task, 2)
	work(t, js, handlerFunc(func(_ context.Context, task delivery.Task) delivery.Settlement {
		taken <- task
		return ack()
	}), jobstream.WorkerConfig{Concurrency: 4})
	publishDue(t, js, job("due", delivery.Low))
	require.True(t, receive(t, taken).Moved)
	publishMany(t, js, delivery.High, 1)
	require.False(t, receive(t, taken).Moved)
}
