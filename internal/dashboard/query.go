package dashboard

import (
	"errors"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/delivery"
)

// ErrCursor: a cursor that the list did not hand out.
var ErrCursor = errors.New("not a cursor of this list")

// Bounds of one page of a list.
const (
	DefaultPage = 50
	MaxPage     = 1000
)

// Query selects jobs. Zero fields select all.
type Query struct {
	From     string            // a sender's address, or MG…, as in [delivery.Record]
	To       string            // a customer's address
	SID      string            // the provider's name for a message
	Statuses []delivery.Status // any of these
	Since    time.Time         // created at this time or later
	Until    time.Time         // created before this time
	Limit    int               // 1 to MaxPage; parsed queries default to DefaultPage
	Cursor   string            // as in [Page]; empty for the first one
}

// Page is a part of a list. Next continues it, empty at its end.
type Page struct {
	Jobs []delivery.Record
	Next string
}

var filters = []string{"from", "to", "sid", "status", "since", "until", "limit", "cursor"}

// parseQuery reads the query string of a list of jobs. Unknown names are
// refused: a misspelt filter would select everything.
func parseQuery(raw string) (Query, error) {
	values, err := parseValues(raw)
	if err != nil {
		return Query{}, err
	}
	q := Query{Limit: DefaultPage}
	for _, name := range slices.Sorted(maps.Keys(values)) { // sorted: the same mistake is always named first
		if err := q.take(name, values[name]); err != nil {
			return Query{}, err
		}
	}
	if !q.Since.IsZero() && !q.Until.IsZero() && !q.Until.After(q.Since) {
		return Query{}, badField("until", "must be later than since")
	}
	return q, nil
}

// parseValues reads a query string in which a plus is a plus. Forms write a
// blank that way, but no value here has blanks, while addresses and time zones
// have pluses that callers forget to escape.
func parseValues(raw string) (url.Values, error) {
	values, err := url.ParseQuery(strings.ReplaceAll(raw, "+", "%2B"))
	if err != nil {
		return nil, badField("", "the query is not well formed: escape its values")
	}
	for name, all := range values {
		for i := range all {
			values[name][i] = plus(all[i])
		}
	}
	return values, nil
}

// plus repairs values whose plus became a blank on the way.
func plus(value string) string { return strings.ReplaceAll(value, " ", "+") }

func (q *Query) take(name string, all []string) (err error) {
	if !slices.Contains(filters, name) {
		return badField(name[:min(len(name), 64)], "is not a filter here; known are "+strings.Join(filters, ", "))
	}
	if name == "status" {
		q.Statuses, err = statuses(all)
		return err
	}
	value := all[0]
	switch {
	case len(all) > 1:
		return badField(name, "is given more than once")
	case value == "": // "?sid=" is how forms say nothing
		return nil
	}
	switch name {
	case "from":
		token := senderToken(value)
		if token == "" {
			return badField(name, "must be a sender as in whatsapp:+15551234567, or MG and 32 hexadecimal digits")
		}
		q.From = delivery.SenderAddress(token)
	case "to":
		if q.To = address(value); !delivery.ValidCustomer(q.To) {
			return badField(name, "must be an address as in whatsapp:+15551234567")
		}
	case "sid":
		if q.SID = value; !short(value, 64) {
			return badField(name, "must be the sid of a message")
		}
	case "since":
		q.Since, err = moment(name, value)
	case "until":
		q.Until, err = moment(name, value)
	case "limit":
		if q.Limit, err = strconv.Atoi(value); err != nil || q.Limit < 1 || q.Limit > MaxPage {
			return badField(name, "must be an integer from 1 to 1000")
		}
	case "cursor":
		if q.Cursor = value; !short(value, 512) {
			return ErrCursor
		}
	}
	return err
}

// short reports whether s is visible ASCII of at most the given length.
func short(s string, most int) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return len(s) <= most
}

func statuses(all []string) ([]delivery.Status, error) {
	var found []delivery.Status
	for _, word := range strings.Split(strings.Join(all, ","), ",") {
		s := delivery.Status(word)
		switch {
		case word == "":
		case !s.Valid():
			return nil, badField("status", "must be of accepted, scheduled, parked, sending, unknown, held, queued, sent, "+
				"delivered, read, undelivered, failed, expired, suppressed, rejected, canceled")
		default:
			found = append(found, s)
		}
	}
	return found, nil
}

func moment(name, value string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return time.Time{}, badField(name, "must be a time as in 2026-01-31T09:00:00Z (RFC 3339)")
	}
	return t.UTC(), nil
}

// address reads the forms an address is written in by hand: with or without
// its channel, its plus escaped or not.
func address(value string) string {
	value = plus(value)
	if strings.HasPrefix(value, "+") {
		return "whatsapp:" + value
	}
	return value
}

// senderToken reads a sender's token or address, empty for neither.
func senderToken(value string) string {
	if delivery.ValidSenderToken(value) {
		return value
	}
	return delivery.SenderToken(address(value))
}
