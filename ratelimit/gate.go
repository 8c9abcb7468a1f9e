package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// Unlimited is the limit of a sender or pool that Meta no longer restricts.
const Unlimited = -1

var (
	// ErrConflict: the job id is held by other content or another sender.
	ErrConflict = errors.New("job id is held by other content or another sender: use a new id")
	// ErrGranted: an attempt of the job may be on the wire; it can no longer be canceled.
	ErrGranted = errors.New("job is being sent or has been sent: it can no longer be canceled")
	// ErrFenced: another tracker has moved the position; read it again before applying.
	ErrFenced = errors.New("gate position has moved: read it again and apply from there")
	// ErrEpoch: Redis restarted, failed over or was emptied since the epoch was read; replay again.
	ErrEpoch = errors.New("gate epoch has changed: replay the log from the gate's position before opening")
)

// Options are the rules of the gate. All replicas must use the same ones. The
// zero value of each field stands for its default.
type Options struct {
	// Window is the moving window in which different customers are counted
	// (Meta: 24h, the default).
	Window time.Duration
	// Margin is how much longer than Window an entry counts, and how much
	// earlier than its end a service window is taken for shut. It covers the
	// difference between our clock and the platform's. Default: the smaller of
	// 60s and a hundredth of Window.
	Margin time.Duration
	// ServiceWindow is how long a customer may be answered freely after
	// writing to us (Meta: 24h, the default).
	ServiceWindow time.Duration
	// Retention is how long a job is remembered after its end, or after the last
	// news of a message that the provider has. Default 168h.
	Retention time.Duration
	// GrantLife is how long after its grant a token may still start a POST;
	// an older token is answered with OutcomePrior. Default 15s.
	GrantLife time.Duration
	// DefaultLimit holds for senders without a limit of their own: different
	// customers per Window, Unlimited for none. Default 250, Meta's first tier.
	DefaultLimit int
	// DefaultMPS holds for senders without a rate of their own, messages a
	// second. Default 80, Twilio's rate for a new WhatsApp sender.
	DefaultMPS float64
	// SenderMPS is the same for single senders whose rate is known beforehand.
	SenderMPS map[string]float64
	// Horizon is how far ahead of now a sender's rate may be booked. A job that
	// would have to wait longer parks. Default 100ms.
	Horizon time.Duration
	// PairSpacing is the pace of messages from one sender to one customer, and
	// PairBurst how many of them may come at once before it holds (Meta: one in
	// 6s with 45 in advance, the defaults). A negative spacing sets no pace.
	PairSpacing time.Duration
	PairBurst   int
	// Epoch names this life of an embedded Redis. Empty: the scripts read the
	// server's master_replid, which a restart and a failover change.
	Epoch string
	// Now replaces the server's clock, for tests. Nil: the server's clock.
	Now func() time.Time
}

// WithDefaults returns a copy with every unset field at its default.
func (o Options) WithDefaults() Options {
	setDuration(&o.Window, 24*time.Hour)
	setDuration(&o.Margin, min(time.Minute, o.Window/100))
	setDuration(&o.ServiceWindow, 24*time.Hour)
	setDuration(&o.Retention, 168*time.Hour)
	setDuration(&o.GrantLife, 15*time.Second)
	setDuration(&o.Horizon, 100*time.Millisecond)
	if o.DefaultLimit == 0 {
		o.DefaultLimit = 250
	}
	if !validMPS(o.DefaultMPS) || o.DefaultMPS == 0 {
		o.DefaultMPS = 80
	}
	if o.PairSpacing == 0 {
		o.PairSpacing = 6 * time.Second
	}
	if o.PairBurst <= 0 {
		o.PairBurst = 45
	}
	return o
}

func setDuration(d *time.Duration, otherwise time.Duration) {
	if *d <= 0 {
		*d = otherwise
	}
}

// validMPS reports whether mps is a rate, or 0 for the default one.
func validMPS(mps float64) bool {
	return mps >= 0 && !math.IsInf(mps, 1) && !math.IsNaN(mps)
}

// Gate asks the questions. It holds no state of its own and is safe for
// concurrent use.
type Gate struct {
	rdb  redis.UniversalClient
	opts Options
	// scripts bear the rules.
	scripts scripts
}

// New returns a gate in rdb, which the caller configures and closes.
//
// Set MaxRetries to -1 in the client's options. go-redis otherwise repeats a
// script after a read time-out, when it may well have run: the scripts bear it,
// but each repetition spends time that the grant's life does not have. Set
// ContextTimeoutEnabled too, else a deadline on ctx does not reach the socket.
func New(rdb redis.UniversalClient, o Options) *Gate {
	o = o.WithDefaults()
	return &Gate{rdb: rdb, opts: o, scripts: load(o)}
}

// ask runs s on the gate's clock with its own arguments.
func (g *Gate) ask(ctx context.Context, s *script, keys []string, args ...any) (any, error) {
	all := make([]any, 0, 1+len(args))
	all = append(all, g.clock())
	all = append(all, args...)
	reply, err := s.Run(ctx, g.rdb, keys, all...).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("gate %s: %w", s.name, err)
	}
	return reply, nil
}

// clock is the injected time, or empty for the server's.
func (g *Gate) clock() string {
	if g.opts.Now == nil {
		return ""
	}
	return micros(g.opts.Now())
}

// micros is a time as the scripts take it, empty for the zero time.
func micros(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.UnixMicro(), 10)
}

// flag is a truth value as the scripts take it.
func flag(b bool) string {
	if b {
		return "1"
	}
	return ""
}
