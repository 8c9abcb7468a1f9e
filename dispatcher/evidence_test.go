package dispatcher_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/messaging"
	"github.com/sluicehq/sluice/ratelimit"
)

// afterDeath is a world in which a worker died with the job's first attempt in
// its hands, the grace is over, and the provider lists the messages given.
func afterDeath(t *testing.T, job delivery.Job, listed ...messaging.Resource) *world {
	w := newWorld(t)
	w.phone.listAll, w.phone.messages = true, listed
	w.die(job, 1)
	w.clock.advance(ackWait + grace)
	return w
}

// die grants an attempt to a worker that is no more.
func (w *world) die(job delivery.Job, attempt int) {
	_, err := w.gate.Admit(w.t.Context(), ratelimit.Request{
		Job: job.ID, Digest: job.Digest(), Sender: job.Sender(), Attempt: attempt, Token: "dead " + job.ID,
	})
	require.NoError(w.t, err)
	_, err = w.log.Intent(w.t.Context(), delivery.Intent{Job: job, Attempt: attempt, Token: "dead " + job.ID, At: w.clock.Now(), Pool: account})
	require.NoError(w.t, err)
}

func TestCandidates(t *testing.T) {
	t.Parallel()
	text, filled := freeForm("a", "hello"), template("a")
	both := filled
	both.Body = "hello"
	latest := ackWait // of the attempt, from its grant
	for _, c := range []struct {
		name   string
		job    delivery.Job
		change func(*messaging.Resource)
		found  bool
	}{
		{"the message", text, func(*messaging.Resource) {}, true},
		{"five seconds early", text, func(r *messaging.Resource) { r.DateCreated = start.Add(-5 * time.Second) }, true},
		{"six seconds early", text, func(r *messaging.Resource) { r.DateCreated = start.Add(-6 * time.Second) }, false},
		{"at the latest end", text, func(r *messaging.Resource) { r.DateCreated = start.Add(latest) }, true},
		{"five seconds late", text, func(r *messaging.Resource) { r.DateCreated = start.Add(latest + 5*time.Second) }, true},
		{"six seconds late", text, func(r *messaging.Resource) { r.DateCreated = start.Add(latest + 6*time.Second) }, false},
		{"without a date", text, func(r *messaging.Resource) { r.DateCreated = time.Time{} }, false},
		{"another text", text, func(r *messaging.Resource) { r.Body = "good bye" }, false},
		{"no text", text, func(r *messaging.Resource) { r.Body = "" }, false},
		{"a template's text", filled, func(r *messaging.Resource) { r.Body = "rendered" }, true},
		{"a template's text, not yet there", filled, func(r *messaging.Resource) { r.Body = "" }, true},
		{"either form", both, func(r *messaging.Resource) { r.Body = "rendered" }, true},
		{"another customer", text, func(r *messaging.Resource) { r.To = "whatsapp:+491709999999" }, false},
		{"from the customer", text, func(r *messaging.Resource) { r.Direction = "inbound" }, false},
		{"a reply", text, func(r *messaging.Resource) { r.Direction = "outbound-reply" }, false},
		{"no direction", text, func(r *messaging.Resource) { r.Direction = "" }, true},
		{"no sid", text, func(r *messaging.Resource) { r.SID = "" }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := messaging.Resource{
				SID: "SM9", From: from, To: customer, Body: "hello", Direction: "outbound-api", DateCreated: start.Add(time.Second),
			}
			c.change(&r)
			w := afterDeath(t, c.job, r)
			s := w.handler.Handle(t.Context(), taskOf(c.job))
			record := w.log.record("a")
			if c.found {
				require.Equal(t, delivery.Ack, s.Action)
				require.Equal(t, delivery.StatusQueued, record.Status)
				require.Equal(t, "SM9", record.SID)
				return
			}
			require.Equal(t, delivery.Settlement{Action: delivery.Schedule, At: w.clock.Now(), Attempt: 2}, s)
			require.Equal(t, delivery.StatusScheduled, record.Status)
			require.Nil(t, record.Error, "nobody refused it: its slot is not given back")
			require.Zero(t, w.phone.calls)
		})
	}
}

func at(sid string, offset time.Duration) messaging.Resource {
	return messaging.Resource{SID: sid, From: from, To: customer, Direction: "outbound-api", DateCreated: start.Add(offset)}
}

func TestTheNearestMessageOfNoOtherJobIsTaken(t *testing.T) {
	t.Parallel()
	w := afterDeath(t, template("a"), at("SM1", 20*time.Second), at("SM2", -2*time.Second), at("SM3", time.Second))
	w.log.owners["SM3"] = "another job"
	s := w.handler.Handle(t.Context(), taskOf(template("a")))
	require.Equal(t, delivery.Ack, s.Action)
	require.Equal(t, "SM2", w.log.record("a").SID)
	require.Equal(t, "a", w.log.owners["SM2"])
}

func TestWithoutEvidenceAHeldJobWaitsForAPerson(t *testing.T) {
	t.Parallel()
	job := template("a")
	job.OnUnknown = delivery.Hold
	w := afterDeath(t, job)
	s := w.handler.Handle(t.Context(), taskOf(job))
	require.Equal(t, delivery.Ack, s.Action)
	require.Equal(t, delivery.StatusHeld, w.log.record("a").Status)
	s = w.handler.Handle(t.Context(), taskOf(job))
	require.Equal(t, delivery.Ack, s.Action, "a copy of a held job goes")
	require.Equal(t, 1, w.phone.lists)
}

func TestEvidenceIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	job := template("a")
	w.die(job, 1)

	w.clock.advance(ackWait - time.Second)
	s := w.handler.Handle(t.Context(), taskOf(job))
	require.Equal(t, delivery.Settlement{Action: delivery.Schedule, At: start.Add(ackWait), Attempt: 1}, s)
	require.Equal(t, delivery.StatusSending, w.log.record("a").Status, "the first worker may still be at it")

	w.clock.advance(time.Second)
	s = w.handler.Handle(t.Context(), taskOf(job))
	ended := start.Add(ackWait)
	require.Equal(t, delivery.Settlement{Action: delivery.Schedule, At: ended.Add(grace), Attempt: 1, Ended: ended}, s)
	require.Equal(t, delivery.StatusUnknown, w.log.record("a").Status)
	require.Equal(t, "interrupted", w.log.record("a").Reason)
	require.Zero(t, w.phone.lists)
	require.Zero(t, w.phone.calls)
}

func TestAListThatFailsIsAskedAgainLater(t *testing.T) {
	t.Parallel()
	w := afterDeath(t, template("a"))
	w.phone.listErr = errors.New("no list")
	task := taskOf(template("a"))
	task.Ended = start.Add(3 * time.Second)
	before := len(w.log.entries)
	s := w.handler.Handle(t.Context(), task)
	require.Equal(t, delivery.Settlement{
		Action: delivery.Schedule, At: w.clock.Now().Add(grace), Attempt: 1, Ended: task.Ended,
	}, s)
	require.Len(t, w.log.entries, before, "nothing has changed")
}

func TestALaggingLedgerDecidesNothing(t *testing.T) {
	t.Parallel()
	w := afterDeath(t, template("a"))
	w.log.lags = true
	s := w.handler.Handle(t.Context(), taskOf(template("a")))
	require.Equal(t, delivery.HandBack, s.Action)
	require.Zero(t, w.phone.lists)
}

func (w *world) happened(t delivery.EventType, attempt int, change func(*delivery.Event)) {
	e := template("a").Happened(t, attempt, w.clock.Now(), string(t))
	if change != nil {
		change(&e)
	}
	_, err := w.log.Append(w.t.Context(), e)
	require.NoError(w.t, err)
}

func TestWhatTheRecordAlreadyKnows(t *testing.T) {
	t.Parallel()
	ack := delivery.Settlement{Action: delivery.Ack}
	refused := func(e *delivery.Event) { e.Error = &delivery.Error{Code: 20429} }
	for _, c := range []struct {
		name string
		tell func(*world)
		want func(*world) delivery.Settlement
	}{
		{"a callback named the sid", func(w *world) {
			w.happened(delivery.EventSent, 1, func(e *delivery.Event) { e.SID = "SM1" })
		}, nil},
		{"a next attempt was decided on", func(w *world) { w.happened(delivery.EventScheduled, 2, nil) }, again},
		{"it was refused, and is to be tried again", func(w *world) { w.happened(delivery.EventScheduled, 2, refused) }, again},
		{"it was refused, and is to wait", func(w *world) { w.happened(delivery.EventParked, 2, refused) }, again},
		{"the tracker brings it back", func(w *world) { w.happened(delivery.EventParked, 2, cameBack("SM1")) }, nil},
		{"a next attempt was let out", func(w *world) { w.happened(delivery.EventReleased, 2, nil) }, nil},
		{"a next attempt is being sent", func(w *world) { w.happened(delivery.EventSending, 2, nil) }, nil},
		{"it was refused for good", func(w *world) { w.happened(delivery.EventFailed, 1, refused) }, nil},
		{"it was canceled", func(w *world) { w.happened(delivery.EventCanceled, 1, nil) }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := afterDeath(t, template("a"))
			c.tell(w)
			before := len(w.log.entries)
			want := ack
			if c.want != nil {
				want = c.want(w)
			}
			require.Equal(t, want, w.handler.Handle(t.Context(), taskOf(template("a"))))
			added := w.log.entries[before:]
			if w.log.record("a").SID == "" {
				require.Empty(t, added)
			} else { // the gate knows it, and a log that was restored from a backup may not
				require.Len(t, added, 1)
				require.Equal(t, "queued:SM1", added[0].Event.ID)
			}
			require.Zero(t, w.phone.lists)
			require.Zero(t, w.phone.calls)
		})
	}
}

// cameBack makes an event of the way back of a message, as the provider's report on
// it does.
func cameBack(sid string) func(*delivery.Event) {
	return func(e *delivery.Event) {
		e.ID, e.Reason = delivery.ReportID(sid, "undelivered", delivery.CodeLimit), delivery.ReasonLimit
	}
}

// again brings the job back for its second attempt.
func again(w *world) delivery.Settlement {
	return delivery.Settlement{Action: delivery.Schedule, At: w.clock.Now(), Attempt: 2}
}

// TestAForgottenJobStaysForgotten: a copy may come after its state is gone, and
// the gate keep it for longer.
func TestAForgottenJobStaysForgotten(t *testing.T) {
	t.Parallel()
	w := afterDeath(t, template("a"))
	w.happened(delivery.EventDelivered, 1, func(e *delivery.Event) { e.SID = "SM1" })
	w.log.entries = nil
	require.Equal(t, delivery.Ack, w.handler.Handle(t.Context(), taskOf(template("a"))).Action)
	require.Empty(t, w.log.entries)

	w = afterDeath(t, template("a")) // one that went as a later attempt
	w.die(template("a"), 2)
	w.log.entries = nil
	require.Equal(t, delivery.Ack, w.handler.Handle(t.Context(), taskOf(template("a"))).Action)
	require.Empty(t, w.log.entries)
}

// TestTheExpiryOfAForgottenJobMakesItNotKnownAgain: nor does it where the gate has
// forgotten the job too. One that is known ends.
func TestTheExpiryOfAForgottenJobMakesItNotKnownAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	refuses(ratelimit.OutcomeExpired)(w)
	task := taskOf(template("a"))
	task.Moved, task.Announced = true, true
	require.Equal(t, delivery.Ack, w.handler.Handle(t.Context(), task).Action)
	require.Empty(t, w.log.entries)

	w.happened(delivery.EventParked, 1, nil)
	require.Equal(t, delivery.Ack, w.handler.Handle(t.Context(), task).Action)
	require.Equal(t, delivery.StatusExpired, w.log.record("a").Status)
}

// TestAServicesMessageIsOfThatService: whichever number it chose. What a number
// sent itself may bear any service's SID.
func TestAServicesMessageIsOfThatService(t *testing.T) {
	t.Parallel()
	const mine, other = "MG0123456789abcdef0123456789abcdef", "MG99999999999999999999999999999999"
	for _, c := range []struct {
		job, message string
		found        bool
	}{{mine, mine, true}, {mine, "", true}, {mine, other, false}, {"", other, true}} {
		job, m := template("a"), at("SM1", time.Second)
		if job.MessagingServiceSID, m.MessagingServiceSID = c.job, c.message; c.job != "" {
			job.From = ""
		}
		w := afterDeath(t, job, m)
		s := w.handler.Handle(t.Context(), taskOf(job))
		require.Equal(t, c.found, s.Action == delivery.Ack, "%+v", c)
	}
}

// TestASlotGivenBackIsNoEnd: the gate calls such an attempt settled, but the
// worker may have died before the message was moved on.
func TestASlotGivenBackIsNoEnd(t *testing.T) {
	t.Parallel()
	w := afterDeath(t, template("a"))
	require.NoError(t, w.gate.GiveBack(t.Context(), "a", 1, "dead a"))
	w.happened(delivery.EventScheduled, 2, nil)
	require.Equal(t, again(w), w.handler.Handle(t.Context(), taskOf(template("a"))))
}

// TestAnEarlierEndIsNotThisOnes: a redrive begins a new attempt of a job that
// has ended, and its worker may die like any other.
func TestAnEarlierEndIsNotThisOnes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.happened(delivery.EventFailed, 1, nil)
	_, err := w.gate.Admit(t.Context(), ratelimit.Request{
		Job: "a", Digest: template("a").Digest(), Sender: sender, Attempt: 2, Token: "dead",
	})
	require.NoError(t, err)
	w.clock.advance(ackWait + grace)
	task := taskOf(template("a"))
	task.Attempt = 2
	s := w.handler.Handle(t.Context(), task)
	require.Equal(t, delivery.Settlement{Action: delivery.Schedule, At: w.clock.Now(), Attempt: 3}, s)
}

// TestARefusedMessageIsNoEvidence: the provider took the first attempt's and
// refused it within a second, so that it stands in the list beside the second's.
// The answer that named it may have been lost.
func TestARefusedMessageIsNoEvidence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.phone.listAll, w.phone.messages = true, []messaging.Resource{at("SM1", 0)}
	w.happened(delivery.EventParked, 2, cameBack("SM1"))
	w.clock.advance(2 * time.Second)
	w.die(template("a"), 2)
	w.clock.advance(ackWait + grace)
	task := taskOf(template("a"))
	task.Attempt = 2
	s := w.handler.Handle(t.Context(), task)
	require.Equal(t, delivery.Settlement{Action: delivery.Schedule, At: w.clock.Now(), Attempt: 3}, s)
}
