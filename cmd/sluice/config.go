package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/sluicehq/sluice/internal/dashboard"
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

// validate checks what can be checked without connecting. role is the command.
func (c Config) validate(role string) error {
	return errors.Join(c.checkWords(), c.checkNumbers(), c.checkDurations(), c.checkAccess(role), c.checkProvider(role), c.checkAccounts())
}

func wrong(name, format string, args ...any) error {
	return fmt.Errorf("%s: %s", name, fmt.Sprintf(format, args...))
}

func (c Config) checkWords() error {
	var errs []error
	for _, w := range []struct {
		name, value string
		allowed     []string
	}{
		{"SLUICE_FSYNC", c.Fsync, []string{fsyncAlways, fsyncInterval}},
		{"SLUICE_POOL_BY", c.PoolBy, []string{poolByAccount, poolBySender}},
		{"SLUICE_LOG_LEVEL", c.LogLevel, []string{"debug", "info", "warn", "error"}},
		{"SLUICE_LOG_FORMAT", c.LogFormat, []string{"text", "json"}},
	} {
		if !oneOf(w.value, w.allowed) {
			errs = append(errs, wrong(w.name, "is %q, use %s", w.value, strings.Join(w.allowed, ", ")))
		}
	}
	return errors.Join(errs...)
}

func oneOf(value string, allowed []string) bool {
	for _, a := range allowed {
		if value == a {
			return true
		}
	}
	return false
}

func (c Config) checkNumbers() error {
	var errs []error
	if c.Concurrency < 1 {
		errs = append(errs, wrong("SLUICE_CONCURRENCY", "is %d, use at least 1", c.Concurrency))
	}
	if c.StreamReplicas < 1 || c.StreamReplicas > 5 {
		errs = append(errs, wrong("SLUICE_STREAM_REPLICAS", "is %d, use 1 to 5", c.StreamReplicas))
	}
	if c.DefaultLimit < 1 {
		errs = append(errs, wrong("SLUICE_DEFAULT_LIMIT", "is %d, use at least 1", c.DefaultLimit))
	}
	if !(c.DefaultMPS > 0 && c.DefaultMPS <= 1000) { // NaN too
		errs = append(errs, wrong("SLUICE_DEFAULT_MPS", "is %g, use more than 0 and at most 1000", c.DefaultMPS))
	}
	if c.PairBurst < 1 {
		errs = append(errs, wrong("SLUICE_PAIR_BURST", "is %d, use at least 1", c.PairBurst))
	}
	if c.JobsMax < 1 || c.JobsMaxBytes < 1 || c.WaitMax < 1 {
		errs = append(errs, wrong("SLUICE_JOBS_MAX, SLUICE_JOBS_MAX_BYTES, SLUICE_WAIT_MAX", "must be at least 1"))
	}
	if c.DiskReserve < 0 {
		errs = append(errs, wrong("SLUICE_DISK_RESERVE", "is %d, use 0 or more bytes", c.DiskReserve))
	}
	return errors.Join(errs...)
}

func (c Config) checkDurations() error {
	var errs []error
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"SLUICE_WINDOW", c.Window}, {"SLUICE_SERVICE_WINDOW", c.ServiceWindow},
		{"SLUICE_SEND_TIMEOUT", c.SendTimeout}, {"SLUICE_ACK_WAIT", c.AckWait},
		{"SLUICE_UNKNOWN_GRACE", c.UnknownGrace}, {"SLUICE_DRAIN_TIMEOUT", c.DrainTimeout},
		{"SLUICE_RETENTION", c.Retention}, {"SLUICE_STALE_AFTER", c.StaleAfter},
		{"SLUICE_SENDERS_SYNC", c.SendersSync},
	} {
		if d.value <= 0 {
			errs = append(errs, wrong(d.name, "is %s, use a duration above 0", d.value))
		}
	}
	if c.WindowMargin < 0 {
		errs = append(errs, wrong("SLUICE_WINDOW_MARGIN", "is %s, use 0 or more", c.WindowMargin))
	}
	if c.PairSpacing < 0 {
		errs = append(errs, wrong("SLUICE_PAIR_SPACING", "is %s, use 0 or more", c.PairSpacing))
	}
	if c.Dedupe < 100*time.Millisecond {
		errs = append(errs, wrong("SLUICE_DEDUPE", "is %s, use at least 100ms", c.Dedupe))
	}
	if c.AckWait < c.SendTimeout+time.Second {
		errs = append(errs, wrong("SLUICE_ACK_WAIT", "is %s, use at least SLUICE_SEND_TIMEOUT (%s) and one second more", c.AckWait, c.SendTimeout))
	}
	if c.DrainTimeout < c.SendTimeout {
		errs = append(errs, wrong("SLUICE_DRAIN_TIMEOUT", "is %s, use at least SLUICE_SEND_TIMEOUT (%s)", c.DrainTimeout, c.SendTimeout))
	}
	return errors.Join(errs...)
}

// checkAccess refuses what would let strangers in.
func (c Config) checkAccess(role string) error {
	var errs []error
	if role == "api" || role == "up" {
		errs = append(errs, c.checkKeys())
	}
	if role == "up" && c.NATSURL == "" && c.NATSToken == "" && !loopback(c.NATSAddr) {
		errs = append(errs, wrong("SLUICE_NATS_TOKEN", "is required while NATS listens on %s, beyond loopback", c.NATSAddr))
	}
	if role == "up" && c.NATSURL != "" && c.RedisURL == "" {
		errs = append(errs, wrong("SLUICE_REDIS_URL", "is required with SLUICE_NATS_URL: an embedded Redis serves one process only"))
	}
	if role != "up" && role != "sandbox" && (c.NATSURL == "" || c.RedisURL == "") {
		errs = append(errs, wrong("SLUICE_NATS_URL, SLUICE_REDIS_URL", "are both required by `sluice %s`; `sluice up` brings its own", role))
	}
	return errors.Join(errs...)
}

// checkKeys refuses a list without any key: who wrote it did not mean to let
// everybody in.
func (c Config) checkKeys() error {
	keys, err := dashboard.ParseKeys(c.APIKeys)
	switch {
	case err != nil:
		return wrong("SLUICE_API_KEYS", "%s", err)
	case keys.Empty() && c.APIKeys != "":
		return wrong("SLUICE_API_KEYS", "holds no key: give at least one, or leave it unset on loopback")
	case keys.Empty() && !loopback(c.APIAddr):
		return wrong("SLUICE_API_KEYS", "is required while the API listens on %s, beyond loopback", c.APIAddr)
	}
	return nil
}

func (c Config) checkProvider(role string) error {
	var errs []error
	sends := role == "dispatcher" || role == "up"
	if role != "sandbox" && c.live() {
		if c.AuthToken == "" && role != "api" && role != "tracker" {
			errs = append(errs, wrong("TWILIO_AUTH_TOKEN", "is required with TWILIO_ACCOUNT_SID: it signs the callbacks"))
		}
		if c.PublicURL == "" && (sends || role == "callbacks") {
			errs = append(errs, wrong("SLUICE_PUBLIC_URL", "is required with real credentials: it is what the provider calls back"))
		}
	}
	if (c.APIKey == "") != (c.APISecret == "") {
		errs = append(errs, wrong("TWILIO_API_KEY, TWILIO_API_SECRET", "give both or neither"))
	}
	for _, address := range []struct{ name, value string }{
		{"OTEL_EXPORTER_OTLP_ENDPOINT", c.OTLPEndpoint}, {"SLUICE_PUBLIC_URL", c.PublicURL},
		{"SLUICE_MESSAGES_URL", c.MessagesURL}, {"SLUICE_SENDERS_URL", c.SendersURL}, {"SLUICE_CONTENT_URL", c.ContentURL},
	} {
		if address.value == "" {
			continue
		}
		u, err := url.Parse(address.value)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			errs = append(errs, wrong(address.name, "is not an http or https URL"))
		} else if address.name == "SLUICE_PUBLIC_URL" && strings.Contains(u.Hostname(), "_") {
			errs = append(errs, wrong(address.name, "has an underscore in its host, which the provider refuses (error 21609)"))
		}
	}
	return errors.Join(errs...)
}

func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
