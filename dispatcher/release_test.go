package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/dispatcher"
	"github.com/sluicehq/sluice/ratelimit"
)

const otherSender = "15550002222"

// park puts a job into the waiting room.
func (w *world) park(id, sender string, p delivery.Priority) {
	job := template(id)
	job.From, job.Priority = "whatsapp:+"+sender, p
	w.add(taskOf(job)).parked = true
}

// released lists the jobs that are let out, in order.
func (w *world) released() []string {
	var ids []string
	for _, entry := range w.log.entries {
		if e, ok := entry.AsEvent(); ok && e.Type == delivery.EventReleased {
			ids = append(ids, e.Job)
		}
	}
	return ids
}

func TestOrderOfRelease(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.park("low 1", sender, delivery.Low)
	w.park("normal 1", otherSender, delivery.Normal)
	w.park("normal 2", sender, delivery.Normal)
	w.park("high 1", otherSender, delivery.High)
	w.park("normal 3", otherSender, delivery.Normal)
	w.park("high 2", sender, delivery.High)
	w.park("low 2", otherSender, delivery.Low)
	require.NoError(t, w.lets.Pass(t.Context()))
	require.Equal(t, []string{"high 1", "high 2", "normal 1", "normal 2", "normal 3", "low 1", "low 2"}, w.released())
	_, parked := w.next()
	require.False(t, parked)
	require.Len(t, w.queue, 7, "each is in the queue again, once")
}

func TestABlockedSenderBlocksNobodyElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	asked := 0
	w.gate.refuse = func(r ratelimit.Request) (ratelimit.Verdict, bool) {
		if r.Sender == sender {
			asked++
		}
		return ratelimit.Verdict{Outcome: ratelimit.OutcomePark}, r.Sender == sender
	}
	w.park("blocked 1", sender, delivery.High)
	w.park("blocked 2", sender, delivery.High)
	w.park("free 1", otherSender, delivery.High)
	w.park("free 2", otherSender, delivery.Low)
	require.NoError(t, w.lets.Pass(t.Context()))
	require.Equal(t, []string{"free 1", "free 2"}, w.released())
	require.Equal(t, 1, asked, "nobody passes the head of a lane")
}

// TestAResumeDuringALookLetsNobodyPass: the urgent ones were found paused, so the
// others wait for the next look too.
func TestAResumeDuringALookLetsNobodyPass(t *testing.T) {
	t.Parallel()
	for _, reason := range []string{ratelimit.ReasonSenderPaused, ratelimit.ReasonRate} {
		w := newWorld(t)
		w.park("low", sender, delivery.Low)
		w.park("high", sender, delivery.High)
		w.park("another's", otherSender, delivery.Low)
		first := true
		w.gate.refuse = func(ratelimit.Request) (ratelimit.Verdict, bool) {
			blocks := first
			first = false
			return ratelimit.Verdict{Outcome: ratelimit.OutcomePark, Reason: reason}, blocks
		}
		require.NoError(t, w.lets.Pass(t.Context()))
		require.Equal(t, []string{"another's"}, w.released(), reason)
		require.NoError(t, w.lets.Pass(t.Context()))
		require.Equal(t, []string{"another's", "high", "low"}, w.released(), reason)
	}
}

// TestAJobThatNeedsNoPlacePassesABlockedHead: its customer has been counted, or
// has written in.
func TestAJobThatNeedsNoPlacePassesABlockedHead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.park("head", sender, delivery.High)
	w.park("behind", sender, delivery.High)
	w.park("ready", sender, delivery.Low)
	free := map[string]bool{"ready": true}
	w.gate.refuse = func(r ratelimit.Request) (ratelimit.Verdict, bool) {
		return ratelimit.Verdict{Outcome: ratelimit.OutcomePark, Reason: ratelimit.ReasonPoolLimit}, !free[r.Job]
	}
	const gone = 4711
	w.gate.ready = map[string][]ratelimit.ReadyJob{sender: {{Seq: gone}, {Seq: w.queue[2].seq, Priority: ratelimit.Low}}}
	require.NoError(t, w.lets.Pass(t.Context()))
	require.Equal(t, []string{"ready"}, w.released())
	require.Equal(t, []uint64{gone}, w.gate.unshelved, "nothing lies there any more")
}

// TestACustomersPaceBlocksThatCustomerAlone: the one behind is for another.
func TestACustomersPaceBlocksThatCustomerAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, id := range []string{"paced 1", "paced 2", "other"} {
		w.park(id, sender, delivery.Normal)
	}
	w.gate.refuse = func(r ratelimit.Request) (ratelimit.Verdict, bool) {
		return ratelimit.Verdict{Outcome: ratelimit.OutcomePark, Reason: ratelimit.ReasonPairRate}, r.Job != "other"
	}
	require.NoError(t, w.lets.Pass(t.Context()))
	require.Equal(t, []string{"other"}, w.released())
}

// TestManyJobsOfOneCustomerHoldUpNobodyForLong: each look passes some of them, and
// the next goes on from there, until all were looked at.
func TestManyJobsOfOneCustomerHoldUpNobodyForLong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 200 {
		w.park(fmt.Sprint("paced ", i), sender, delivery.Normal)
	}
	w.park("other", sender, delivery.Normal)
	asked := map[string]int{}
	w.gate.refuse = func(r ratelimit.Request) (ratelimit.Verdict, bool) {
		asked[r.Job]++
		return ratelimit.Verdict{Outcome: ratelimit.OutcomePark, Reason: ratelimit.ReasonPairRate}, r.Job != "other"
	}
	for range 4 {
		require.NoError(t, w.lets.Pass(t.Context()))
	}
	require.Equal(t, []string{"other"}, w.released())
	require.Equal(t, 1, asked["paced 199"])
	require.Equal(t, 1, asked["paced 0"])
	require.NoError(t, w.lets.Pass(t.Context()))
	require.Equal(t, 2, asked["paced 0"], "then from the head again")
}

func TestAClosedGateLetsNobodyOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.gate.closed = true
	w.park("a", sender, delivery.High)
	require.NoError(t, w.lets.Pass(t.Context()))
	require.Empty(t, w.released())
}

// TestAJobThatMustEndIsLetOut: the dispatcher ends it as it ends any other.
func TestAJobThatMustEndIsLetOut(t *testing.T) {
	t.Parallel()
	for _, o := range []ratelimit.Outcome{
		ratelimit.OutcomeCanceled, ratelimit.OutcomeExpired, ratelimit.OutcomeSuppressed, ratelimit.OutcomeNoWindow,
		ratelimit.OutcomePrior, ratelimit.OutcomeConflict,
	} {
		w := newWorld(t)
		refuses(o)(w)
		w.park("a", sender, delivery.Normal)
		require.NoError(t, w.lets.Pass(t.Context()))
		require.Equal(t, []string{"a"}, w.released(), o)
	}
}

// TestAnEndedJobLeavesTheRoom: past a head that waits for a place, and without
// an event, as its end has been told.
func TestAnEndedJobLeavesTheRoom(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.park("head", sender, delivery.Normal)
	w.park("canceled", sender, delivery.Normal)
	w.gate.refuse = func(r ratelimit.Request) (ratelimit.Verdict, bool) {
		if r.Job == "canceled" {
			return ratelimit.Verdict{Outcome: ratelimit.OutcomeEnded, Reason: "canceled"}, true
		}
		return ratelimit.Verdict{Outcome: ratelimit.OutcomePark, Reason: ratelimit.ReasonPoolLimit}, true
	}
	lies := w.queue[1].seq
	w.gate.ready = map[string][]ratelimit.ReadyJob{sender: {{Seq: lies, Priority: ratelimit.Normal}}}
	require.NoError(t, w.lets.Pass(t.Context()))
	counts, err := w.Counts(t.Context())
	require.NoError(t, err)
	require.Equal(t, map[string]map[delivery.Priority]int64{sender: {delivery.Normal: 1}}, counts)
	require.Len(t, w.queue, 2, "the dispatcher settles it")
	require.Empty(t, w.released())
	require.Equal(t, []uint64{lies}, w.gate.unshelved)
}

func TestOneReleaserPerPool(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.gate.pools = map[string]string{otherSender: "other pool"}
	w.gate.leases["release:"+account] = "another releaser"
	w.park("a", sender, delivery.High)
	w.park("b", otherSender, delivery.Low)
	require.NoError(t, w.lets.Pass(t.Context()))
	require.Equal(t, []string{"b"}, w.released())
	require.Equal(t, holder, w.gate.leases["release:other pool"])
}

func TestSendersWithoutPolicyCountAsConfigured(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	each := dispatcher.NewReleaser(w, w.gate, w.log, dispatcher.ReleaserConfig{Holder: holder, PoolPerSender: true})
	w.park("a", sender, delivery.High)
	w.park("b", otherSender, delivery.High)
	require.NoError(t, each.Pass(t.Context()))
	require.Equal(t, map[string]string{"release:" + sender: holder, "release:" + otherSender: holder}, w.gate.leases)
}

// brokenRoom has one sender whose jobs cannot be read.
type brokenRoom struct {
	*world
	sender string
}

func (r brokenRoom) Head(ctx context.Context, sender string, p delivery.Priority, behind uint64) (delivery.Parked, bool, error) {
	if sender == r.sender {
		return delivery.Parked{}, false, errors.New("unreadable")
	}
	return r.world.Head(ctx, sender, p, behind)
}

func TestAPoolInTroubleHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.gate.pools = map[string]string{sender: "pool 1", otherSender: "pool 2"}
	w.park("a", sender, delivery.High)
	w.park("b", otherSender, delivery.Low)
	r := dispatcher.NewReleaser(brokenRoom{w, sender}, w.gate, w.log, dispatcher.ReleaserConfig{Holder: holder})
	require.ErrorContains(t, r.Pass(t.Context()), "pool 1")
	require.Equal(t, []string{"b"}, w.released())
}

// TestEachIsReleasedOnce puts every trouble at every place of a pass.
func TestEachIsReleasedOnce(t *testing.T) {
	t.Parallel()
	for place := 1; place <= 16; place++ {
		for _, one := range troubles()[:2] {
			w := newWorld(t)
			w.park("a", sender, delivery.High)
			w.park("b", otherSender, delivery.High)
			met := ""
			w.fault = func(n int, op string, after bool) error {
				if n == place {
					met = fmt.Sprintf("%s %s, after it %t", op, one.name, after)
					return one.do(w)
				}
				return nil
			}
			for range 3 {
				w.pass()
				w.clock.advance(time.Second)
			}
			require.NotEmpty(t, met)
			require.Equal(t, []string{"a", "b"}, w.released(), met)
			require.Len(t, w.queue, 2, met)
			_, parked := w.next()
			require.False(t, parked, met)
		}
	}
}

func TestAPassEndsBeforeTheLease(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 50 {
		w.park(fmt.Sprint(i), sender, delivery.High)
	}
	w.fault = func(_ int, op string, after bool) error {
		if op == "release" && after {
			w.clock.advance(100 * time.Millisecond)
		}
		return nil
	}
	require.NoError(t, w.lets.Pass(t.Context()))
	require.Len(t, w.released(), 10, "a second of work under a lease of three")
}

func TestRunLooksAgainWhenATurnComes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := inRealTime(t, 0)
		turn := time.Now().Add(time.Minute + 70*time.Millisecond)
		asked := []time.Time{}
		w.gate.refuse = func(ratelimit.Request) (ratelimit.Verdict, bool) {
			asked = append(asked, time.Now())
			return ratelimit.Verdict{Outcome: ratelimit.OutcomePark, At: turn}, time.Now().Before(turn)
		}
		w.park("a", sender, delivery.High)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		require.NoError(t, w.lets.Run(ctx))
		require.Equal(t, []string{"a"}, w.released())
		require.Equal(t, 200*time.Millisecond, asked[1].Sub(asked[0]), "what no verdict could foretell is looked for all the time")
		require.Equal(t, turn, asked[len(asked)-1], "and a turn is not missed")
	})
}
