package sandbox

import (
	"encoding/json"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of the Messages API.
const (
	maxAddress  = 140   // characters, with the channel prefix
	maxBody     = 1600  // characters, error 21617
	maxMedia    = 10    // URLs, error 21623
	maxValidity = 36000 // seconds, error 21624
)

// Error codes of the provider that messages end with.
const (
	codeNeedsTemplate = 63016 // free form outside the customer service window
	codeOverLimit     = 63018 // beyond the messaging limit
	codeExpired       = 30036 // not sent within its validity period
)

var (
	phoneAddress   = regexp.MustCompile(`^whatsapp:\+[1-9][0-9]{6,14}$`)
	opaqueAddress  = regexp.MustCompile(`^whatsapp:[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}$`)
	serviceSID     = regexp.MustCompile(`^MG[0-9a-fA-F]{32}$`)
	contentSID     = regexp.MustCompile(`^HX[0-9a-fA-F]{32}$`)
	senderToken    = regexp.MustCompile(`^([1-9][0-9]{6,14}|MG[0-9a-fA-F]{32})$`)
	senderStatus   = regexp.MustCompile(`^[A-Z][A-Z_:]{1,39}$`)
	poolIdentifier = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$`)
)

// request is a create request that passed the checks.
type request struct {
	to       string
	from     string // whatsapp:+…, empty when a messaging service picks
	service  string // MG sid, or empty
	body     string // for a template: something like its rendered text
	media    int
	template bool
	content  string            // HX sid, or empty
	filled   map[string]string // its variables, until it is judged
	callback string
	validity time.Duration // 0: the provider's 10 h, longer than any queue
}

// sender is the token the request counts for: the number's digits, or the
// messaging service when it picks the number.
func (r request) sender() string {
	if r.from == "" {
		return r.service
	}
	return strings.TrimPrefix(r.from, "whatsapp:+")
}

// parseRequest checks a create form the way the provider does before it accepts
// a message. What only shows later (windows, limits) is judge's business.
func parseRequest(form url.Values) (request, *problem) {
	r := request{
		to:       form.Get("To"),
		from:     form.Get("From"),
		service:  form.Get("MessagingServiceSid"),
		body:     form.Get("Body"),
		media:    len(form["MediaUrl"]),
		callback: form.Get("StatusCallback"),
	}
	checks := []func(*request, url.Values) *problem{
		checkAddresses, checkContent, checkVariables, checkDelivery,
	}
	for _, check := range checks {
		if p := check(&r, form); p != nil {
			return request{}, p
		}
	}
	return r, nil
}

func checkAddresses(r *request, _ url.Values) *problem {
	switch {
	case r.to == "":
		return refuse(21604, "a To address is required")
	case !customerAddress(r.to):
		return refuse(21211, "To is not a valid WhatsApp address")
	case r.from == "" && r.service == "":
		return refuse(21603, "From or MessagingServiceSid is required")
	case r.from != "" && !strings.HasPrefix(r.from, "whatsapp:"):
		return refuse(21910, "From and To belong to different channels")
	case r.from != "" && !phoneAddress.MatchString(r.from):
		return refuse(21212, "From is not a valid WhatsApp sender")
	case r.service != "" && !serviceSID.MatchString(r.service):
		return refuse(21701, "there is no such messaging service")
	}
	return nil
}

func checkContent(r *request, form url.Values) *problem {
	content := form.Get("ContentSid")
	switch {
	case r.body == "" && r.media == 0 && content == "":
		return refuse(21602, "Body, MediaUrl or ContentSid is required")
	case utf8.RuneCountInString(r.body) > maxBody:
		return refuse(21617, "Body is longer than 1600 characters")
	case r.media > maxMedia:
		return refuse(21623, "there are more than 10 MediaUrl values")
	case content != "" && !contentSID.MatchString(content):
		return refuse(21655, "ContentSid is not valid")
	}
	for _, media := range form["MediaUrl"] {
		if !webAddress(media) {
			return refuse(21620, "MediaUrl is not a valid URL")
		}
	}
	// A text or medium beside the template makes it free form (error 63016).
	r.template = content != "" && r.body == "" && r.media == 0
	r.content = content
	return nil
}

func checkVariables(r *request, form url.Values) *problem {
	text := form.Get("ContentVariables")
	if text == "" {
		return nil
	}
	if form.Get("ContentSid") == "" {
		return refuse(21654, "ContentVariables needs a ContentSid")
	}
	var variables map[string]string
	if err := json.Unmarshal([]byte(text), &variables); err != nil || variables == nil {
		return refuse(21656, "ContentVariables is not a JSON object of strings")
	}
	r.filled = variables
	if r.template {
		r.body = rendered(variables)
	}
	return nil
}

func checkDelivery(r *request, form url.Values) *problem {
	if r.callback != "" && !callbackAddress(r.callback) {
		return refuse(21609, "StatusCallback is not a valid URL")
	}
	if text := form.Get("ValidityPeriod"); text != "" {
		seconds, err := strconv.Atoi(text)
		if err != nil || seconds < 1 || seconds > maxValidity {
			return refuse(21624, "ValidityPeriod must be 1 to 36000 seconds")
		}
		r.validity = time.Duration(seconds) * time.Second
	}
	return nil
}

func customerAddress(address string) bool {
	return len(address) <= maxAddress &&
		(phoneAddress.MatchString(address) || opaqueAddress.MatchString(address))
}

func webAddress(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != ""
}

// callbackAddress also refuses underscores in the host, as the provider does,
// and what is not text.
func callbackAddress(text string) bool {
	u, err := url.Parse(text)
	return err == nil && utf8.ValidString(text) && webAddress(text) && !strings.Contains(u.Host, "_")
}

// rendered stands for a template's text, which the sandbox does not know.
func rendered(variables map[string]string) string {
	var values []string
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		values = append(values, variables[name])
	}
	return strings.Join(values, " ")
}

// standing is what the platform knows when it judges a message.
type standing struct {
	expired    bool // it leaves the sender's queue too late
	barred     int  // error code that bars it, whatever the limits; 0: none
	inWindow   bool // the customer service window is open
	senderFits bool // a place in the sender's window is free, or the customer holds one
	poolFits   bool // the same in the pool's
}

// judge decides what becomes of an accepted message: whether it counts toward
// the messaging limits, and the error code it ends with (0: it is delivered).
// Nothing inside the customer service window counts, nor does what is not
// delivered.
func judge(template bool, st standing) (counted bool, code int) {
	switch {
	case st.expired:
		return false, codeExpired
	case st.barred != 0:
		return false, st.barred
	case st.inWindow:
		return false, 0
	case !template:
		return false, codeNeedsTemplate
	case !st.senderFits || !st.poolFits:
		return false, codeOverLimit
	default:
		return true, 0
	}
}
