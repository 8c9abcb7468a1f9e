package jobstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/delivery"
)

// Config are the streams' bounds. The zero value is a single replica without
// bounds.
type Config struct {
	// Replicas of every stream, 1, 3 or 5. 0: as they are, 1 for new ones.
	Replicas int
	// JobsMax and JobsMaxBytes bound SLUICE_JOBS; beyond them publishers are
	// refused. 0: no bound.
	JobsMax      int64
	JobsMaxBytes int64
	// Dedupe is how long a repeated Nats-Msg-Id is recognised, default 2m. Each
	// id costs about 200 bytes of server memory that long.
	Dedupe time.Duration
	// AckWait is how long a delivered job may go without a sign of life before
	// it is delivered again, default 30s.
	AckWait time.Duration
}

// MaxJobBytes is the largest message that SLUICE_JOBS takes, headers included.
// Escaping may make a job six times as long when it is written again, into an
// intent for one, and that has to stay below the server's limit of 1 MiB.
const MaxJobBytes = 128 << 10

const (
	defaultDedupe  = 2 * time.Minute
	defaultAckWait = 30 * time.Second
	// maxInHand is what one consumer may have delivered and not acknowledged,
	// over all replicas. Slots bound it long before; messages handed back count
	// while their delay runs.
	maxInHand = 20_000
)

func (c Config) withDefaults() Config {
	c.Dedupe = cmp.Or(c.Dedupe, defaultDedupe)
	c.AckWait = cmp.Or(c.AckWait, defaultAckWait)
	return c
}

// Setup creates the streams and consumers, or brings existing ones up to this
// version. Running it again, also from several processes at once, changes
// nothing. What an operator has set beyond [Config] (placement, compression,
// tags) stays. It cannot change a stream's retention or storage: those are
// errors of the server.
func Setup(ctx context.Context, js jetstream.JetStream, cfg Config) error {
	cfg = cfg.withDefaults()
	for _, s := range streams(cfg) {
		if err := s.ensure(ctx, js); err != nil {
			return fmt.Errorf("set up stream %s: %w", s.name, err)
		}
	}
	for _, p := range delivery.Priorities() {
		jobs := consumer(cfg, jobsConsumer(p), delivery.JobSubject(p, "*"))
		if _, err := js.CreateOrUpdateConsumer(ctx, StreamJobs, jobs); err != nil {
			return fmt.Errorf("set up consumer %s of %s: %w", jobs.Durable, StreamJobs, err)
		}
		due := consumer(cfg, dueConsumer(p), dueSubject(p, "*"))
		if _, err := js.CreateOrUpdateConsumer(ctx, StreamWait, due); err != nil {
			return fmt.Errorf("set up consumer %s of %s: %w", due.Durable, StreamWait, err)
		}
	}
	again := consumer(cfg, parkedConsumer, eventsPrefix+"*."+string(delivery.EventParked))
	if _, err := js.CreateOrUpdateConsumer(ctx, StreamLog, again); err != nil {
		return fmt.Errorf("set up consumer %s of %s: %w", again.Durable, StreamLog, err)
	}
	if _, err := js.CreateOrUpdateConsumer(ctx, StreamWait, scheduled); err != nil {
		return fmt.Errorf("set up consumer %s of %s: %w", scheduled.Durable, StreamWait, err)
	}
	return nil
}

// scheduled is a consumer that nobody reads from: what is pending for it is how
// many jobs wait for a time, which the server counts and would otherwise list.
var scheduled = jetstream.ConsumerConfig{
	Durable: scheduledConsumer, FilterSubject: schedulesPrefix + "*.*", AckPolicy: jetstream.AckExplicitPolicy,
}

// consumer is fixed in number, one per priority and queue: per sender they
// would each be a Raft group in a cluster.
func consumer(cfg Config, name, filter string) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable:       name,
		FilterSubject: filter,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       cfg.AckWait,
		MaxDeliver:    -1, // giving up is the dispatcher's decision, never the queue's
		MaxAckPending: maxInHand,
	}
}

// stream is a stream's name and what this version asks of its configuration.
type stream struct {
	name string
	want func(*jetstream.StreamConfig)
}

func streams(cfg Config) []stream {
	return []stream{
		{StreamJobs, cfg.jobs},
		{StreamWait, cfg.wait},
		{StreamLog, cfg.log},
		{StreamFacts, cfg.facts},
	}
}

func (c Config) common(s *jetstream.StreamConfig) {
	s.Storage = jetstream.FileStorage
	s.Duplicates = c.Dedupe
	if c.Replicas > 0 {
		s.Replicas = c.Replicas
	}
}

// jobs lists the priorities one by one, so that a misspelt one meets no
// stream and its publisher hears at once.
func (c Config) jobs(s *jetstream.StreamConfig) {
	c.common(s)
	s.Retention = jetstream.WorkQueuePolicy
	s.Discard = jetstream.DiscardNew
	s.Subjects = nil
	for _, p := range delivery.Priorities() {
		s.Subjects = append(s.Subjects, delivery.JobSubject(p, "*"))
	}
	s.MaxMsgs = orUnbounded(c.JobsMax)
	s.MaxBytes = orUnbounded(c.JobsMaxBytes)
	s.MaxMsgSize = MaxJobBytes
	s.MaxAge = 0
	s.AllowDirect = true
}

// wait has no bounds: message schedules exclude refusing new messages, and
// the other policy drops the oldest. Its bound is kept by the dispatchers.
func (c Config) wait(s *jetstream.StreamConfig) {
	c.common(s)
	s.Retention = jetstream.WorkQueuePolicy
	s.Subjects = []string{parkedPrefix + "*.*", schedulesPrefix + "*.*", expiriesPrefix + "*", duePrefix + "*.*"}
	s.MaxMsgs, s.MaxBytes, s.MaxAge = -1, -1, 0
	s.AllowMsgSchedules = true
	s.AllowDirect = true
}

// log refuses rather than forgets when an operator bounds its size.
func (c Config) log(s *jetstream.StreamConfig) {
	c.common(s)
	s.Retention = jetstream.LimitsPolicy
	s.Discard = jetstream.DiscardNew
	s.Subjects = []string{intentsPrefix + "*.*", keptPrefix + "*.*", eventsPrefix + "*.*"}
	s.MaxAge = 0 // [Log.Forget] decides
	s.AllowDirect = true
}

func (c Config) facts(s *jetstream.StreamConfig) {
	c.common(s)
	s.Retention = jetstream.LimitsPolicy
	s.Subjects = []string{factsPrefix + ">"}
	s.MaxMsgsPerSubject = 1
	s.MaxMsgs, s.MaxBytes, s.MaxAge = -1, -1, 0
	s.AllowDirect = true
}

func orUnbounded(n int64) int64 {
	if n <= 0 {
		return -1
	}
	return n
}

// ensure lays what is wanted over what is there. Only a difference is written,
// because in a cluster even an empty update is a vote.
func (s stream) ensure(ctx context.Context, js jetstream.JetStream) error {
	existing, err := js.Stream(ctx, s.name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		cfg := jetstream.StreamConfig{Name: s.name}
		s.want(&cfg)
		existing, err = js.CreateStream(ctx, cfg)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			existing, err = js.Stream(ctx, s.name) // another process was faster
		}
	}
	if err != nil {
		return err
	}
	cfg := existing.CachedInfo().Config
	s.want(&cfg)
	if reflect.DeepEqual(cfg, existing.CachedInfo().Config) {
		return nil
	}
	_, err = js.UpdateStream(ctx, cfg)
	return err
}
