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

// ErrCursor says that a cursor is one that the list did not hand out.
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

// The names that each query string knows.
var (
	jobFilters   = []string{"from", "to", "sid", "status", "since", "until", "limit", "cursor"}
	statsFilters = []string{"from", "since", "until", "step"}
	eventFilters = []string{"from", "to", "sid", "status", "since", "until", "type", "job", "last_event_id"}
)

// severalOf are the names that may be given more than once, or hold a list.
var severalOf = []string{"status", "type"}

// parseQuery reads the query string of a list of jobs.
func parseQuery(raw string) (Query, error) {
	q := Query{Limit: DefaultPage}
	if err := eachFilter(raw, jobFilters, q.take); err != nil {
		return Query{}, err
	}
	return q, inOrder(q.Since, q.Until)
}

// eachFilter hands over every filter of a query string that has a value, lists
// joined by commas. Unknown names are refused: a misspelt filter would select
// everything.
func eachFilter(raw string, known []string, take func(name, value string) error) error {
	values, err := parseValues(raw)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(values)) { // sorted: the same mistake is always named first
		switch {
		case !slices.Contains(known, name):
			return badField(name[:min(len(name), 64)], "is not a filter here; known are "+strings.Join(known, ", "))
		case len(values[name]) > 1 && !slices.Contains(severalOf, name):
			return badField(name, "is given more than once")
		}
		value := strings.Join(values[name], ",")
		if value == "" { // "?sid=" is how forms say nothing
			continue
		}
		if err := take(name, value); err != nil {
			return err
		}
	}
	return nil
}

func inOrder(since, until time.Time) error {
	if !since.IsZero() && !until.IsZero() && !until.After(since) {
		return badField("until", "must be later than since")
	}
	return nil
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

func (q *Query) take(name, value string) (err error) {
	switch name {
	case "from":
		q.From, err = senderFilter(value)
	case "to":
		q.To, err = customerFilter(value)
	case "sid":
		q.SID, err = sidFilter(value)
	case "status":
		q.Statuses, err = statuses(value)
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

// senderFilter reads a sender, in any form, as its address.
func senderFilter(value string) (string, error) {
	token := senderToken(value)
	if token == "" {
		return "", badField("from", "must be a sender as in whatsapp:+15551234567, or MG and 32 hexadecimal digits")
	}
	return delivery.SenderAddress(token), nil
}

func customerFilter(value string) (string, error) {
	customer := address(value)
	if !delivery.ValidCustomer(customer) {
		return "", badField("to", "must be an address as in whatsapp:+15551234567")
	}
	return customer, nil
}

func sidFilter(value string) (string, error) {
	if !short(value, 64) {
		return "", badField("sid", "must be the sid of a message")
	}
	return value, nil
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

func statuses(value string) ([]delivery.Status, error) {
	var found []delivery.Status
	for word := range strings.SplitSeq(value, ",") {
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
