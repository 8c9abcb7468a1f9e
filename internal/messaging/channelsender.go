package messaging

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
)

// SenderStatus is where a WhatsApp sender stands. The set is open: treat an
// unknown one as not able to send, and ask again.
type SenderStatus string

// The statuses of the Senders API.
const (
	SenderCreating            SenderStatus = "CREATING"
	SenderPendingVerification SenderStatus = "PENDING_VERIFICATION" // waits for the code that the number received
	SenderVerifying           SenderStatus = "VERIFYING"
	SenderTwilioReview        SenderStatus = "TWILIO_REVIEW"
	SenderOnline              SenderStatus = "ONLINE"
	SenderUpdating            SenderStatus = "ONLINE:UPDATING"
	SenderOffline             SenderStatus = "OFFLINE" // offline_reasons say why
	SenderDraft               SenderStatus = "DRAFT"
	SenderStubbed             SenderStatus = "STUBBED"
)

// Sends reports whether messages of a sender with this status go out.
func (s SenderStatus) Sends() bool { return s == SenderOnline || s == SenderUpdating }

// ChannelSender is a WhatsApp sender as the provider knows it. Any field but
// SID may be empty; the answer to a change has no quality and no limit yet.
type ChannelSender struct {
	SID           string              `json:"sid"`       // XE…
	Address       string              `json:"sender_id"` // whatsapp:+E.164
	Status        SenderStatus        `json:"status"`
	Configuration SenderConfiguration `json:"configuration"`
	Webhook       SenderWebhook       `json:"webhook"`
	Profile       SenderProfile       `json:"profile"`
	Properties    SenderProperties    `json:"properties"`
	Reasons       []OfflineReason     `json:"offline_reasons"`
}

// SenderProperties is what Meta thinks of a sender.
type SenderProperties struct {
	Quality string `json:"quality_rating"`  // HIGH, MEDIUM, LOW, UNKNOWN
	Limit   string `json:"messaging_limit"` // free text, as in "10K Customers/24hr"
}

// OfflineReason is one reason why a sender is offline.
type OfflineReason struct {
	Code     string `json:"code"`
	Message  string `json:"message"`
	MoreInfo string `json:"more_info"`
}

// SenderConfiguration belongs to the registration of a sender. Empty fields
// are not sent, and mean no change in an update.
type SenderConfiguration struct {
	WABA               string `json:"waba_id,omitempty"`
	VerificationMethod string `json:"verification_method,omitempty"` // sms (the default) or voice
	VerificationCode   string `json:"verification_code,omitempty"`
	VoiceApplication   string `json:"voice_application_sid,omitempty"`
	AccountType        string `json:"account_type,omitempty"` // ISV or ISVSubAccount
}

// SenderWebhook is where the provider tells what happens at a sender. The
// methods are POST or PUT.
type SenderWebhook struct {
	CallbackURL    string `json:"callback_url,omitempty"` // customers' messages
	CallbackMethod string `json:"callback_method,omitempty"`
	FallbackURL    string `json:"fallback_url,omitempty"` // when the first one fails
	FallbackMethod string `json:"fallback_method,omitempty"`
	StatusURL      string `json:"status_callback_url,omitempty"` // of messages that name no own
	StatusMethod   string `json:"status_callback_method,omitempty"`
}

// SenderProfile is what customers see of a sender. Name is the display name,
// which Meta reviews.
type SenderProfile struct {
	Name        string           `json:"name,omitempty"`
	About       string           `json:"about,omitempty"`
	Address     string           `json:"address,omitempty"`
	Description string           `json:"description,omitempty"`
	LogoURL     string           `json:"logo_url,omitempty"`
	Vertical    string           `json:"vertical,omitempty"`
	Websites    []ProfileWebsite `json:"websites,omitempty"`
	Emails      []ProfileEmail   `json:"emails,omitempty"`
}

// ProfileWebsite is a labelled address on the web.
type ProfileWebsite struct {
	Website string `json:"website"`
	Label   string `json:"label,omitempty"`
}

// ProfileEmail is a labelled mail address.
type ProfileEmail struct {
	Email string `json:"email"`
	Label string `json:"label,omitempty"`
}

// SenderRequest registers a sender or changes one. Address is required to
// register and never sent in a change. What is nil is not sent.
type SenderRequest struct {
	Address       string               `json:"sender_id,omitempty"`
	Configuration *SenderConfiguration `json:"configuration,omitempty"`
	Webhook       *SenderWebhook       `json:"webhook,omitempty"`
	Profile       *SenderProfile       `json:"profile,omitempty"`
}

func (r SenderRequest) encode() string {
	data, err := json.Marshal(r)
	if err != nil {
		panic("messaging: text is always marshalled: " + err.Error())
	}
	return string(data)
}

func decodeSender(body []byte) (ChannelSender, error) {
	var s ChannelSender
	if err := json.Unmarshal(body, &s); err != nil && !isTypeMismatch(err) {
		return s, fmt.Errorf("the answer is not JSON: %w", err)
	}
	if s.SID == "" {
		return s, errors.New("the answer names no sender SID")
	}
	return s, nil
}

// senderPage is one page of the list; next is the query of the following one,
// empty at the end. The provider's link is absolute; only its query is
// followed, which cannot carry the credentials to another host.
type senderPage struct {
	senders []ChannelSender
	next    string
}

func decodeSenderPage(body []byte) (senderPage, error) {
	var wire struct {
		Senders []ChannelSender `json:"senders"`
		Meta    struct {
			Next string `json:"next_page_url"`
		} `json:"meta"`
	}
	if err := json.Unmarshal(body, &wire); err != nil && !isTypeMismatch(err) {
		return senderPage{}, fmt.Errorf("the list is not JSON: %w", err)
	}
	if wire.Senders == nil {
		return senderPage{}, errors.New("the list has no senders field")
	}
	for _, s := range wire.Senders {
		if s.SID == "" {
			return senderPage{}, errors.New("the list holds a sender without SID")
		}
	}
	p := senderPage{senders: wire.Senders}
	if wire.Meta.Next != "" {
		link, err := url.Parse(wire.Meta.Next)
		if err != nil || link.RawQuery == "" {
			return senderPage{}, errors.New("the list has no readable link to its next page")
		}
		p.next = link.RawQuery
	}
	return p, nil
}
