package ledger_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/delivery/ledger"
)

// BenchmarkApply applies 10,000 events of 2,000 jobs, in the order of a log in
// which 100 jobs are under way at a time, in batches of 200 on a real Redis.
func BenchmarkApply(b *testing.B) {
	engines.Need(b)
	life := []delivery.EventType{
		delivery.EventAccepted, delivery.EventSending, delivery.EventQueued, delivery.EventSent, delivery.EventDelivered,
	}
	var events []delivery.Event
	for wave := range 20 {
		for _, t := range life {
			for i := range 100 {
				job := fmt.Sprintf("0195a3c2-7c1e-7000-8000-%06d%06d", wave, i)
				e := happened(job, t, 1, wave)
				e.Metadata = map[string]string{"order": job, "campaign": "spring"}
				e.To = fmt.Sprintf("whatsapp:+4917%06d", wave*100+i)
				if t.Status() == delivery.StatusQueued || t.Status() == delivery.StatusSent {
					e.SID = "SM" + job
				}
				events = append(events, e)
			}
		}
	}
	rdb := engines.Single(b)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		require.NoError(b, rdb.FlushDB(b.Context()).Err())
		l := ledger.New(rdb, ledger.Options{Now: (&clock{now: start}).Now})
		b.StartTimer()
		for batch := range slices.Chunk(events, 200) {
			if err := l.Apply(b.Context(), batch); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(len(events)*b.N)/b.Elapsed().Seconds(), "events/s")
}
