package sandbox

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// Open returns a sandbox that continues where the one with the same
// Config.File ended, however that happened: with its ledger, limits, queues,
// opt-outs and customer service windows, with the callbacks that had not
// arrived and with what customers are still to write, all of which goes on once
// Run runs. Faults and the customers' shares are not kept. Without a file it is
// [New]. The file is made where there is none, for its owner only: it holds
// passwords and addresses. Close ends it.
//
// The end of a line that was being written when a process died is cut off: what
// it told of had not been answered. Any other line that can't be read is an
// error that names it, and the file stays as it is.
func Open(cfg Config) (*Sandbox, error) {
	s := New(cfg)
	if cfg.File == "" {
		return s, nil
	}
	file, err := os.OpenFile(cfg.File, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the sandbox's journal: %w", err)
	}
	if err := s.rebuild(file); err != nil {
		_ = file.Close() // nothing was written
		return nil, fmt.Errorf("sandbox journal %s: %w", cfg.File, err)
	}
	return s, nil
}

// Close ends a sandbox that Open returned, after its Run has ended and its
// Handler is served no more: what needs the journal fails from here on.
func (s *Sandbox) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.journal == nil {
		return nil
	}
	return s.journal.file.Close()
}

// rebuild replays a journal into an empty sandbox and lets it go on there.
func (s *Sandbox) rebuild(file *os.File) error {
	past := replay{box: s, open: map[string][]item{}}
	complete, err := past.read(file)
	if err != nil {
		return fmt.Errorf("%w; move the file away to start with an empty sandbox", err)
	}
	if err := file.Chmod(0o600); err != nil {
		return err
	}
	if err := file.Truncate(complete); err != nil {
		return err
	}
	s.journal = &journal{file: file, size: complete}
	s.due.add(past.unfinished(time.Now())...)
	return nil
}

// replay rebuilds a sandbox from records. The sandbox has no journal yet, so
// nothing is written a second time.
type replay struct {
	box  *Sandbox
	sids []string          // in order
	open map[string][]item // by sid: what did not fire, or whose webhook may not have arrived
}

// read applies every complete line and returns how many bytes they are.
func (r *replay) read(from io.Reader) (complete int64, err error) {
	lines := bufio.NewReader(from)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		switch {
		case err == io.EOF:
			return complete, nil // line is torn, or empty
		case err != nil:
			return complete, err
		}
		var rec record
		if err = strictJSON(bytes.NewReader(line), &rec); err == nil {
			err = r.apply(rec)
		}
		if err != nil {
			return complete, fmt.Errorf("line %d can't be read: %w", n, err)
		}
		complete += int64(len(line))
	}
}

func (r *replay) apply(rec record) error {
	switch {
	case rec.Accepted != nil:
		return r.accepted(*rec.Accepted)
	case rec.Fired != nil:
		r.fired(*rec.Fired)
		return nil
	case rec.Told != nil:
		r.finish(*rec.Told)
		return nil
	case rec.Received != nil:
		return r.received(*rec.Received)
	case rec.Opened != nil:
		r.passed(rec.Opened.At)
		if m := r.box.book.bySID[rec.Opened.SID]; m != nil {
			m.open(rec.Opened.At)
		}
		return nil
	case rec.Sender != nil:
		_, err := r.box.PutSender(rec.Sender.Sender, rec.Sender.Patch)
		return err
	case rec.Pool != nil:
		return r.box.PutPool(rec.Pool.Pool, rec.Pool.Limit)
	case rec.Channel != nil:
		return r.channel(*rec.Channel)
	case rec.Template != nil:
		return r.box.setTemplate(*rec.Template)
	default:
		return errors.New("it records nothing")
	}
}

func (r *replay) channel(rec channelRecord) error {
	if !senderToken.MatchString(rec.Sender) || !rec.Channel.Course.valid() {
		return errors.New("a sender lacks its number or its status")
	}
	return r.box.setChannel(rec.Sender, rec.Channel)
}

func (r *replay) accepted(rec acceptedRecord) error {
	m, plan, err := rec.message()
	if err != nil {
		return err
	}
	if err := r.start(m.sid, rec.At, plan); err != nil {
		return err
	}
	r.box.enter(m)
	return nil
}

func (r *replay) received(rec receivedRecord) error {
	in := Inbound{From: rec.From, To: rec.To, Body: rec.Body}
	if err := in.check(); err != nil {
		return err
	}
	if rec.Of != nil {
		r.finish(*rec.Of)
	}
	return r.start(rec.SID, rec.At, r.box.received(rec))
}

// start notes the items of a message that is new at a time.
func (r *replay) start(sid string, at time.Time, items []item) error {
	if _, known := r.open[sid]; known {
		return errors.New("the message was recorded before")
	}
	r.passed(at)
	r.sids = append(r.sids, sid)
	r.open[sid] = items
	return nil
}

// fired lets a message take a step. What is not open is left from before a
// reset, when the message was on its way still.
func (r *replay) fired(rec firedRecord) {
	r.passed(rec.At)
	for _, it := range r.open[rec.SID] {
		if it.nth != rec.Item || it.msg == nil {
			continue
		}
		it.msg.advance(it.step, rec.At)
		if it.silent {
			r.finish(rec.leaving)
		}
		return
	}
}

func (r *replay) finish(done leaving) {
	if items, known := r.open[done.SID]; known {
		r.open[done.SID] = slices.DeleteFunc(items, func(it item) bool { return it.nth == done.Item })
	}
}

// passed moves the sandbox's time on.
func (r *replay) passed(at time.Time) {
	if at.After(r.box.last) {
		r.box.last = at
	}
}

// unfinished returns what is still to happen. A message that is late at now
// goes on at once and keeps the pauses of its plan from there, so that its
// callbacks do not leave all together.
func (r *replay) unfinished(now time.Time) []item {
	var all []item
	for _, sid := range r.sids {
		items := r.open[sid]
		if len(items) == 0 {
			continue
		}
		next := slices.MinFunc(items, func(a, b item) int { return a.due.Compare(b.due) })
		late := max(0, now.Sub(next.due))
		for _, it := range items {
			it.due = it.due.Add(late)
			all = append(all, it)
		}
	}
	return all
}
