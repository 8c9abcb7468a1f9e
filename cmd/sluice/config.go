package main

import (
	"strings"
	"time"
)

// Config is every setting of every role. Zero values never mean "default":
// defaultConfig fills them, so that what is printed is what holds.
type Config struct {
	NATSURL, NATSCreds, NATSCA, NATSToken string
	RedisURL, RedisCA, LedgerRedisURL     string
	Data                                  string
	StreamReplicas                        int
	Fsync                                 string
	JobsMax, JobsMaxBytes, WaitMax        int64
	DiskReserve                           int64
	Dedupe                                time.Duration

	NATSAddr, APIAddr, CallbacksAddr, SandboxAddr, AdminAddr string
	PublicURL                                                string
	APIKeys                                                  string

	Window, WindowMargin, ServiceWindow time.Duration
	DefaultLimit                        int
	DefaultMPS                          float64
	PairSpacing                         time.Duration
	PairBurst                           int
	PoolBy                              string
	Concurrency                         int
	SendTimeout, AckWait, UnknownGrace  time.Duration
	DrainTimeout, Retention, StaleAfter time.Duration
	LogLevel, LogFormat                 string

	AccountSID, AuthToken, APIKey, APISecret string
	MessagesURL, SendersURL, ContentURL      string
	SendersSync                              time.Duration

	Accounts []accountEntry // beside the one above

	OTLPEndpoint string

	// Sandbox forces the stand-in provider although credentials are set.
	Sandbox bool

	origins map[string]string // of settings by name: default, file, env or flag
}

// Values of settings that are words.
const (
	fsyncAlways   = "always"
	fsyncInterval = "interval"
	poolByAccount = "account"
	poolBySender  = "sender"
)

func defaultConfig() Config {
	return Config{
		Data: "./sluice-data", StreamReplicas: 1, Fsync: fsyncAlways,
		JobsMax: 10_000_000, JobsMaxBytes: 16 << 30, WaitMax: 5_000_000, Dedupe: 2 * time.Minute,
		DiskReserve: 512 << 20,
		NATSAddr:    "127.0.0.1:4222", APIAddr: "127.0.0.1:8080", CallbacksAddr: "127.0.0.1:8081",
		SandboxAddr: "127.0.0.1:8082", AdminAddr: "127.0.0.1:9090",
		Window: 24 * time.Hour, ServiceWindow: 24 * time.Hour, DefaultLimit: 250, DefaultMPS: 80, PairSpacing: 6 * time.Second, PairBurst: 45,
		PoolBy: poolByAccount, Concurrency: 64, SendTimeout: 15 * time.Second,
		AckWait: 30 * time.Second, UnknownGrace: 30 * time.Second, DrainTimeout: 25 * time.Second,
		Retention: 168 * time.Hour, StaleAfter: 5 * time.Minute, SendersSync: 5 * time.Minute, LogLevel: "info", LogFormat: "text",
	}
}

// setting ties a name to a field: its flag, its variable and its key in the
// file all follow from the name.
type setting struct {
	name   string // as in the file, e.g. "nats_url"
	field  any    // *string, *int, *int64, *float64, *time.Duration
	usage  string
	secret bool
}

// env is the setting's environment variable. The provider's credentials, and
// what OpenTelemetry has named, keep the names that their users already have.
func (s setting) env() string {
	name := strings.ToUpper(s.name)
	if strings.HasPrefix(name, "TWILIO_") || strings.HasPrefix(name, "OTEL_") {
		return name
	}
	return "SLUICE_" + name
}

func (s setting) flag() string { return strings.ReplaceAll(s.name, "_", "-") }

// settingName is the inverse of flag.
func settingName(flag string) string { return strings.ReplaceAll(flag, "-", "_") }

func (c *Config) settings() []setting {
	return []setting{
		{"nats_url", &c.NATSURL, "NATS servers; empty: embedded (only `up`)", true},
		{"nats_creds", &c.NATSCreds, "file with NATS credentials", false},
		{"nats_ca", &c.NATSCA, "file with the CA of the NATS servers", false},
		{"nats_token", &c.NATSToken, "token of NATS: asked of producers by the embedded one, shown to the servers of nats_url", true},
		{"redis_url", &c.RedisURL, "Redis, as redis:// rediss:// redis+sentinel:// or redis+cluster://; empty: embedded (only `up`)", true},
		{"redis_ca", &c.RedisCA, "file with the CA of the Redis servers", false},
		{"ledger_redis_url", &c.LedgerRedisURL, "Redis of the delivery state; empty: the same", true},
		{"data", &c.Data, "folder of the embedded NATS", false},
		{"stream_replicas", &c.StreamReplicas, "replicas of each stream, 3 in a cluster", false},
		{"fsync", &c.Fsync, "when the embedded NATS writes to the disk: always, or interval (faster; a power failure loses seconds)", false},
		{"jobs_max", &c.JobsMax, "most jobs the queue holds; publishers are refused beyond", false},
		{"jobs_max_bytes", &c.JobsMaxBytes, "most bytes the queue holds", false},
		{"wait_max", &c.WaitMax, "most jobs the waiting room holds; beyond, fresh ones stay in the queue", false},
		{"disk_reserve", &c.DiskReserve, "bytes of the embedded NATS's disk left to what is already accepted; below, publishers are refused", false},
		{"dedupe", &c.Dedupe, "how long the queue itself drops repeated ids; the gate does so for as long as a job's state is kept", false},

		{"nats_addr", &c.NATSAddr, "where `up` serves NATS to producers", false},
		{"api_addr", &c.APIAddr, "where the HTTP API listens", false},
		{"callbacks_addr", &c.CallbacksAddr, "where status callbacks and inbound messages arrive", false},
		{"sandbox_addr", &c.SandboxAddr, "where the sandbox listens", false},
		{"admin_addr", &c.AdminAddr, "where /metrics, /healthz and /readyz are", false},
		{"public_url", &c.PublicURL, "what the provider calls; part of the signature", false},
		{"api_keys", &c.APIKeys, "comma-separated, `key` or `publish+read:key`; scopes publish, read, operate", true},

		{"window", &c.Window, "how long a customer counts into the messaging limit", false},
		{"window_margin", &c.WindowMargin, "added to the window for clocks that differ; default the smaller of 60s and a hundredth of it", false},
		{"service_window", &c.ServiceWindow, "how long free form is allowed after a customer wrote", false},
		{"default_limit", &c.DefaultLimit, "different customers per window of a sender nobody registered", false},
		{"default_mps", &c.DefaultMPS, "messages a second of a sender nobody registered", false},
		{"pair_spacing", &c.PairSpacing, "time between messages of one sender to one customer once pair_burst of them are used up; 0 for none", false},
		{"pair_burst", &c.PairBurst, "messages of one sender that one customer may get at once", false},
		{"pool_by", &c.PoolBy, "senders nobody registered share a limit by account, or have one each: account, sender", false},
		{"concurrency", &c.Concurrency, "how many jobs a dispatcher has in hand at once", false},
		{"send_timeout", &c.SendTimeout, "how long one request to the provider may take", false},
		{"ack_wait", &c.AckWait, "how long a job in hand may go without a sign of life before another dispatcher gets it", false},
		{"unknown_grace", &c.UnknownGrace, "how long callbacks are waited for after an unclear outcome, before the provider's list is searched", false},
		{"drain_timeout", &c.DrainTimeout, "how long a process that stops may take to finish what is in hand", false},
		{"retention", &c.Retention, "how long a job's state is kept after its end, or after the last news of one that is sent", false},
		{"stale_after", &c.StaleAfter, "how long a message may be without a status callback before the provider is asked for it", false},
		{"senders_sync", &c.SendersSync, "time between two looks at the provider's list of senders: limits, states, quality", false},
		{"log_level", &c.LogLevel, "least level that is logged: debug, info, warn or error", false},
		{"log_format", &c.LogFormat, "form of the log: text or json", false},
		{"otel_exporter_otlp_endpoint", &c.OTLPEndpoint, "where traces go, OTLP over HTTP, as in http://collector:4318; empty: none are made", false},

		{"twilio_account_sid", &c.AccountSID, "account, AC…", false},
		{"twilio_auth_token", &c.AuthToken, "its auth token, which signs callbacks", true},
		{"twilio_api_key", &c.APIKey, "API key, SK…, to send with instead of the token", false},
		{"twilio_api_secret", &c.APISecret, "its secret", true},
		{"messages_url", &c.MessagesURL, "Messages API; default the vendor's, or the sandbox", false},
		{"senders_url", &c.SendersURL, "Senders API; default the vendor's, or the sandbox", false},
		{"content_url", &c.ContentURL, "Content API; default the vendor's, or the sandbox", false},
	}
}

// takeFreePorts reads a bare :0 as any free port of this machine alone: who lets
// the system choose tells nobody elsewhere.
func (c *Config) takeFreePorts() {
	for _, addr := range []*string{&c.NATSAddr, &c.APIAddr, &c.CallbacksAddr, &c.SandboxAddr, &c.AdminAddr} {
		if *addr == ":0" {
			*addr = "127.0.0.1:0"
		}
	}
}

// live reports whether real credentials are used.
func (c Config) live() bool { return !c.Sandbox && c.AccountSID != "" }
