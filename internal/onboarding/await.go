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

// online waits until a sender is online, and helps where a person is needed.
func (r *run) online(ctx context.Context, i int, s messaging.ChannelSender) (messaging.ChannelSender, error) {
	end := time.Now().Add(r.cfg.Timeout)
	var offline time.Time // since when
	var told messaging.SenderStatus
	for {
		if err := rejected(s); err != nil {
			return s, err
		}
		if s.Status.Sends() {
			return s, nil
		}
		if s.Status != told {
			r.tell(i, s.Status, hint(s))
			told = s.Status
		}
		offline = since(offline, s.Status)
		switch now := time.Now(); {
		case !offline.IsZero() && now.Sub(offline) >= r.cfg.OfflineGrace:
			return s, fmt.Errorf("OFFLINE for %s: %s; run this again to go on", r.cfg.OfflineGrace, reasons(s))
		case !now.Before(end):
			return s, fmt.Errorf("still %s after %s: %s; run this again to go on", s.Status, r.cfg.Timeout, hint(s))
		}
		next, err := r.step(ctx, i, s)
		if err != nil {
			return s, err
		}
		s = next
	}
}

// since is how long OFFLINE has lasted: Meta shows it for a moment on the way.
func since(offline time.Time, status messaging.SenderStatus) time.Time {
	switch {
	case status != messaging.SenderOffline:
		return time.Time{}
	case offline.IsZero():
		return time.Now()
	default:
		return offline
	}
}

// step asks a person, or waits a moment, and looks again.
func (r *run) step(ctx context.Context, i int, s messaging.ChannelSender) (messaging.ChannelSender, error) {
	if s.Status != messaging.SenderPendingVerification || r.cfg.Ask == nil {
		if err := sleep(ctx, r.cfg.Poll); err != nil {
			return s, err
		}
		return r.senders.Fetch(ctx, s.SID)
	}
	answer, err := r.cfg.Ask(ctx, number(r.plan.Senders[i]), cmp.Or(s.Configuration.VerificationMethod, "sms"))
	if err != nil {
		return s, err
	}
	next, err := Answer(ctx, r.senders, s, answer)
	var f *messaging.Failure
	if errors.As(err, &f) && f.HTTPStatus/100 == 4 && f.HTTPStatus != 401 && f.HTTPStatus != 403 {
		r.tell(i, s.Status, "not accepted: "+f.Message)
		return r.senders.Fetch(ctx, s.SID)
	}
	return next, err
}

// Answer hands in what a person said about the code of a sender: the code,
// "sms" or "voice" for another one, or nothing to look again.
func Answer(ctx context.Context, senders Senders, s messaging.ChannelSender, answer string) (messaging.ChannelSender, error) {
	switch answer = strings.ToLower(strings.NewReplacer(" ", "", "-", "").Replace(answer)); answer {
	case "":
		return senders.Fetch(ctx, s.SID)
	case "sms", "voice":
		return senders.RequestCode(ctx, s.SID, answer)
	default:
		return senders.Verify(ctx, s.SID, answer)
	}
}

// hint says what a status is waiting for.
func hint(s messaging.ChannelSender) string {
	switch s.Status {
	case messaging.SenderPendingVerification:
		return "waits for the code that its number received: sluice senders verify " + strings.TrimPrefix(s.Address, "whatsapp:") + " CODE"
	case messaging.SenderTwilioReview:
		return "is reviewed by the provider"
	case messaging.SenderOffline:
		return "offline: " + reasons(s)
	default:
		return "on its way"
	}
}

func reasons(s messaging.ChannelSender) string {
	var said []string
	for _, r := range s.Reasons {
		said = append(said, strings.TrimSpace(r.Code+" "+r.Message))
	}
	if len(said) == 0 {
		return "the provider gives no reason"
	}
	return strings.Join(said, "; ")
}
