package jobstream

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/delivery"
)

// Keep puts the payload of a job into the log that may end, or be held, without
// ever having had an intent, so that it can be redriven. Repeating it stores
// nothing new. It is no entry that projections read.
func (l *Log) Keep(ctx context.Context, job delivery.Job) error {
	data, err := json.Marshal(job)
	if err != nil {
		return fmt.Errorf("append to log: encode job %s: %w", job.ID, err)
	}
	_, err = l.write(ctx, keptSubject(job.Sender(), job.ID), "kept:"+job.ID, data)
	return err
}

// Payload reads a job from the log as it was last about to be sent or, if it
// never was, as it was kept; false once neither is there any more.
func (l *Log) Payload(ctx context.Context, sender, job string) (delivery.Job, bool, error) {
	intent, found, err := l.LastIntent(ctx, sender, job)
	if err != nil || found {
		return intent.Job, found, err
	}
	var kept delivery.Job
	found, err = l.last(ctx, keptSubject(sender, job), &kept)
	return kept, found && kept.ID == job, err
}

// LastIntent reads the last intent of a job, false if the log has none.
func (l *Log) LastIntent(ctx context.Context, sender, job string) (delivery.Intent, bool, error) {
	var intent delivery.Intent
	found, err := l.last(ctx, intentSubject(sender, job), &intent)
	return intent, found && intent.Job.ID == job, err
}

// last reads the newest entry of a subject. The stream's leader is asked: a
// replica that lags behind would say that there is none.
func (l *Log) last(ctx context.Context, subject string, out any) (found bool, err error) {
	options := l.js.Options()
	prefix := strings.TrimSuffix(cmp.Or(options.APIPrefix, jetstream.DefaultAPIPrefix), ".")
	request, err := json.Marshal(map[string]string{"last_by_subj": subject})
	if err != nil {
		return false, err
	}
	// The client bounds its own requests so; this one it would wait on for ever,
	// were the answer lost with its connection.
	ctx, cancel := context.WithTimeout(ctx, options.DefaultTimeout)
	defer cancel()
	reply, err := l.js.Conn().RequestWithContext(ctx, prefix+".STREAM.MSG.GET."+StreamLog, request)
	if err != nil {
		return false, fmt.Errorf("read the log's last entry on %s: %w", subject, err)
	}
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message struct {
			Data []byte `json:"data"`
		} `json:"message"`
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return false, fmt.Errorf("read the log's last entry on %s: %w", subject, err)
	}
	switch {
	case answer.Error != nil && answer.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return false, nil
	case answer.Error != nil:
		return false, fmt.Errorf("read the log's last entry on %s: %w", subject, answer.Error)
	}
	if err := json.Unmarshal(answer.Message.Data, out); err != nil {
		return false, fmt.Errorf("the log's last entry on %s: %w", subject, err)
	}
	return true, nil
}

// Redrive puts a job back to the dispatchers for a further attempt, or for one
// whose outcome is open. Once it returns nil the attempt will be made. Its
// message is named by job and attempt, so that of two requests for one attempt
// one counts; a copy beyond the dedupe window is caught by the grant of the
// first.
func (r *Room) Redrive(ctx context.Context, task delivery.Task) error {
	msg, err := encodeTask(task)
	if err != nil {
		return err
	}
	msg.Subject = dueSubject(task.Job.Priority, task.Job.Sender())
	msg.Header.Set(nats.MsgIdHdr, dedupeID(task.Job.ID+"#"+strconv.Itoa(task.Attempt)))
	if _, err := publish(ctx, r.js, msg); err != nil {
		return fmt.Errorf("redrive job %s: %w", task.Job.ID, err)
	}
	return nil
}
