package sandbox

import (
	"slices"
	"time"
)

// tiers are Meta's messaging limits, from that of a new portfolio up.
var tiers = []Limit{250, 2_000, 10_000, 100_000, Unlimited}

// reviewsPerWindow is how often Meta looks whether a limit should change:
// about every 6 hours of the 24.
const reviewsPerWindow = 4

// review lets the platform change a sender's limit, where the sandbox was told
// to: up a tier if its quality is not low and half the limit was used, down a
// tier if its quality is low. The caller holds mu.
func (s *Sandbox) review(snd *sender, now time.Time) {
	if !s.cfg.Tiers {
		return
	}
	if snd.reviewed.IsZero() {
		snd.reviewed = now
	}
	if now.Sub(snd.reviewed) < s.cfg.Window/reviewsPerWindow {
		return
	}
	snd.reviewed = now
	switch {
	case snd.quality == "LOW":
		s.move(snd, lowerTier(snd.limit))
	case snd.limit != Unlimited && 2*snd.counted.used(now) >= int(snd.limit):
		s.move(snd, higherTier(snd.limit))
	}
}

// move sets a limit as the platform does. The caller holds mu.
func (s *Sandbox) move(snd *sender, limit Limit) {
	if err := s.journal.write(record{Sender: &senderRecord{snd.id, SenderPatch{Limit: &limit}}}); err != nil {
		s.cfg.Log.Error("a limit was not changed", "sender", snd.id, "error", err)
		return
	}
	snd.limit, snd.words = limit, ""
}

func higherTier(l Limit) Limit {
	for _, tier := range tiers {
		if tier == Unlimited || l != Unlimited && tier > l {
			return tier
		}
	}
	return l
}

func lowerTier(l Limit) Limit {
	for _, tier := range slices.Backward(tiers) {
		if tier != Unlimited && (l == Unlimited || tier < l) {
			return tier
		}
	}
	return l
}
