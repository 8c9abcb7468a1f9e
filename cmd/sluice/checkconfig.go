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
