package jobstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/delivery"
)

// Room is the waiting room as the releaser of its jobs sees it: one queue per
// sender and priority, without a consumer, oldest first. Its methods may be
// called from any number of goroutines.
type Room struct {
	js     jetstream.JetStream
	stream handle
}

// NewRoom is the waiting room behind js. It does no I/O.
func NewRoom(js jetstream.JetStream) *Room {
	return &Room{js: js, stream: handle{js: js, name: StreamWait}}
}

// Counts says how many jobs are parked, by sender and priority, in one request.
func (r *Room) Counts(ctx context.Context) (map[string]map[delivery.Priority]int64, error) {
	info, err := r.stream.info(ctx, jetstream.WithSubjectFilter(parkedPrefix+">"))
	if err != nil {
		return nil, err
	}
	counts := make(map[string]map[delivery.Priority]int64)
	for subject, n := range info.State.Subjects {
		sender, priority, ok := parseParked(subject)
		if !ok || !slices.Contains(delivery.Priorities(), priority) {
			continue
		}
		if counts[sender] == nil {
			counts[sender] = make(map[delivery.Priority]int64)
		}
		counts[sender][priority] = int64(n)
	}
	return counts, nil
}

// Unschedule takes out what would come for a job at a time to come. It is for a
// job that has ended: nothing that it removes is moved elsewhere.
func (r *Room) Unschedule(ctx context.Context, job string) error {
	stream, err := r.stream.get(ctx)
	if err != nil {
		return err
	}
	for _, subject := range []string{schedulesPrefix + jobToken(job) + ".*", expirySubject(job)} {
		if err := stream.Purge(ctx, jetstream.WithPurgeSubject(subject)); err != nil {
			return fmt.Errorf("take job %s off the schedule: %w", job, err)
		}
	}
	return nil
}

// Head is the oldest parked job of a sender and priority behind a sequence, 0
// for all, false if there is none. In a cluster a replica answers: it may name a job already released,
// and releasing that again does nothing.
//
// A message that is no job would bar the way for good. It is let out
// unread: the worker on the other side refuses it in the log.
func (r *Room) Head(ctx context.Context, sender string, p delivery.Priority, behind uint64) (delivery.Parked, bool, error) {
	stream, err := r.stream.get(ctx)
	if err != nil {
		return delivery.Parked{}, false, err
	}
	for from := behind + 1; ; {
		msg, err := stream.GetMsg(ctx, from, jetstream.WithGetMsgSubject(parkedSubject(sender, p)))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return delivery.Parked{}, false, nil
		}
		if err != nil {
			return delivery.Parked{}, false, fmt.Errorf("look for parked jobs of %s: %w", sender, err)
		}
		task, err := decodeTask(msg.Data, msg.Header, msg.Time)
		if err == nil && task.Job.Sender() == sender {
			task.Ref = ref(StreamWait, msg.Sequence)
			return delivery.Parked{Seq: msg.Sequence, Since: msg.Time, Task: task}, true, nil
		}
		if err := r.move(ctx, msg.Sequence, dueSubject(p, sender), &nats.Msg{Data: msg.Data, Header: nats.Header{}}); err != nil {
			return delivery.Parked{}, false, err
		}
		from = msg.Sequence + 1
	}
}

// At is the parked job of a sender with a sequence, false if there is none.
func (r *Room) At(ctx context.Context, sender string, seq uint64) (delivery.Parked, bool, error) {
	stream, err := r.stream.get(ctx)
	if err != nil {
		return delivery.Parked{}, false, err
	}
	msg, err := stream.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return delivery.Parked{}, false, nil
	}
	if err != nil {
		return delivery.Parked{}, false, fmt.Errorf("look for parked job %d of %s: %w", seq, sender, err)
	}
	of, _, parked := parseParked(msg.Subject)
	task, err := decodeTask(msg.Data, msg.Header, msg.Time)
	if !parked || of != sender || err != nil {
		return delivery.Parked{}, false, nil
	}
	task.Ref = ref(StreamWait, seq)
	return delivery.Parked{Seq: seq, Since: msg.Time, Task: task}, true, nil
}

// Release moves a parked job to the due queue of its priority, where a worker
// takes it. Releasing one that is no longer parked does nothing within the
// dedupe window, and makes a copy beyond it, which its grant catches.
func (r *Room) Release(ctx context.Context, p delivery.Parked) error {
	msg, err := encodeTask(p.Task)
	if err != nil {
		return err
	}
	return r.move(ctx, p.Seq, dueSubject(p.Task.Job.Priority, p.Task.Job.Sender()), msg)
}

func (r *Room) move(ctx context.Context, seq uint64, subject string, msg *nats.Msg) error {
	stream, err := r.stream.get(ctx)
	if err != nil {
		return err
	}
	msg.Subject = subject
	if err := relocate(ctx, r.js, stream, seq, "r:"+strconv.FormatUint(seq, 10), msg); err != nil {
		return fmt.Errorf("release a parked job: %w", err)
	}
	return nil
}

// Size is how many messages the room holds, parked, scheduled, due and held.
func (r *Room) Size(ctx context.Context) (uint64, error) {
	info, err := r.stream.info(ctx)
	if err != nil {
		return 0, err
	}
	return info.State.Msgs, nil
}

// Backlog is how much waits where.
type Backlog struct {
	Ready     int64 // could be taken now: scale replicas on this
	Parked    int64 // waits for a place, the rate, its turn or the end of a pause
	Scheduled int64 // waits for a time
	InFlight  int64 // taken and not settled, or handed back and waiting a moment
}

// Backlog counts. The parts are read one after the other, so that under load
// they fit together only roughly.
func (r *Room) Backlog(ctx context.Context) (Backlog, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	info, err := r.stream.info(ctx, jetstream.WithSubjectFilter(parkedPrefix+">"))
	if err != nil {
		return Backlog{}, err
	}
	var b Backlog
	for _, n := range info.State.Subjects {
		b.Parked += int64(n)
	}
	for _, p := range delivery.Priorities() {
		pending, inFlight, err := r.outstanding(ctx, StreamJobs, jobsConsumer(p))
		if err != nil {
			return Backlog{}, err
		}
		duePending, dueInFlight, err := r.outstanding(ctx, StreamWait, dueConsumer(p))
		if err != nil {
			return Backlog{}, err
		}
		b.Ready += pending + duePending
		b.InFlight += inFlight + dueInFlight
	}
	b.Scheduled, _, err = r.outstanding(ctx, StreamWait, scheduledConsumer)
	return b, err
}

func (r *Room) outstanding(ctx context.Context, stream, consumer string) (pending, inFlight int64, err error) {
	c, err := r.js.Consumer(ctx, stream, consumer)
	if err != nil {
		return 0, 0, fmt.Errorf("ask for consumer %s of %s: %w", consumer, stream, err)
	}
	info := c.CachedInfo()
	return int64(info.NumPending), int64(info.NumAckPending), nil
}
