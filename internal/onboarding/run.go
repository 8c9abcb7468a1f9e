package onboarding

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sluicehq/sluice/internal/messaging"
)

// Senders is the Senders API of one account.
type Senders interface {
	List(ctx context.Context) ([]messaging.ChannelSender, error)
	Fetch(ctx context.Context, sid string) (messaging.ChannelSender, error)
	Register(ctx context.Context, r messaging.SenderRequest) (messaging.ChannelSender, error)
	Update(ctx context.Context, sid string, r messaging.SenderRequest) (messaging.ChannelSender, error)
	Verify(ctx context.Context, sid, code string) (messaging.ChannelSender, error)
	RequestCode(ctx context.Context, sid, method string) (messaging.ChannelSender, error)
}

// Progress is one thing that happened, for people and scripts.
type Progress struct {
	Sender string `json:"sender"`
	Number int    `json:"number"` // place in the plan, from 1
	Of     int    `json:"of"`
	Status string `json:"status,omitempty"` // as the provider tells it
	Note   string `json:"note"`
}

// Config is how a plan is carried out. The zero value of a duration is its
// default.
type Config struct {
	Poll         time.Duration // between two looks at a sender, default 2s
	Timeout      time.Duration // for one sender to come online, default 15m
	OfflineGrace time.Duration // how long OFFLINE on the way may last, default 5m
	Settle       time.Duration // how long the first sender must stay online before the second, default 30s

	// Ask asks a person for the code that a number received by a method: the
	// answer is the code, "sms" or "voice" for another one, or nothing to look
	// again. Nil: nobody is there, and the code comes from elsewhere.
	Ask  func(ctx context.Context, sender, method string) (answer string, err error)
	Tell func(Progress)
}

func (c Config) withDefaults() Config {
	c.Poll = cmp.Or(c.Poll, 2*time.Second)
	c.Timeout = cmp.Or(c.Timeout, 15*time.Minute)
	c.OfflineGrace = cmp.Or(c.OfflineGrace, 5*time.Minute)
	c.Settle = cmp.Or(c.Settle, 30*time.Second)
	if c.Tell == nil {
		c.Tell = func(Progress) {}
	}
	return c
}

// run is one plan being carried out.
type run struct {
	senders Senders
	plan    Plan
	cfg     Config
	there   map[string]messaging.ChannelSender // by address, at the start
}

// Run carries the plan out and returns nil once every sender is online. An
// error leaves what was done at the provider; running the same plan again goes
// on from there. there are the senders that the provider listed.
func Run(ctx context.Context, s Senders, p Plan, there []messaging.ChannelSender, cfg Config) error {
	r := run{senders: s, plan: p, cfg: cfg.withDefaults(), there: map[string]messaging.ChannelSender{}}
	for _, one := range there {
		r.there[one.Address] = one
	}
	for i := range p.Senders {
		if err := r.one(ctx, i); err != nil {
			return fmt.Errorf("%s (%d of %d): %w", number(p.Senders[i]), i+1, len(p.Senders), err)
		}
	}
	return nil
}

func number(s messaging.SenderRequest) string { return strings.TrimPrefix(s.Address, "whatsapp:") }

func (r *run) tell(i int, status messaging.SenderStatus, note string) {
	r.cfg.Tell(Progress{number(r.plan.Senders[i]), i + 1, len(r.plan.Senders), string(status), note})
}

// one brings one sender online.
func (r *run) one(ctx context.Context, i int) error {
	want := r.plan.Senders[i]
	s, known := r.there[want.Address]
	var err error
	switch {
	case !known:
		s, err = r.register(ctx, want)
		if err == nil {
			r.tell(i, s.Status, "registered")
		}
	case s.Webhook.CallbackURL != want.Webhook.CallbackURL || s.Webhook.StatusURL != want.Webhook.StatusURL:
		s, err = r.senders.Update(ctx, s.SID, messaging.SenderRequest{Webhook: want.Webhook})
		if err == nil {
			r.tell(i, s.Status, "is registered; webhooks set")
		}
	default:
		r.tell(i, s.Status, "is registered")
	}
	if err != nil {
		return err
	}
	// From here on the provider has the sender: a crash leads to the same place
	// by the list.
	if s, err = r.online(ctx, i, s); err != nil {
		return err
	}
	if i == 0 && !r.proven() {
		if s, err = r.settle(ctx, i, s); err != nil {
			return err
		}
	}
	note := "ready"
	if s.Properties.Limit != "" {
		note += ", limit " + s.Properties.Limit
	}
	r.tell(i, s.Status, note)
	return nil
}

// register creates a sender. After an unclear outcome the list says whether it
// exists; the provider refuses to make one twice.
func (r *run) register(ctx context.Context, want messaging.SenderRequest) (messaging.ChannelSender, error) {
	s, err := r.senders.Register(ctx, want)
	var f *messaging.Failure
	if err == nil || !errors.As(err, &f) || !f.Written {
		return s, err
	}
	all, listErr := r.senders.List(ctx)
	if listErr != nil {
		return s, errors.Join(err, listErr)
	}
	for _, one := range all {
		if one.Address == want.Address {
			return one, nil
		}
	}
	return s, err
}

// proven: an earlier run got past the first sender.
func (r *run) proven() bool {
	for _, s := range r.plan.Senders[1:] {
		if _, known := r.there[s.Address]; known {
			return true
		}
	}
	return false
}

// settle watches the first sender for a while: Meta looks at its display name
// only once it is online, and a name that is rejected is better rejected once
// than for every number.
func (r *run) settle(ctx context.Context, i int, s messaging.ChannelSender) (messaging.ChannelSender, error) {
	r.tell(i, s.Status, fmt.Sprintf("online; its display name is watched for %s before the others follow", r.cfg.Settle))
	end := time.Now().Add(r.cfg.Settle)
	for time.Now().Before(end) {
		if err := sleep(ctx, min(r.cfg.Poll, time.Until(end))); err != nil {
			return s, err
		}
		var err error
		if s, err = r.senders.Fetch(ctx, s.SID); err != nil {
			return s, err
		}
		if err := rejected(s); err != nil {
			return s, err
		}
		if !s.Status.Sends() {
			if s, err = r.online(ctx, i, s); err != nil {
				return s, err
			}
		}
	}
	return s, nil
}

// displayNameRejected is the provider's code for it.
const displayNameRejected = "63124"

func rejected(s messaging.ChannelSender) error {
	for _, reason := range s.Reasons {
		if reason.Code == displayNameRejected {
			return fmt.Errorf("its display name was rejected (%s): nothing more is registered; change the name with Meta, it can't be changed through the API, then run this again", reason.Message)
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
