package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxSteps is the longest way of a message after its acceptance.
const maxSteps = 3

// step is one status a message reaches, and how its callback is marked.
type step struct{ status, event string }

// stepsTo returns the way of a message that ends with code, or is delivered
// when code is 0. No callback tells the status at acceptance.
func stepsTo(code int, read bool) []step {
	switch code {
	case 0:
	case codeExpired:
		return []step{{"failed", ""}} // it never left
	default:
		return []step{{"undelivered", "UNDELIVERED"}}
	}
	way := []step{{"sent", ""}, {"delivered", "DELIVERED"}, {"read", "READ"}}
	if !read {
		way = way[:2]
	}
	return way
}

// plan lays out when a message takes its steps and what leaves then, from the
// time on at which it comes out of the sender's queue, and after that what the
// customer writes. A lost callback does not stop the message: the provider knows its status anyhow.
// Reversed callbacks report the past: the message has come to its last status
// when the first of them leaves.
func plan(m *message, fate callbackFate, from time.Time, pause time.Duration) []item {
	var items []item
	from = from.Add(m.hold() + fate.late)
	for i := range m.steps {
		slot := i + 1
		if fate.shuffled {
			slot = len(m.steps) - i
		}
		it := item{
			due: from.Add(time.Duration(slot) * pause), msg: m, step: i,
			silent: fate.lost[i] || m.request.callback == "", nth: len(items),
		}
		items = append(items, it)
		if fate.doubled[i] {
			it.due, it.nth = it.due.Add(pause/2), len(items)
			items = append(items, it)
		}
	}
	if m.code != 0 {
		return items
	}
	for i, says := range fate.says() {
		slot := maxSteps + 2 + i
		items = append(items, item{
			due: from.Add(time.Duration(slot) * pause), msg: m, says: says, nth: len(items),
		})
	}
	return items
}

// says is what the customer writes, in order.
func (f callbackFate) says() (texts []string) {
	if f.reply {
		texts = append(texts, replyText)
	}
	if f.stop {
		texts = append(texts, stopText)
	}
	return texts
}

// fire takes the message of a due item to its step, or lets the customer write,
// and returns the webhook that leaves for it, if one does.
func (s *Sandbox) fire(it item) (webhook, bool) {
	switch {
	case it.msg == nil:
		return it.hook, true
	case it.says != "":
		s.speak(it)
		return webhook{}, false
	}
	of := leaving{it.msg.sid, it.nth}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.tick()
	s.note(record{Fired: &firedRecord{of, now}})
	it.msg.advance(it.step, now)
	s.changed++
	if it.silent {
		return webhook{}, false
	}
	hook := statusHook(it.msg, it.step) // under the lock: its customer may open the chat at any time
	hook.of = of
	return hook, true
}

// statusHook is the callback for one step. Its token depends on message and
// step alone, so that a repetition is recognisably one.
func statusHook(m *message, i int) webhook {
	at := m.steps[i]
	form := url.Values{
		"MessageSid": {m.sid}, "SmsSid": {m.sid}, "AccountSid": {m.auth.account},
		"From": {m.origin()}, "To": {m.request.to}, "ApiVersion": {apiVersion},
		"MessageStatus": {at.status}, "SmsStatus": {at.status},
		"ChannelPrefix": {"whatsapp"}, "ChannelInstallSid": {installSID(m.sender)},
		"ChannelToAddress": {masked(m.request.to)},
	}
	if m.request.service != "" {
		form.Set("MessagingServiceSid", m.request.service)
	}
	if at.event != "" {
		form.Set("EventType", at.event)
	}
	switch at.status {
	case "sent":
		form.Set("StructuredMessage", strconv.FormatBool(m.request.template))
	case "failed":
		form.Set("ErrorCode", strconv.Itoa(m.code))
	case "undelivered":
		form.Set("ErrorCode", strconv.Itoa(m.code))
		form.Set("ChannelStatusMessage", failureText(m.code))
	}
	return newWebhook(m.request.callback, m.auth.secret, form, m.sid+"/"+at.status)
}

func failureText(code int) string {
	switch code {
	case 0:
		return ""
	case codeNeedsTemplate:
		return "free form is allowed inside the customer service window only"
	case codeOverLimit:
		return "the messaging limit is reached"
	case codeExpired:
		return "the validity period ended before the message could be sent"
	default:
		return "the message was not delivered"
	}
}

// serviceNumber is the number a messaging service sends from.
func serviceNumber(sid string) string {
	hash := fnv.New32a()
	hash.Write([]byte(sid))
	return fmt.Sprintf("whatsapp:+1555%07d", hash.Sum32()%10_000_000)
}

// installSID names a sender's registration with the channel.
func installSID(sender string) string {
	sum := sha256.Sum256([]byte(sender))
	return "XE" + hex.EncodeToString(sum[:16])
}

// masked is an address without prefix and without its last four characters.
func masked(address string) string {
	address = strings.TrimPrefix(address, "whatsapp:")
	return address[:max(0, len(address)-4)] + "XXXX"
}
