package jobstream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/delivery"
)

const (
	overtakeEvery = 250 * time.Millisecond
	// farBehind is how many messages may stand before a sender's first one: at
	// a thousand jobs a second half a second's worth.
	farBehind = 512
	// A pass brings forward so many jobs of one sender, what a sender at 80 a
	// second sends until the next, and so many in all.
	overtakeOfOne = 20
	overtakeOfAll = 256
)

// overtaker looks after senders whose jobs stand far behind others' in a queue,
// or behind any when this worker can't take more of those. A consumer is first
// come, first served, and it may take long until 20,000 jobs of one sender are
// parked. The first jobs of those behind are moved to the due queue of their
// priority, where nothing is long.
//
// A job is moved as the releaser moves one: published under an id that names
// the message, then deleted. A crash in between leaves a copy, which is moved
// once more under the same id, or caught by the grant.
type overtaker struct {
	lane *lane // the queue
	jobs handle
	js   jetstream.JetStream
	cfg  WorkerConfig
	next string // the sender that the last pass ended with
}

func newOvertaker(l *lane) *overtaker {
	return &overtaker{lane: l, js: l.w.js, jobs: handle{js: l.w.js, name: StreamJobs}, cfg: l.w.cfg}
}

// run brings jobs forward until ctx ends. Trouble is met again at the next
// pass, and told by those who fetch.
func (o *overtaker) run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := o.pass(ctx); err != nil && ctx.Err() == nil {
			o.lane.log.DebugContext(ctx, "no jobs brought forward, trying again", "error", err)
		}
		sleep(ctx, overtakeEvery)
	}
}

// pass looks once at the queue.
func (o *overtaker) pass(ctx context.Context) error {
	if o.cfg.Full() {
		return nil
	}
	delivered, pending, err := o.delivered(ctx)
	if err != nil || pending == 0 {
		return err
	}
	stuck, _ := o.lane.w.shares.full(o.lane)
	gap := uint64(farBehind)
	if stuck {
		gap = 0
	} else if mine, err := o.lead(ctx, pending); err != nil || !mine {
		return err
	}
	senders, err := o.senders(ctx)
	if err != nil || len(senders) < 2 {
		return err
	}
	left := overtakeOfAll
	for _, sender := range after(senders, o.next) {
		if o.lane.w.shares.waits(party{sender, o.lane.priority == delivery.High}) {
			continue // it has its share
		}
		moved, err := o.bringForward(ctx, sender, delivered, gap, min(left, overtakeOfOne))
		if err != nil {
			return err
		}
		o.next = sender
		if left -= moved; left == 0 {
			break
		}
	}
	return nil
}

// lead reports whether anybody can be far behind, and it is for this worker to
// see to it.
func (o *overtaker) lead(ctx context.Context, pending uint64) (bool, error) {
	if pending < farBehind {
		return false, nil
	}
	return o.cfg.Lease(ctx, "overtake:"+string(o.lane.priority))
}

// delivered is the place in the queue up to which jobs have been given to
// workers, and how many stand behind it.
func (o *overtaker) delivered(ctx context.Context) (seq, pending uint64, err error) {
	consumer, err := o.js.Consumer(ctx, StreamJobs, o.lane.name)
	if err != nil {
		return 0, 0, err
	}
	info := consumer.CachedInfo()
	return info.Delivered.Stream, info.NumPending, nil
}

// senders names, in order, those who have jobs in the queue.
func (o *overtaker) senders(ctx context.Context) ([]string, error) {
	info, err := o.jobs.info(ctx, jetstream.WithSubjectFilter(delivery.JobSubject(o.lane.priority, "*")))
	if err != nil {
		return nil, err
	}
	var senders []string
	for subject := range maps.Keys(info.State.Subjects) {
		senders = append(senders, subject[strings.LastIndexByte(subject, '.')+1:])
	}
	slices.Sort(senders)
	return senders, nil
}

// after turns a sorted list so that it begins behind the given entry: each has
// its turn though a pass does not come to all.
func after(sorted []string, last string) []string {
	i, found := slices.BinarySearch(sorted, last)
	if found {
		i++
	}
	return slices.Concat(sorted[i:], sorted[:i])
}

// bringForward moves a sender's first jobs that nobody has been given yet, if
// that many others stand before them. What is no job stays: it is refused when
// its turn comes.
func (o *overtaker) bringForward(ctx context.Context, sender string, delivered, gap uint64, most int) (moved int, err error) {
	stream, err := o.jobs.get(ctx)
	if err != nil {
		return 0, err
	}
	subject := jetstream.WithGetMsgSubject(delivery.JobSubject(o.lane.priority, sender))
	for from := delivered + 1; moved < most; {
		msg, err := stream.GetMsg(ctx, from, subject)
		if err != nil {
			return moved, ignore(err, jetstream.ErrMsgNotFound)
		}
		if msg.Sequence <= delivered+gap {
			return moved, nil // its turn comes soon, and that of those behind it then
		}
		from = msg.Sequence + 1
		task, err := storedTask(StreamJobs, msg)
		if err != nil {
			continue
		}
		// Another worker may have been given it in the meantime. Should it be
		// so from here on, the grant tells the two apart.
		if now, _, err := o.delivered(ctx); err != nil || now >= msg.Sequence {
			return moved, err
		}
		out, err := encodeTask(task)
		if err != nil {
			return moved, err
		}
		out.Subject = dueSubject(task.Job.Priority, sender)
		if err := relocate(ctx, o.js, stream, msg.Sequence, "o:"+strconv.FormatUint(msg.Sequence, 10), out); err != nil {
			return moved, fmt.Errorf("bring job %s forward: %w", task.Job.ID, err)
		}
		moved++
	}
	return moved, nil
}

func ignore(err, harmless error) error {
	if errors.Is(err, harmless) {
		return nil
	}
	return err
}
