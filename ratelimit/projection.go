package ratelimit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// MaxChanges is the most that one Apply takes: one script must not keep the
// gate from admitting for longer than a few milliseconds.
const MaxChanges = 1000

// ChangeKind says what an entry of the log means to the gate.
type ChangeKind string

const (
	// Intent is a grant as it stood in the log. It creates the grant and its
	// place in the windows at At if the gate does not know them. Needs Job,
	// Attempt, At, Token, Digest, Sender, Pool, Customer, Counted.
	Intent ChangeKind = "intent"
	// Progress is evidence at At that the attempt reached the provider or the
	// customer. It refreshes the place; Status delivered or read ends the
	// refreshing and takes a place again that was given back. An SID settles
	// the attempt. Needs Job, Attempt, At, Status.
	Progress ChangeKind = "progress"
	// Failed is a definite non-delivery of the attempt: its place is given
	// back, guarded. Needs Job, Attempt.
	Failed ChangeKind = "failed"
	// Ended is the job's end with Status. The job is remembered for
	// Options.Retention after At. No place is given back. An attempt above
	// Attempt begins a new life. Needs Job, At, Status.
	Ended ChangeKind = "ended"
	// Inbound opens the service window of Customer with Sender at At.
	Inbound ChangeKind = "inbound"
	// Consent is what Customer said to Sender (or Everyone) at At: Status in
	// or out.
	Consent ChangeKind = "consent"
)

// Change is one entry of the log, as far as the gate is concerned.
type Change struct {
	Kind     ChangeKind
	Job      string
	Attempt  int
	At       time.Time
	Token    string
	Digest   string
	Sender   string
	Pool     string
	Customer string
	SID      string
	Status   string
	Counted  bool
}

// Apply brings the log's entries from+1 … to into the gate in one script, and
// writes the position with them: position to means that all of them are in
// Redis; a crash before leaves position from, and applying them again changes
// nothing. changes may be empty (entries that mean nothing to the gate) and at
// most MaxChanges long. It returns ErrFenced unless the position is from, and
// works while the gate is closed.
func (g *Gate) Apply(ctx context.Context, from, to uint64, changes []Change) error {
	switch {
	case to < from:
		return fmt.Errorf("apply: position must not go back from %d to %d", from, to)
	case len(changes) > MaxChanges:
		return fmt.Errorf("apply: %d changes: give at most %d at once", len(changes), MaxChanges)
	}
	batch, err := encodeChanges(changes)
	if err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	reply, err := g.ask(ctx, g.scripts.apply, []string{keyPosition, keyPools}, from, to, batch)
	if err != nil {
		return err
	}
	applied, err := decodeBool(reply)
	if err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	if !applied {
		return ErrFenced
	}
	return nil
}

// Position is the sequence of the last log entry in the gate; 0 if none.
func (g *Gate) Position(ctx context.Context) (uint64, error) {
	text, err := g.rdb.Get(ctx, keyPosition).Result()
	if errors.Is(err, redis.Nil) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("gate position: %w", err)
	}
	position, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("gate position: %w", err)
	}
	return position, nil
}

// wireChange is a change as apply.lua reads it.
type wireChange struct {
	Kind     ChangeKind `json:"kind"`
	Job      string     `json:"job,omitempty"`
	Attempt  int        `json:"attempt,omitempty"`
	At       int64      `json:"at,omitempty"`
	Token    string     `json:"token,omitempty"`
	Digest   string     `json:"digest,omitempty"`
	Sender   string     `json:"sender,omitempty"`
	Pool     string     `json:"pool,omitempty"`
	Customer string     `json:"customer,omitempty"`
	SID      string     `json:"sid,omitempty"`
	Status   string     `json:"status,omitempty"`
	Counted  bool       `json:"counted,omitempty"`
}

func encodeChanges(changes []Change) ([]byte, error) {
	wire := make([]wireChange, len(changes))
	for i, c := range changes {
		if err := c.validate(); err != nil {
			return nil, fmt.Errorf("change %d: %w", i, err)
		}
		wire[i] = wireChange{
			Kind: c.Kind, Job: c.Job, Attempt: c.Attempt, At: c.At.UnixMicro(),
			Token: c.Token, Digest: c.Digest, Sender: c.Sender, Pool: c.Pool,
			Customer: c.Customer, SID: c.SID, Status: c.Status, Counted: c.Counted,
		}
	}
	return json.Marshal(wire)
}

// validate finds here what would stop apply.lua halfway: a script that fails
// keeps what it wrote before.
func (c Change) validate() error {
	missing := false
	switch c.Kind {
	case Intent:
		missing = c.Job == "" || c.Attempt < 1 || c.At.IsZero() || c.Token == "" || c.Digest == "" ||
			c.Sender == "" || c.Pool == "" || c.Customer == ""
	case Progress:
		missing = c.Job == "" || c.Attempt < 1 || c.At.IsZero() || c.Status == ""
	case Failed:
		missing = c.Job == "" || c.Attempt < 1
	case Ended:
		missing = c.Job == "" || c.Attempt < 0 || c.At.IsZero() || c.Status == ""
	case Inbound:
		missing = c.Sender == "" || c.Customer == "" || c.At.IsZero()
	case Consent:
		missing = c.Sender == "" || c.Customer == "" || c.At.IsZero() ||
			(c.Status != string(In) && c.Status != string(Out))
	default:
		return fmt.Errorf("kind %q is unknown", c.Kind)
	}
	if missing {
		return fmt.Errorf("%s of job %q lacks a field that it needs", c.Kind, c.Job)
	}
	return nil
}
