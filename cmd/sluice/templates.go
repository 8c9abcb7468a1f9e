package main

import (
	"context"
	"strings"
	"time"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/dispatcher"
	"github.com/sluicehq/sluice/internal/messaging"
	"github.com/sluicehq/sluice/internal/templates"
)

// templatesFresh bounds how long a change of a template goes unnoticed.
const templatesFresh = time.Minute

// contents is the Content API of every account, as the templates know it.
type contents struct {
	clients map[string]*messaging.ContentClient // by account
}

func (s *system) newContents() contents {
	c := contents{clients: map[string]*messaging.ContentClient{}}
	for _, a := range s.cfg.accounts() {
		c.clients[a.SID] = messaging.NewContentClient(a.Account, messaging.Config{BaseURL: s.cfg.contentURL(), MaxConns: 4})
	}
	return c
}

// Template reads the content and its approval. One that the account does not
// have is not refused for it: keys may be restricted, and the provider says so
// itself when it is sent.
func (c contents) Template(ctx context.Context, account, sid string) (templates.Template, bool, error) {
	client, known := c.clients[account]
	if !known {
		return templates.Template{}, false, nil
	}
	content, err := client.Fetch(ctx, sid)
	if err != nil {
		return templates.Template{}, false, absent(err)
	}
	approval, err := client.Approval(ctx, sid)
	if err != nil {
		return templates.Template{}, false, absent(err)
	}
	return templates.Template{
		Status: strings.ToLower(approval.Status), Category: strings.ToLower(approval.Category),
		Reason: approval.Reason, Variables: content.Variables,
	}, true, nil
}

// absent is nil for the provider's word that there is none.
func absent(err error) error {
	if notFound(err) {
		return nil
	}
	return err
}

// Close drops idle connections.
func (c contents) Close() {
	for _, client := range c.clients {
		client.Close()
	}
}

// knownTemplates is the templates as the dispatcher asks for them.
type knownTemplates struct {
	cache   *templates.Cache
	account func(sender string) string // empty: the main one
	main    string
}

func (k knownTemplates) of(ctx context.Context, job delivery.Job) (templates.Template, bool) {
	account := k.main
	if own := k.account(job.Sender()); own != "" {
		account = own
	}
	return k.cache.Template(ctx, account, job.ContentSID)
}

// Unfit implements [dispatcher.Templates].
func (k knownTemplates) Unfit(ctx context.Context, job delivery.Job) *dispatcher.Unfit {
	t, known := k.of(ctx, job)
	if !known {
		return nil
	}
	trouble := t.Check(job.ContentVariables)
	if trouble == nil {
		return nil
	}
	return &dispatcher.Unfit{Field: trouble.Field, Message: trouble.Message, Paused: trouble.Paused, Again: k.cache.Again()}
}

// Category is the one that Meta put a job's template into, empty where nobody
// knows.
func (k knownTemplates) Category(ctx context.Context, job delivery.Job) delivery.Category {
	t, _ := k.of(ctx, job)
	switch c := delivery.Category(t.Category); c {
	case delivery.Authentication, delivery.Utility, delivery.Marketing:
		return c
	default:
		return ""
	}
}

// unfitNow refuses at once, with the field named, what the dispatcher would
// refuse when its turn came, unless the customer wrote in between.
type unfitNow struct {
	*system
	templates knownTemplates
}

// refuse answers nil for a template that is paused, which waits, for one that
// has a customer service window to go in, and while the gate does not tell.
func (u unfitNow) refuse(ctx context.Context, job delivery.Job) error {
	unfit := u.templates.Unfit(ctx, job)
	if unfit == nil || unfit.Paused {
		return nil
	}
	sender := job.Sender()
	preview, err := u.gate.Preview(ctx, sender, u.cfg.defaultPool(sender), []string{delivery.CustomerKey(job.To)})
	if err != nil || preview.InWindow > 0 || u.open(ctx) != nil { // a gate that is refilled knows of no windows
		return nil
	}
	return &delivery.FieldError{Field: unfit.Field, Message: unfit.Message}
}

// newTemplates is what the roles that need templates ask.
func (s *system) newTemplates(account func(sender string) string) (knownTemplates, closer) {
	source := s.newContents()
	fresh := min(s.cfg.SendersSync, templatesFresh)
	return knownTemplates{cache: templates.NewCache(source, templates.Config{Fresh: fresh}), account: account, main: s.cfg.account()}, source
}
