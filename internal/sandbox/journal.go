package sandbox

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// errJournal is why something was not done that nothing else spoke against.
var errJournal = errors.New("the sandbox cannot write its journal")

// journal is the file a sandbox is rebuilt from: one record a line (NDJSON), in
// the order in which things happened. One process at a time may have it open. A
// nil journal keeps nothing. The Sandbox's mu guards it.
type journal struct {
	file   journalFile
	size   int64 // of the complete lines
	broken error // half a line could not be cut off: nothing may follow it
}

// journalFile is an [os.File] opened for appending.
type journalFile interface {
	io.WriteCloser
	Truncate(size int64) error
}

// write appends a record; an error wraps errJournal and leaves nothing behind.
//
// It does not fsync: once the kernel has the line, kill -9 of this process does
// not take it back. Only a crash of the whole machine can.
func (j *journal) write(rec record) error {
	if j == nil {
		return nil
	}
	if j.broken != nil {
		return fmt.Errorf("%w: %w", errJournal, j.broken)
	}
	line, err := json.Marshal(rec)
	if err == nil {
		err = j.append(append(line, '\n'))
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errJournal, err)
	}
	return nil
}

func (j *journal) append(line []byte) error {
	_, err := j.file.Write(line)
	if err != nil {
		j.broken = j.file.Truncate(j.size)
		return err
	}
	j.size += int64(len(line))
	return nil
}

// clear removes every record.
func (j *journal) clear() error {
	if j == nil {
		return nil
	}
	if err := j.file.Truncate(0); err != nil {
		return fmt.Errorf("%w: %w", errJournal, err)
	}
	j.size, j.broken = 0, nil
	return nil
}

// record is one line of the journal; one field is set. Records hold decisions,
// not requests: a replay judges nothing again, so that neither a new setting
// nor a new rule changes what has been.
type record struct {
	Accepted *acceptedRecord `json:"accepted,omitempty"`
	Fired    *firedRecord    `json:"fired,omitempty"`
	Told     *leaving        `json:"told,omitempty"` // its webhook arrived, or was given up
	Received *receivedRecord `json:"received,omitempty"`
	Opened   *openedRecord   `json:"opened,omitempty"`
	Sender   *senderRecord   `json:"sender,omitempty"`
	Pool     *poolRecord     `json:"pool,omitempty"`
	Channel  *channelRecord  `json:"channel,omitempty"`
	Template *template       `json:"template,omitempty"`
}

// leaving names one planned item of a message: what a webhook leaves for. A
// customer's message has the item 0 only.
type leaving struct {
	SID  string `json:"sid"`
	Item int    `json:"item"`
}

// acceptedRecord is a message as it entered the book. The secret is bytes
// because a password need not be text; that makes it base64 in the file.
type acceptedRecord struct {
	SID      string    `json:"sid"`
	At       time.Time `json:"at"`
	Account  string    `json:"account"`
	Secret   []byte    `json:"secret"`
	From     string    `json:"from,omitempty"`
	Service  string    `json:"service,omitempty"`
	To       string    `json:"to"`
	Body     string    `json:"body,omitempty"`
	Media    int       `json:"media,omitempty"`
	Template bool      `json:"template"`
	Content  string    `json:"content,omitempty"`
	Shown    string    `json:"shown,omitempty"` // where it is not the body
	Callback string    `json:"callback,omitempty"`
	Validity Duration  `json:"validity,omitempty"`

	Wait        Duration `json:"wait,omitempty"`
	Pace        Duration `json:"pace,omitempty"`
	Pool        string   `json:"pool"`
	SenderLimit Limit    `json:"sender_limit"`
	PoolLimit   Limit    `json:"pool_limit"`
	OverSender  bool     `json:"over_sender,omitempty"`
	OverPool    bool     `json:"over_pool,omitempty"`
	InWindow    bool     `json:"in_window"`
	Counted     bool     `json:"counted"`
	Barred      int      `json:"barred,omitempty"`
	Code        int      `json:"code,omitempty"`

	Read bool          `json:"read"` // its way ends with a read receipt
	Plan []plannedItem `json:"plan"`
}

// plannedItem is an item of the schedule, without its message.
type plannedItem struct {
	Due    time.Time `json:"due"`
	Step   int       `json:"step"`
	Says   string    `json:"says,omitempty"`
	Silent bool      `json:"silent,omitempty"`
}

// firedRecord is a planned item that was due: its message took the step.
type firedRecord struct {
	leaving
	At time.Time `json:"at"`
}

// receivedRecord is a message a customer wrote. Without a secret no webhook
// leaves for it.
type receivedRecord struct {
	SID     string    `json:"sid"`
	At      time.Time `json:"at"`
	Account string    `json:"account,omitempty"`
	Secret  []byte    `json:"secret,omitempty"`
	From    string    `json:"from"`
	To      string    `json:"to"`
	Body    string    `json:"body"`
	OptsOut *bool     `json:"opts_out,omitempty"` // false: in again
	UserID  string    `json:"user_id,omitempty"`  // the id of the customer with the number in From
	Of      *leaving  `json:"of,omitempty"`       // the planned item that this was
}

// openedRecord is a delivered message that its customer opened by hand.
type openedRecord struct {
	SID string    `json:"sid"`
	At  time.Time `json:"at"`
}

type senderRecord struct {
	Sender string      `json:"sender"`
	Patch  SenderPatch `json:"patch"`
}

type poolRecord struct {
	Pool  string `json:"pool"`
	Limit Limit  `json:"limit"`
}

// recordOf is the record of a message and its plan.
func recordOf(m *message, plan []item) record {
	rec := acceptedRecord{
		SID: m.sid, At: m.accepted, Account: m.auth.account, Secret: []byte(m.auth.secret),
		From: m.request.from, Service: m.request.service, To: m.request.to, Body: m.request.body,
		Media: m.request.media, Template: m.request.template, Content: m.request.content, Callback: m.request.callback,
		Validity: Duration(m.request.validity), Wait: Duration(m.wait), Pace: Duration(m.pace),
		Pool: m.pool, SenderLimit: m.limits.sender, PoolLimit: m.limits.pool,
		OverSender: m.over.sender, OverPool: m.over.pool,
		InWindow: m.inWindow, Counted: m.counted, Barred: m.barred, Code: m.code, Read: m.read,
	}
	if m.shown != m.request.body {
		rec.Shown = m.shown
	}
	for _, it := range plan {
		rec.Plan = append(rec.Plan, plannedItem{Due: it.due, Step: it.step, Says: it.says, Silent: it.silent})
	}
	return record{Accepted: &rec}
}

// message is the reverse of recordOf, before any step was taken.
func (rec acceptedRecord) message() (*message, []item, error) {
	m := &message{
		sid: rec.SID, auth: credentials{rec.Account, string(rec.Secret)},
		request: request{
			from: rec.From, service: rec.Service, to: rec.To, body: rec.Body,
			media: rec.Media, template: rec.Template, content: rec.Content, callback: rec.Callback,
			validity: time.Duration(rec.Validity),
		},
		wait: time.Duration(rec.Wait), pace: time.Duration(rec.Pace),
		accepted: rec.At, updated: rec.At, pool: rec.Pool,
		inWindow: rec.InWindow, counted: rec.Counted, barred: rec.Barred, code: rec.Code, read: rec.Read,
		steps: stepsTo(rec.Code, rec.Read),
	}
	m.sender, m.shown = m.request.sender(), cmp.Or(rec.Shown, rec.Body)
	m.limits.sender, m.limits.pool = rec.SenderLimit, rec.PoolLimit
	m.over.sender, m.over.pool = rec.OverSender, rec.OverPool
	if m.sid == "" || m.accepted.IsZero() || !senderToken.MatchString(m.sender) {
		return nil, nil, errors.New("an accepted message lacks its sid, time or sender")
	}
	var plan []item
	for i, p := range rec.Plan {
		if p.Step < 0 || p.Step >= len(m.steps) {
			return nil, nil, fmt.Errorf("there is no step %d on the message's way", p.Step)
		}
		if p.Says != "" {
			if err := m.answer(p.Says).check(); err != nil {
				return nil, nil, fmt.Errorf("the customer can't write back: %w", err)
			}
		}
		plan = append(plan, item{due: p.Due, msg: m, step: p.Step, says: p.Says, silent: p.Silent, nth: i})
	}
	return m, plan, nil
}
