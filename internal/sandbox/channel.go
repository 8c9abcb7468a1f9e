package sandbox

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// The statuses of a sender that the sandbox itself brings about.
const (
	statusCreating  = "CREATING"
	statusPending   = "PENDING_VERIFICATION"
	statusVerifying = "VERIFYING"
	statusOnline    = "ONLINE"
	statusUpdating  = "ONLINE:UPDATING"
	statusOffline   = "OFFLINE"
	statusDeleted   = "DELETED" // shown to nobody
)

// channel is what the Senders API keeps of a sender.
type channel struct {
	Account string          `json:"account,omitempty"` // that registered it; empty: every account sees it
	Config  channelConfig   `json:"configuration"`
	Webhook channelWebhook  `json:"webhook"`
	Profile json.RawMessage `json:"profile,omitempty"`
	Code    string          `json:"code,omitempty"` // that the number received; empty: none is awaited
	Course  course          `json:"course"`
}

type channelConfig struct {
	WABA        string `json:"waba_id,omitempty"`
	Method      string `json:"verification_method,omitempty"`
	Code        string `json:"verification_code,omitempty"` // never kept
	Application string `json:"voice_application_sid,omitempty"`
	AccountType string `json:"account_type,omitempty"`
}

type channelWebhook struct {
	CallbackURL    string `json:"callback_url,omitempty"`
	CallbackMethod string `json:"callback_method,omitempty"`
	FallbackURL    string `json:"fallback_url,omitempty"`
	FallbackMethod string `json:"fallback_method,omitempty"`
	StatusURL      string `json:"status_callback_url,omitempty"`
	StatusMethod   string `json:"status_callback_method,omitempty"`
}

// displayName is the name in a profile.
func displayName(profile json.RawMessage) string {
	var p struct {
		Name string `json:"name"`
	}
	_ = json.Unmarshal(profile, &p) // was read once
	return p.Name
}

// providersNumber reports whether the provider itself can read what a number
// receives, so that no code is asked for. In the sandbox those are +1555….
func providersNumber(id string) bool { return strings.HasPrefix(id, "1555") }

// nameRejected tells which display names Meta refuses, in the sandbox: those
// that use its own.
func nameRejected(name string) bool { return strings.Contains(strings.ToLower(name), "whatsapp") }

// opened is the course of a number just registered.
func (s *Sandbox) opened(id, name string, now time.Time) course {
	if providersNumber(id) {
		return s.verified(name, now, statusCreating)
	}
	return through(now, s.cfg.OnboardingStep, statusCreating, statusPending)
}

// verified is the course of a number that was proved to be its owner's: Meta
// shows it offline for a moment before it is online, and reviews its name
// after that.
func (s *Sandbox) verified(name string, now time.Time, before ...string) course {
	way := append(before, statusVerifying, statusOffline, statusOnline)
	if nameRejected(name) {
		way = append(way, statusOffline)
	}
	return through(now, s.cfg.OnboardingStep, way...)
}

// reason is why a sender is offline, nil if it is not.
func (s *sender) reason(now time.Time) *offlineReason {
	last := s.channel.Course.Stages
	switch {
	case s.channel.Course.at(now) != statusOffline:
		return nil
	case nameRejected(displayName(s.channel.Profile)):
		return newReason("63124", "the display name was rejected by Meta")
	case last[len(last)-1].Status == statusOnline:
		return newReason("63112", "Meta has not activated the WhatsApp Business Account yet")
	default:
		return newReason("30008", "the sender was taken offline")
	}
}

type offlineReason struct {
	Code     string `json:"code"`
	Message  string `json:"message"`
	MoreInfo string `json:"more_info"`
}

func newReason(code, message string) *offlineReason {
	return &offlineReason{code, message, "https://www.twilio.com/docs/errors/" + code}
}

// visible reports whether an account may see a sender. Credentials of an API
// key name no account and see all.
func (s *sender) visible(account string, now time.Time) bool {
	owner := s.channel.Account
	if owner == "" {
		owner = s.auth.account
	}
	return !serviceSID.MatchString(s.id) && s.channel.Course.at(now) != statusDeleted &&
		(owner == "" || account == "" || owner == account)
}

// senderSID names a sender in the Senders API. It follows from the number, so
// that a restarted sandbox knows it by the same.
func senderSID(id string) string {
	sum := sha256.Sum256([]byte("sender " + id))
	return "XE" + hex.EncodeToString(sum[:16])
}

func newCode() string {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		panic("sandbox: " + err.Error()) // never fails
	}
	return fmt.Sprintf("%06d", n)
}

// channelRecord is what became of a sender through the Senders API.
type channelRecord struct {
	Sender  string  `json:"sender"`
	Channel channel `json:"channel"`
}

// setChannel journals and applies a change. A crash before the journal has it
// leaves the sender as it was. The caller holds mu.
func (s *Sandbox) setChannel(id string, c channel) error {
	if err := s.journal.write(record{Channel: &channelRecord{id, c}}); err != nil {
		return err
	}
	s.senderByID(id).channel = c
	return nil
}

// limitText is a limit as the Senders API words it.
func (s *sender) limitText() string {
	switch {
	case s.words != "":
		return s.words
	case s.limit == Unlimited:
		return "Unlimited Customers/24hr"
	case s.limit > 0 && s.limit%1000 == 0:
		return fmt.Sprintf("%dK Customers/24hr", s.limit/1000)
	default:
		return fmt.Sprintf("%d Customers/24hr", s.limit)
	}
}
