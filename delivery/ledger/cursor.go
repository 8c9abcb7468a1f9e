package ledger

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
)

// ErrBadCursor is the answer to a cursor that no page gave: ask for the first
// page without one.
var ErrBadCursor = errors.New("ledger: the cursor is not one of a list")

// place is where a job stands in an index: newest first, and jobs of one µs
// from the last id to the first.
type place struct {
	score int64  // creation, µs
	id    string // empty: before all jobs of this µs
}

// before reports whether p stands before other.
func (p place) before(other place) bool {
	if p.score != other.score {
		return p.score > other.score
	}
	return p.id == "" || p.id > other.id
}

// cursor is the text from which the list goes on after p.
func (p place) cursor() string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(p.score, 36) + ":" + p.id))
}

func parseCursor(cursor string) (place, error) {
	text, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil {
		return place{}, ErrBadCursor
	}
	number, id, ok := strings.Cut(string(text), ":")
	at, err := strconv.ParseInt(number, 36, 64)
	p := place{score: at, id: id}
	// Only the one way to write a place is taken.
	if !ok || err != nil || at < 0 || id == "" || p.cursor() != cursor {
		return place{}, ErrBadCursor
	}
	return p, nil
}

// start is the place after which the query's page begins.
func (q Query) start() (place, error) {
	switch {
	case q.Cursor != "":
		return parseCursor(q.Cursor)
	case !q.Until.IsZero():
		return place{score: score(q.Until)}, nil
	default:
		return place{score: maxScore}, nil
	}
}
