package delivery

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// Variables fill a template's placeholders: name to value. In JSON they are an
// object of strings, or a string that holds such an object, which is the form
// the provider's own SDKs take.
type Variables map[string]string

// UnmarshalJSON takes both forms.
func (v *Variables) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		var inner string
		if err := json.Unmarshal(data, &inner); err != nil {
			return err
		}
		data = []byte(inner)
	}
	if err := json.Unmarshal(data, (*texts)(v)); err != nil {
		return errors.New("must be an object of strings, or a string holding one")
	}
	return nil
}

// texts is a map in which null is not taken for the empty string.
type texts map[string]string

// UnmarshalJSON takes an object of strings.
func (t *texts) UnmarshalJSON(data []byte) error {
	var m map[string]*string
	if err := json.Unmarshal(data, &m); err != nil || m == nil {
		return err
	}
	*t = make(texts, len(m))
	for k, v := range m {
		if v == nil {
			return errors.New("must be an object of strings, without null")
		}
		(*t)[k] = *v
	}
	return nil
}

// jobFields maps each JSON name to where its value goes. Names are matched to
// the letter, so a misspelt field is refused instead of ignored.
var jobFields = map[string]func(*Job) any{
	"id":                    func(j *Job) any { return &j.ID },
	"from":                  func(j *Job) any { return &j.From },
	"messaging_service_sid": func(j *Job) any { return &j.MessagingServiceSID },
	"to":                    func(j *Job) any { return &j.To },
	"content_sid":           func(j *Job) any { return &j.ContentSID },
	"content_variables":     func(j *Job) any { return &j.ContentVariables },
	"body":                  func(j *Job) any { return &j.Body },
	"media_url":             func(j *Job) any { return &j.MediaURL },
	"category":              func(j *Job) any { return &j.Category },
	"priority":              func(j *Job) any { return &j.Priority },
	"send_at":               func(j *Job) any { return &j.SendAt },
	"expires_at":            func(j *Job) any { return &j.ExpiresAt },
	"on_unknown":            func(j *Job) any { return &j.OnUnknown },
	"metadata":              func(j *Job) any { return (*texts)(&j.Metadata) },
}

// KnownField reports whether a job has a field of this JSON name.
func KnownField(name string) bool {
	_, known := jobFields[name]
	return known
}

// DecodeJob reads one job from JSON and nothing else: unknown fields, wrong
// types and trailing text are refused with a [*FieldError] for the first field
// at fault in the order of their names; the job returned with it has the
// fields that could be read. It neither fills defaults nor validates.
func DecodeJob(data []byte) (Job, error) {
	var raw map[string]json.RawMessage
	dec := json.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(&raw); err != nil || raw == nil {
		return Job{}, fieldErrorf("", "a job must be one JSON object%s", offset(err))
	}
	if _, err := dec.Token(); err != io.EOF {
		return Job{}, fieldErrorf("", "text after the job's JSON object")
	}
	var job Job
	var fault error
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		var err error
		if place, known := jobFields[name]; !known {
			err = fieldErrorf(shorten(name), "is not a field of a job")
		} else if wrong := json.Unmarshal(raw[name], place(&job)); wrong != nil {
			err = fieldErrorf(name, "%s", explain(wrong))
		}
		fault = cmp.Or(fault, err)
	}
	return job, fault
}

func offset(err error) string {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Sprintf(": %s at byte %d", syntax.Error(), syntax.Offset)
	}
	return ""
}

func explain(err error) string {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return fmt.Sprintf("cannot be a JSON %s", wrong.Value)
	}
	var date *time.ParseError
	if errors.As(err, &date) {
		return "must be a time as in 2026-01-31T09:00:00Z (RFC 3339)"
	}
	return err.Error()
}

func shorten(name string) string {
	const most = 64
	if len(name) <= most {
		return name
	}
	cut := most
	for !utf8.RuneStart(name[cut]) {
		cut--
	}
	return name[:cut] + "…"
}

// Digest identifies the content of a job: everything but its id and its
// priority, which says how urgently and not what. Two requests with one id and
// one digest are the same job.
func (j Job) Digest() string {
	j.ID, j.Priority = "", ""
	j.Category = cmp.Or(j.Category, Utility) // whatever Meta thinks of the template by now
	j.SendAt, j.ExpiresAt = canonical(j.SendAt), canonical(j.ExpiresAt)
	data, err := json.Marshal(j) // maps are written in the order of their keys
	if err != nil {
		panic("delivery: a job is always marshalled: " + err.Error())
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16])
}

func canonical(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Round(0)
}

// Published is a job as it was found on the queue.
type Published struct {
	Subject  string
	Data     []byte
	MsgID    string    // Nats-Msg-Id, may be empty
	Sequence uint64    // stream sequence
	Time     time.Time // when the stream stored it
}

// Job decodes what was published, fills its defaults and checks it against the
// subject it came on. The job is returned as far as it could be read even with
// an error, so that the refusal can name it.
func (p Published) Job() (Job, error) {
	job, err := DecodeJob(p.Data)
	if job.ID == "" {
		job.ID = p.defaultID()
	}
	if err != nil {
		return job, err
	}
	lane, sender, err := ParseJobSubject(p.Subject)
	if err != nil {
		return job, err
	}
	job = job.WithDefaults(lane)
	if err := job.Validate(); err != nil {
		return job, err
	}
	if job.Sender() != sender {
		return job, fieldErrorf("from", "is not the sender of the subject %s", p.Subject)
	}
	if job.Priority != lane {
		return job, fieldErrorf("priority", "is %s, but the subject says %s", job.Priority, lane)
	}
	return job, nil
}

// defaultID is the same for every delivery of one stored message.
func (p Published) defaultID() string {
	if p.MsgID != "" {
		return p.MsgID
	}
	return "nats-" + strconv.FormatUint(p.Sequence, 36) + "-" + strconv.FormatInt(p.Time.UnixNano(), 36)
}
