package jobstream

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/delivery"
)

// What a waiting job carries besides its JSON. Times are RFC 3339 with
// nanoseconds.
const (
	headerAttempt   = "Sluice-Attempt"
	headerEnded     = "Sluice-Ended"
	headerPublished = "Sluice-Published"
	headerPanics    = "Sluice-Panics"
	headerTrace     = "traceparent" // W3C Trace Context, as publishers set it
	headerRedriven  = "Sluice-Redriven"
	headerUnsettled = "Sluice-Unsettled" // of this message alone, see [uncounted]
)

// Headers of JetStream for which the client has no option that keeps
// fractions of a second.
const (
	headerSchedule       = "Nats-Schedule"
	headerScheduleTarget = "Nats-Schedule-Target"
)

// encodeTask is a job as it waits: everything of the task but its token, which
// belongs to one delivery, and its place.
func encodeTask(t delivery.Task) (*nats.Msg, error) {
	data, err := json.Marshal(t.Job)
	if err != nil {
		return nil, fmt.Errorf("encode job %s: %w", t.Job.ID, err)
	}
	msg := &nats.Msg{Data: data, Header: nats.Header{}}
	msg.Header.Set(headerAttempt, strconv.Itoa(t.Attempt))
	msg.Header.Set(headerPublished, formatTime(t.Published))
	if !t.Ended.IsZero() {
		msg.Header.Set(headerEnded, formatTime(t.Ended))
	}
	if t.Trace != "" {
		msg.Header.Set(headerTrace, t.Trace)
	}
	if t.Panics > 0 {
		msg.Header.Set(headerPanics, strconv.Itoa(t.Panics))
	}
	if t.Redriven > 0 {
		msg.Header.Set(headerRedriven, strconv.Itoa(t.Redriven))
	}
	if t.Announced {
		msg.Header.Set(delivery.HeaderAnnounced, "1")
	}
	return msg, nil
}

// decodeTask is the inverse of encodeTask, for a message stored at the given
// time. Headers that are missing or not ours count as unset; the job itself
// must be valid, and is as far as it could be read with an error.
func decodeTask(data []byte, header nats.Header, stored time.Time) (delivery.Task, error) {
	job, err := delivery.DecodeJob(data)
	if err != nil {
		return delivery.Task{Job: job}, err
	}
	task := delivery.Task{
		Job:       job.WithDefaults(""),
		Attempt:   max(1, number(header.Get(headerAttempt))),
		Ended:     parseTime(header.Get(headerEnded)),
		Panics:    number(header.Get(headerPanics)),
		Trace:     header.Get(headerTrace),
		Redriven:  number(header.Get(headerRedriven)),
		Published: parseTime(header.Get(headerPublished)),
		Announced: announced(header),
	}
	if task.Published.IsZero() {
		task.Published = stored
	}
	return task, task.Job.Validate()
}

// decodeDelivery makes a task of a message from either queue. On an error the
// job is as far as it could be read.
func decodeDelivery(msg jetstream.Msg, meta *jetstream.MsgMetadata) (delivery.Task, error) {
	var task delivery.Task
	var err error
	if meta.Stream == StreamJobs {
		task, err = publishedTask(msg, meta)
	} else {
		task, err = decodeTask(msg.Data(), msg.Headers(), meta.Timestamp)
	}
	task.Moved = meta.Stream == StreamWait
	task.Ref = ref(meta.Stream, meta.Sequence.Stream)
	task.Token = newToken()
	return task, err
}

func publishedTask(msg jetstream.Msg, meta *jetstream.MsgMetadata) (delivery.Task, error) {
	job, err := delivery.Published{
		Subject: msg.Subject(), Data: msg.Data(), MsgID: msg.Headers().Get(nats.MsgIdHdr),
		Sequence: meta.Sequence.Stream, Time: meta.Timestamp,
	}.Job()
	return delivery.Task{
		Job: job, Attempt: 1, Published: meta.Timestamp, Announced: announced(msg.Headers()),
		Trace: msg.Headers().Get(headerTrace),
	}, err
}

func announced(h nats.Header) bool { return h.Get(delivery.HeaderAnnounced) != "" }

// refusal is the event that tells of a message that is no job. It has attempt
// 0, so that it never touches a job accepted under the same id, and it names
// the job and its customer only where those are well formed.
func refusal(subject string, task delivery.Task, cause error, at time.Time) delivery.Event {
	e := delivery.Event{
		ID: "rejected:" + task.Ref, Type: delivery.EventRejected, At: at.UTC(),
		Status: delivery.EventRejected.Status(),
		Reason: cause.Error(), Error: &delivery.Error{Message: cause.Error()},
	}
	if delivery.ValidID(task.Job.ID) {
		e.Job = task.Job.ID
	}
	if sender := senderOf(subject); sender != "" {
		e.From = delivery.SenderAddress(sender)
	}
	if delivery.ValidCustomer(task.Job.To) {
		e.To = task.Job.To
	}
	return e
}

func ref(stream string, seq uint64) string { return stream + ":" + strconv.FormatUint(seq, 10) }

func newToken() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return hex.EncodeToString(b[:])
}

func formatTime(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func parseTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

func number(s string) int {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0
	}
	return int(n)
}
