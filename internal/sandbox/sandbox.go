// Package sandbox stands in for the provider: the Messages, Senders and Content
// API with the platform's rules, signed callbacks, scripted faults, and a ledger
// of its own.
//
// It is a judge. Whatever it accepted is in its ledger, whether or not the
// answer or a callback arrived, so a client that sends a message twice or
// exceeds a messaging limit can be convicted from [Sandbox.Ledger] and
// [Sandbox.Limits]. For that the signature, the rules and the counting are written
// here a second time. All it shares with what it judges is which addresses are one
// customer ([delivery.CustomerKey]).
//
// Credentials: any account and any password that is not empty are accepted; the
// password "invalid" is refused with error 20003. Callbacks are signed with the
// password the message was sent with.
//
// What [New] returns is in memory only and gone with the process. What [Open]
// returns keeps a journal and survives the death of its process, as a provider
// survives that of its clients.
package sandbox

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Config describes a sandbox. The zero value is a usable one.
type Config struct {
	Window        time.Duration // messaging limit window, default 24h
	ServiceWindow time.Duration // customer service window after a customer's message, default 24h
	DefaultLimit  int           // customers per window of a sender nobody has put, default 250
	MPS           float64       // messages a second of a sender nobody has put, default 80, negative: unlimited
	Concurrency   int           // requests of one account at the same time, default 100, negative: unlimited
	Strict        bool          // only senders and templates put or registered exist; the others get errors 63007 and 21655
	Tiers         bool          // limits rise and fall by themselves with use and quality, as Meta's do

	// OnboardingStep is how long a sender stays in each state on its way online,
	// and a template in each on its way to approval; default 300ms.
	OnboardingStep time.Duration

	// PublicURL is where clients reach the sandbox; its path, if it has one,
	// stands before the relative URIs in answers.
	PublicURL string

	InboundURL     string // where customers' messages are posted; empty: nowhere
	InboundAccount string // account of an inbound message to a sender that never sent
	InboundToken   string // what such a message is signed with

	CallbackDelay time.Duration // pause between two statuses of a message, default 50ms
	ReadShare     float64       // Customers.Read until it is set, default 0.3, negative: none
	ReplyShare    float64       // Customers.Reply until it is set, default none
	StopShare     float64       // Customers.Stop until it is set, default none
	Workers       int           // callbacks under way at once, default 32

	// File is the journal that Open continues, such as sandbox.ndjson in the
	// data folder; empty: memory only. New has no use for it.
	File string

	Seed uint64           // of the faults and the customers: the n-th message meets the same fate in every run
	Log  *slog.Logger     // default: none
	Now  func() time.Time // clock of ledger, windows and queues, default time.Now; pauses run on the real one
}

func (c Config) withDefaults() Config {
	if c.Window <= 0 {
		c.Window = 24 * time.Hour
	}
	if c.ServiceWindow <= 0 {
		c.ServiceWindow = 24 * time.Hour
	}
	if c.DefaultLimit <= 0 {
		c.DefaultLimit = 250
	}
	if c.Concurrency == 0 {
		c.Concurrency = 100
	}
	if c.CallbackDelay <= 0 {
		c.CallbackDelay = 50 * time.Millisecond
	}
	if c.ReadShare == 0 {
		c.ReadShare = 0.3
	}
	if c.OnboardingStep <= 0 {
		c.OnboardingStep = 300 * time.Millisecond
	}
	if c.Workers <= 0 {
		c.Workers = 32
	}
	if c.Log == nil {
		c.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Sandbox is one stand-in provider. Its methods may be called concurrently.
type Sandbox struct {
	cfg   Config
	base  string // path before relative URIs, without a closing slash
	due   *schedule
	post  *poster
	crowd crowd

	mu        sync.Mutex
	last      time.Time // latest time handed out by tick
	journal   *journal
	book      book
	senders   map[string]*sender
	pools     map[string]*pool
	service   map[pair]time.Time        // when the customer of this pair last wrote
	stopped   map[pair]bool             // the customer of this pair has opted out
	heard     map[pair][]receivedRecord // what the customer of this pair wrote, in order
	changed   uint64                    // counts what happens on the customers' phones
	joined    map[string]time.Time      // customers of the provider's shared number
	aliases   map[string]string         // by the id of a user who hides their number, the customer
	templates map[string]*template
	customers Customers
	dice      dice
}

// New returns an empty sandbox. Messages are accepted as soon as its Handler is
// served; statuses advance and callbacks leave while Run runs.
func New(cfg Config) *Sandbox {
	cfg = cfg.withDefaults()
	s := &Sandbox{
		cfg:   cfg,
		due:   newSchedule(),
		post:  newPoster(cfg.Workers, cfg.Log),
		crowd: crowd{under: map[string]int{}},
	}
	if u, err := url.Parse(cfg.PublicURL); err == nil {
		s.base = strings.TrimRight(u.Path, "/")
	}
	s.empty()
	return s
}

// empty sets the state of a new sandbox. The caller holds mu, or owns s alone.
func (s *Sandbox) empty() {
	s.book = newBook()
	s.senders = map[string]*sender{}
	s.pools = map[string]*pool{}
	s.service = map[pair]time.Time{}
	s.stopped = map[pair]bool{}
	s.heard = map[pair][]receivedRecord{}
	s.changed++
	s.joined = map[string]time.Time{}
	s.aliases = map[string]string{}
	s.templates = firstTemplates()
	s.customers = s.cfg.customers()
	s.dice = newDice(s.cfg.Seed)
}

// Reset forgets messages, senders, pools, windows, opt-outs, faults, customers'
// shares and callbacks that have not left yet, and starts the faults' sequence
// anew. The Config stays. It fails only where the journal can't be emptied, and
// then changes nothing.
func (s *Sandbox) Reset() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.journal.clear(); err != nil {
		return err
	}
	s.empty()
	s.due.clear()
	return nil
}

// Run advances statuses and delivers callbacks until ctx ends, then returns nil
// when everything it started has ended. Callbacks under way are broken off. One
// Run at a time.
func (s *Sandbox) Run(ctx context.Context) error {
	hooks := make(chan webhook)
	var wg sync.WaitGroup
	for range s.cfg.Workers {
		wg.Go(func() {
			for hook := range hooks {
				s.deliver(ctx, hook)
			}
		})
	}
	s.due.run(ctx, s.fire, hooks)
	close(hooks)
	wg.Wait()
	s.post.client.CloseIdleConnections()
	return nil
}

// deliver makes one try of a webhook and plans the next one, if there is one.
func (s *Sandbox) deliver(ctx context.Context, hook webhook) {
	again, due, ok := s.post.deliver(ctx, hook)
	switch {
	case ok:
		s.due.repeat(again, due)
	case ctx.Err() == nil:
		s.mu.Lock()
		defer s.mu.Unlock()
		s.note(record{Told: &hook.of})
	}
}

// note journals how far a message has come. A crash before it, or a failure of
// it, leads to the same callback once more after the next Open, and clients
// must bear those anyhow. The caller holds mu.
func (s *Sandbox) note(rec record) {
	if err := s.journal.write(rec); err != nil {
		s.cfg.Log.Error("a callback may be repeated after a restart", "error", err)
	}
}

// Handler serves the provider's API, the /sandbox/ endpoints and /healthz.
func (s *Sandbox) Handler() http.Handler {
	mux := http.NewServeMux()
	s.routeMessages(mux)
	s.routeSenders(mux)
	s.routeContent(mux)
	s.routeControl(mux)
	mux.Handle("/phone/", http.StripPrefix("/phone", s.Phone("")))
	return mux
}

// tick reads the clock for a decision and never goes back, so that windows can
// rely on the order of what they hold. The caller holds mu.
func (s *Sandbox) tick() time.Time {
	if now := s.cfg.Now(); now.After(s.last) {
		s.last = now
	}
	return s.last
}
