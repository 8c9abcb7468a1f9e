package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Priority orders jobs that wait for the same pool.
type Priority int

// High priority may use the share of a pool that is reserved for it, and never
// waits behind the others.
const (
	High Priority = iota
	Normal
	Low
)

// Request asks whether one attempt of a job may be sent.
type Request struct {
	// Job is the job's id, Digest the digest of its content: the same id with
	// another digest or sender is a conflict.
	Job, Digest string
	// Sender is the sender's subject token, digits or MG…; Customer the
	// recipient in its canonical form. Of two addresses that SetAlias has made
	// one customer, either will do.
	Sender, Customer string
	// Pool is where the sender counts unless a policy names another pool.
	Pool     string
	Priority Priority
	// Attempt counts the POSTs of the job, from 1. An attempt above the one a
	// job ended with begins a new life (a redrive).
	Attempt int
	// Token is random and made anew for every delivery of the job. Reserve
	// takes none.
	Token string
	// FreeForm and Template say as what the job can be sent. Free form alone
	// needs an open service window.
	FreeForm, Template bool
	// TemplatePaused says that the template cannot go at present. Outside the
	// customer service window the job parks for ReasonTemplatePaused, without a
	// mark as waiting: others may go before it.
	TemplatePaused bool
	// ExpiresAt is when the job has lost its use; zero: never.
	ExpiresAt time.Time
	// Published is when the job was accepted. No decision depends on it.
	Published time.Time
}

// Outcome is what the gate decided.
type Outcome string

const (
	// OutcomeGo is a grant: send at Verdict.At, within the grant life.
	OutcomeGo Outcome = "go"
	// OutcomePark: not now. Verdict.Reason says why, At when to look again.
	OutcomePark Outcome = "park"
	// OutcomePrior: another delivery of this attempt has a grant, or a later
	// attempt is known. Never send.
	OutcomePrior Outcome = "prior"
	// OutcomeConflict: the id is held by other content or another sender.
	OutcomeConflict Outcome = "conflict"
	// OutcomeCanceled, OutcomeExpired, OutcomeSuppressed and OutcomeNoWindow
	// end the job. They repeat until the log's end of the job has been applied,
	// so that a crash between the decision and its event loses nothing.
	OutcomeCanceled   Outcome = "canceled"
	OutcomeExpired    Outcome = "expired"
	OutcomeSuppressed Outcome = "suppressed"
	OutcomeNoWindow   Outcome = "no_window"
	// OutcomeEnded: the log knows the job's end (Verdict.Reason); this is a
	// late copy.
	OutcomeEnded Outcome = "ended"
	// OutcomeClosed: Redis is not the one the gate was opened for. Try later.
	OutcomeClosed Outcome = "closed"
)

// Reasons to park.
const (
	ReasonSenderLimit  = "sender_limit"
	ReasonPoolLimit    = "pool_limit"
	ReasonRate         = "rate"
	ReasonPairRate     = "pair_rate"
	ReasonPaused       = "paused"
	ReasonSenderPaused = "sender_paused"
	ReasonPoolPaused   = "pool_paused"
	ReasonPoolClosed   = "pool_closed"
	ReasonWaiting      = "waiting"

	ReasonTemplatePaused = "template_paused"
)

// ReasonArrived is given with a prior grant when the attempt before this one
// has proved to have reached the provider after all.
const ReasonArrived = "arrived"

// Reasons to suppress.
const (
	ReasonOptedOut = "opted_out"
	ReasonOptIn    = "opt_in"
)

// Verdict is the gate's answer.
type Verdict struct {
	Outcome Outcome
	// At is, for a grant, the earliest moment to send (Now to Now+Horizon);
	// for a park, when to look again, zero if only a change from outside can
	// help; for a prior grant, when that was given.
	At time.Time
	// Now is the gate's clock at the decision. A repeated question with the
	// same token gets the first answer again, its Now too: measure the grant's
	// life from before the first call.
	Now time.Time
	// Reason is one of the reasons to park or suppress, or the end of a job
	// that has ended.
	Reason string
	// Detail is the text that a pause or a trip was given, for people.
	Detail string
	// Pool is where the attempt counts.
	Pool string
	// Counted: the attempt takes or refreshes a place in the windows.
	Counted bool
	// InWindow: the customer's service window is open, so free form is allowed
	// and nothing is counted.
	InWindow bool
	// SID is, for a prior grant, the provider's id of its message if known.
	// Settled: that attempt has a receipt or is over, or a later one is known.
	// A place given back settles nothing.
	SID     string
	Settled bool
}

// Admit decides whether the attempt may be sent now, and if so takes its place
// in the windows, its share of the rate and the grant, all in one step.
//
// Asking again with the same token within the grant life gives the same
// verdict and writes nothing; any other token is told of the prior grant. A
// job that parks is marked as waiting until it is reserved, goes or ends; if it
// needs a place that its customer does not have, it holds up others that need
// one too: those of its sender, and those of the pool that would take a place
// which it, or another that waits, could have. On
// an error the grant may or may not have been given: ask again with the same
// token, or leave the job to its next delivery.
func (g *Gate) Admit(ctx context.Context, r Request) (Verdict, error) {
	if r.Token == "" {
		return Verdict{}, errors.New("admit: token is missing: make a random one per delivery")
	}
	return g.admit(ctx, r)
}

// Reserve is the releaser's question about a job that waits: the same decision
// without a token and without the rule that earlier jobs go first. It takes
// place and rate in advance; Admit with any token takes the reservation over.
// It is idempotent per job and attempt, and it ends no job: the dispatcher
// does, on the normal path. A reservation whose job parks again, ends or is
// canceled is given back by that step.
func (g *Gate) Reserve(ctx context.Context, r Request) (Verdict, error) {
	r.Token = ""
	return g.admit(ctx, r)
}

func (g *Gate) admit(ctx context.Context, r Request) (Verdict, error) {
	if err := r.validate(); err != nil {
		return Verdict{}, err
	}
	reply, err := g.ask(ctx, g.scripts.admit, []string{jobKey(r.Job)},
		r.Digest, r.Sender, r.Customer, r.Pool, int(r.Priority), r.Attempt, r.Token,
		flag(r.FreeForm), r.template(), micros(r.ExpiresAt))
	if err != nil {
		return Verdict{}, err
	}
	return decodeVerdict(reply)
}

// template is how the job can go outside the customer service window, as the
// script takes it.
func (r Request) template() string {
	if r.TemplatePaused {
		return "2"
	}
	return flag(r.Template)
}

func (r Request) validate() error {
	switch {
	case r.Job == "" || r.Digest == "" || r.Sender == "" || r.Customer == "" || r.Pool == "":
		return errors.New("gate request: job, digest, sender, customer and pool must be set")
	case r.Attempt < 1:
		return fmt.Errorf("gate request: attempt %d: attempts count from 1", r.Attempt)
	case strings.Contains(r.Token, "|"):
		return errors.New("gate request: token must not contain |")
	case r.Priority < High || r.Priority > Low:
		return fmt.Errorf("gate request: priority %d: use High, Normal or Low", r.Priority)
	case !r.FreeForm && !r.Template:
		return errors.New("gate request: a job is free form, template or both")
	}
	return nil
}

// Claimed is what a claim found.
type Claimed struct {
	Known bool   // the same job was claimed or seen before
	Ended string // its status, if it is known to have ended
}

// Claim binds a job id to its content and sender before the job is published. It
// returns ErrConflict when the id is held by other content or another sender. It
// works while the gate is closed; a claim that nothing follows is forgotten after
// Options.Retention, and not before a copy of the job has come that lies
// somewhere until the given time, zero if none does.
func (g *Gate) Claim(ctx context.Context, job, digest, sender string, copies time.Time) (Claimed, error) {
	if job == "" || digest == "" || sender == "" {
		return Claimed{}, errors.New("claim: job, digest and sender must be set")
	}
	reply, err := g.ask(ctx, g.scripts.claim, []string{jobKey(job)}, digest, sender, micros(copies))
	if err != nil {
		return Claimed{}, err
	}
	row, err := decodeRow(reply, 2)
	if err != nil {
		return Claimed{}, fmt.Errorf("claim: %w", err)
	}
	word, err := decodeWord(row[0], "new", "known", "conflict")
	if err != nil {
		return Claimed{}, fmt.Errorf("claim: %w", err)
	}
	if word == "conflict" {
		return Claimed{}, ErrConflict
	}
	return Claimed{Known: word == "known", Ended: row[1]}, nil
}

// Disclaim lets go of an id that this caller was the first to claim, if nothing
// has come of the job since. It works while the gate is closed.
func (g *Gate) Disclaim(ctx context.Context, job, digest, sender string) error {
	if job == "" || digest == "" || sender == "" {
		return errors.New("disclaim: job, digest and sender must be set")
	}
	_, err := g.ask(ctx, g.scripts.disclaim, []string{jobKey(job)}, digest, sender)
	return err
}

// Confirm counts the attempt from now on instead of from its grant: call it as
// soon as the provider has, or may have, taken the message. The log tells the
// gate so too, but later, and not while no tracker reads it; with a window that
// is short against that, a place could come back too early. It does nothing
// unless token holds the attempt's grant. Safe to repeat.
func (g *Gate) Confirm(ctx context.Context, job string, attempt int, token string) error {
	if job == "" || attempt < 1 || token == "" {
		return errors.New("confirm: job, attempt and token must be set")
	}
	_, err := g.ask(ctx, g.scripts.confirm, []string{jobKey(job)}, attempt, token)
	return err
}

// GiveBack returns the place of an attempt that definitely was not delivered.
// It does nothing unless token holds the attempt's grant, and frees the place
// only if no other attempt has counted the customer since: over-counting is
// allowed, under-counting never. The share of the rate is not returned. Safe
// to repeat.
func (g *Gate) GiveBack(ctx context.Context, job string, attempt int, token string) error {
	if job == "" || attempt < 1 || token == "" {
		return errors.New("give back: job, attempt and token must be set")
	}
	_, err := g.ask(ctx, g.scripts.giveBack, []string{jobKey(job)}, attempt, token)
	return err
}

// Cancel flags the job so that its next admission ends it, and gives a
// reservation back at once. status is the end that the job already has, empty
// if the flag is set. It returns ErrGranted when an attempt holds a grant that
// was not given back. A job that the gate has not seen yet is flagged too.
func (g *Gate) Cancel(ctx context.Context, job string) (status string, err error) {
	if job == "" {
		return "", errors.New("cancel: job must be set")
	}
	reply, err := g.ask(ctx, g.scripts.cancel, []string{jobKey(job)})
	if err != nil {
		return "", err
	}
	row, err := decodeRow(reply, 2)
	if err != nil {
		return "", fmt.Errorf("cancel: %w", err)
	}
	if row[0] == "granted" {
		return "", ErrGranted
	}
	return row[1], nil
}
